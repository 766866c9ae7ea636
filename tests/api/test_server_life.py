"""Start, a second server, kill -9, SIGTERM: what was acknowledged is in the lake exactly once."""

import json
from collections.abc import Iterator
from threading import Event, Thread
from time import monotonic

import httpx
import pytest
from server_process import ServerProcess, free_port

from whorl.api.server import check_port
from whorl.errors import StateError
from whorl.spec import load_spec
from whorl.workspace import open_workspace

PREDICTIONS = "/v1/flywheels/fraud/predictions"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One of our own: the others' is not killed."""
    running = ServerProcess(tmp_path_factory.mktemp("server"))
    yield running
    running.close()


def in_lake(server: ServerProcess) -> list[str]:
    with open_workspace(load_spec(server.spec), server.root) as ws:
        until = monotonic() + 30
        while ws.inbox.depth(ws.name).rows and monotonic() < until:
            Event().wait(0.05)
        relation = ws.lake.relation("predictions")
        return ws.engine.query(f"SELECT id FROM {relation}")["id"].to_pylist()


def test_killed_under_load_nothing_acknowledged_is_lost_or_doubled(server: ServerProcess) -> None:
    acknowledged: list[str] = []
    enough = Event()

    def load(thread: int) -> None:
        with httpx.Client(base_url=server.http.base_url, trust_env=False, timeout=10) as client:
            for batch in range(10_000):
                ids = [f"{thread}-{batch}-{i}" for i in range(20)]
                rows = [
                    {"transaction_id": id, "timestamp": "2026-01-01T00:00:00Z", "amount": 1} for id in ids
                ]
                try:
                    answer = client.post(PREDICTIONS, json={"records": rows})
                except httpx.TransportError:
                    return
                assert answer.status_code == 202
                acknowledged.extend(ids)
                if len(acknowledged) > 4000:
                    enough.set()

    threads = [Thread(target=load, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    assert enough.wait(60)
    server.kill()
    for thread in threads:
        thread.join()
    server.start()
    found = in_lake(server)
    assert len(found) == len(set(found)), "nothing twice"
    assert set(acknowledged) <= set(found), "nothing lost"


def test_a_second_server_is_told_what_holds_the_workspace_before_it_binds(server: ServerProcess) -> None:
    port = free_port()
    second = server.command(port)
    assert second.wait(60) == 3
    said = server.log.read_text().splitlines()[-1]
    assert f"Process {server.process.pid}" in said
    assert f"kill {server.process.pid}" in said
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False)


def test_a_port_that_is_taken_is_not_shared(server: ServerProcess) -> None:
    with pytest.raises(StateError, match="is taken"):
        check_port("127.0.0.1", server.port)


def test_sigterm_answers_what_has_begun(server: ServerProcess) -> None:
    rows = [
        {"transaction_id": f"last-{i}", "timestamp": "2026-01-01T00:00:00Z", "amount": 1}
        for i in range(20_000)
    ]
    body = json.dumps({"records": rows})
    statuses: list[int] = []
    begun = Event()

    def chunks():
        for at in range(0, len(body), 1 << 16):
            yield body[at : at + (1 << 16)].encode()
            begun.set()

    def send() -> None:
        with httpx.Client(base_url=server.http.base_url, trust_env=False, timeout=30) as client:
            statuses.append(
                client.post(
                    PREDICTIONS, content=chunks(), headers={"content-type": "application/json"}
                ).status_code
            )

    sender = Thread(target=send)
    sender.start()
    assert begun.wait(30)
    assert server.stop() == 0
    sender.join()
    assert statuses == [202]
    assert {f"last-{i}" for i in range(20_000)} <= set(in_lake(server))
