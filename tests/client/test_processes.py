"""With a real server and real deaths: what was promised is in the lake, once."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from real_server import RealServer

import whorl
from whorl.client.client import Client
from whorl.clock import SimulatedClock

WITHIN_S = 60.0
# What a script begins with; its arguments are the server's address and the folder of the spools.
CONNECT = """
import os, sys, whorl
def connect(linger_s=0.01, **limits):
    return whorl.connect(sys.argv[1], flywheel="shop", spool=sys.argv[2], linger_s=linger_s, retry_s=0.05, **limits)
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RealServer]:
    made = RealServer(tmp_path)
    yield made
    made.close()


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    # Whatever the machine's proxies are: the server is on this machine.
    monkeypatch.setenv("NO_PROXY", "*")
    return tmp_path / "spool"


def client_of(server: RealServer, spool: Path, **limits: Any) -> Client:
    return whorl.connect(server.url, flywheel="shop", spool=spool, linger_s=0.01, retry_s=0.05, **limits)


def script(code: str, server: RealServer, spool: Path) -> "subprocess.Popen[str]":
    arguments = [sys.executable, "-c", CONNECT + code, server.url, str(spool)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: "subprocess.Popen[str]") -> str:
    out, err = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 0, err
    return out


def deliver_the_rest(server: RealServer, spool: Path, **limits: Any) -> None:
    """The next process: it has nothing of its own to log but one record, which goes last."""
    with client_of(server, spool, **limits) as following:
        following.log_prediction({"order_id": "last", "amount": 0.0})
        assert following.flush(WITHIN_S)
    assert list(spool.rglob("*.seg")) == []


@pytest.mark.parametrize("durable", [False, True], ids=["memory", "durable"])
def test_a_server_that_is_down_then_up_then_killed_then_up(
    server: RealServer, spool: Path, durable: bool
) -> None:
    clock = SimulatedClock(datetime(2026, 1, 2, tzinfo=UTC))
    client = client_of(server, spool, durable=durable, clock=clock, batch_records=20)

    def log(first: int) -> None:
        for number in range(first, first + 100):
            client.log_prediction({"order_id": str(number), "amount": 1.0})
            client.log_label(str(number), True)

    log(0)
    server.start()
    log(100)
    assert client.flush(WITHIN_S), server.log.read_text()
    log(200)
    server.kill()
    log(300)
    server.start()
    assert client.flush(WITHIN_S), server.log.read_text()
    assert client.stats().sent == 800
    client.close()
    server.stop()
    once = {str(number): 1 for number in range(400)}
    assert server.ids() == once
    assert server.ids("labels", "prediction_id") == once
    assert set(server.times().values()) == {"2026-01-02T00:00:00+00:00"}


@pytest.mark.parametrize("up", [False, True], ids=["server down", "server up"])
def test_a_durable_caller_that_is_killed_loses_and_doubles_nothing(
    server: RealServer, spool: Path, up: bool
) -> None:
    if up:
        server.start()
    caller = script(
        """
client = connect(durable=True, batch_records=50)
for number in range(1_000_000):
    client.log_prediction({"order_id": str(number), "amount": 1.0})
    print(number, flush=True)
""",
        server,
        spool,
    )
    assert caller.stdout is not None
    told = [int(caller.stdout.readline()) for _ in range(1500)]
    os.kill(caller.pid, signal.SIGKILL)
    told += [int(line) for line in caller.stdout.read().split("\n")[:-1] if line]
    caller.communicate()
    if not up:
        server.start()
    deliver_the_rest(server, spool)
    server.stop()
    found = server.ids()
    assert max(found.values()) == 1
    # The call that was under way may have been kept or not.
    assert (
        {str(number) for number in told} | {"last"} <= set(found) <= {*map(str, range(len(told) + 1)), "last"}
    )


def test_a_caller_that_dies_on_hearing_the_answer_is_not_asked_to_send_it_twice(
    server: RealServer, spool: Path
) -> None:
    server.start()
    caller = script(
        """
import httpx, signal
class Deadly(httpx.HTTPTransport):
    def handle_request(self, request):
        answer = super().handle_request(request)
        assert answer.status_code == 202
        print(request.headers["Idempotency-Key"], flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
client = connect(durable=True, batch_records=40, linger_s=1.0, transport=Deadly())
for number in range(100):
    client.log_feedback(str(number), "thumbs", 1)
client.flush(30)
""",
        server,
        spool,
    )
    answered, _ = caller.communicate(timeout=WITHIN_S)
    assert caller.returncode == -signal.SIGKILL
    keys: list[str] = []

    class Seen(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            keys.append(request.headers["Idempotency-Key"])
            return super().handle_request(request)

    deliver_the_rest(server, spool, transport=Seen())
    assert keys[0] == answered.strip()
    assert len(set(keys)) == len(keys) == 3
    server.stop()
    assert server.ids("feedback", "prediction_id") == {str(number): 1 for number in range(100)}


def test_the_end_of_the_interpreter_sends_what_is_left(server: RealServer, spool: Path) -> None:
    server.start()
    code = "connect(linger_s=60.0).log_prediction({'order_id': 'a', 'amount': 1.0})"
    ended(script(code, server, spool))
    server.stop()
    assert server.ids() == {"a": 1}


def test_the_end_of_the_interpreter_keeps_what_cannot_be_sent(server: RealServer, spool: Path) -> None:
    ended(script("connect().log_prediction({'order_id': 'a', 'amount': 1.0})", server, spool))
    assert list(spool.rglob("*.seg"))
    server.start()
    deliver_the_rest(server, spool)
    server.stop()
    assert server.ids() == {"a": 1, "last": 1}


def test_children_of_a_fork_send_their_own_and_nothing_of_their_parents(
    server: RealServer, spool: Path
) -> None:
    server.start()
    code = """
import multiprocessing, threading
client = connect(durable=DURABLE)
def log(who):
    for number in range(50):
        client.log_prediction({"order_id": f"{who}-{number}", "amount": 1.0})
log("before")
children = []
for name in "abc":
    if not (pid := os.fork()):
        log(name)
        client.close()
        os._exit(0 if client.stats().logged == client.stats().sent == 50 else 1)
    children.append(pid)
# Such a child does not call what is registered for the end of an interpreter.
worker = multiprocessing.get_context("fork").Process(target=log, args=("worker",))
worker.start()
log("after")
worker.join()
assert [os.waitpid(pid, 0)[1] for pid in children] == [0, 0, 0]
assert client.flush(30)
assert client.stats().sent == 100, client.stats()
"""
    for durable in (False, True):
        ended(
            script(
                code.replace("DURABLE", str(durable)).replace("{who}-", f"{{who}}-{durable}-"), server, spool
            )
        )
    server.stop()
    whose = ("before", "a", "b", "c", "worker", "after")
    assert server.ids() == {
        f"{who}-{durable}-{number}": 1 for who in whose for number in range(50) for durable in (False, True)
    }
    assert list(spool.rglob("*.seg")) == []


def test_tracked_calls_are_predictions_of_the_server(server: RealServer, spool: Path) -> None:
    server.start()
    with client_of(server, spool) as client:

        @client.track(id="order")
        def score(order: str, amount: float) -> float:  # noqa: ARG001 - it is the id
            return amount / 10

        assert score("o_1", 5.0) == 0.5
        client.log_feedback("o_1", "thumbs", 1)
        assert client.flush(WITHIN_S)
        assert client.stats().sent == 2
    server.stop()
    assert server.ids() == {"o_1": 1}
    assert server.ids("feedback", "prediction_id") == {"o_1": 1}
