"""What the verbs send, and what becomes of what they cannot send: nothing is raised, everything is counted."""

import asyncio
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Any
from uuid import UUID

import httpx
import numpy as np
import pytest
from fake_server import Connect, FakeServer, down, records_of, taken

import whorl
from whorl.clock import SimulatedClock


def test_each_verb_goes_to_its_place(connect: Connect, server: FakeServer) -> None:
    with connect(key="k_secret") as client:
        client.log_prediction({"id": "a", "amount": 1.5})
        client.log_label("a", True, source="analyst")
        client.log_feedback("a", "thumbs", 1, comment="good")
        assert client.flush(10)
    sent = {request.url.raw_path.decode(): records_of(request)[0] for request in server.requests}
    now = "2026-01-01T00:00:00Z"
    assert sent == {
        "/v1/flywheels/fraud/predictions": {"whorl_logged_at": "2026-01-01T00:00:00Z", "id": "a", "amount": 1.5},
        "/v1/flywheels/fraud/labels": {"prediction_id": "a", "value": True, "source": "analyst", "time": now},
        "/v1/flywheels/fraud/feedback": {
            "prediction_id": "a", "name": "thumbs", "value": 1, "comment": "good", "time": now,
        },
    }  # fmt: skip
    assert {request.headers["Authorization"] for request in server.requests} == {"Bearer k_secret"}


def test_times_are_those_of_the_call(connect: Connect, server: FakeServer, clock: SimulatedClock) -> None:
    server.say = down
    client = connect()
    client.log_label("a", True)
    server.asked(1)
    clock.advance(timedelta(hours=5))
    server.say = taken
    client.log_label("b", True, time=datetime(2025, 5, 5, tzinfo=UTC))
    assert client.flush(10)
    assert [record["time"] for record in server.records] == ["2026-01-01T00:00:00Z", "2025-05-05T00:00:00Z"]


def test_what_is_changed_after_the_call_is_logged_as_it_was(connect: Connect, server: FakeServer) -> None:
    client = connect()
    record: dict[str, Any] = {"id": "a", "tags": ["x"]}
    client.log_prediction(record)
    record["tags"].append("y")
    assert client.flush(10)
    assert server.records[0]["tags"] == ["x"]


def test_values_of_numpy_and_other_objects_are_written_as_what_they_are(
    connect: Connect, server: FakeServer
) -> None:
    class Odd: ...

    client = connect()
    odd = {"id": UUID(int=1), "n": np.float32(0.5), "v": np.array([1, 2]), "nan": float("nan"), "odd": Odd()}
    client.log_prediction(odd)
    assert client.flush(10)
    kept = server.records[0]
    assert (kept["n"], kept["v"], kept["nan"]) == (0.5, [1, 2], None)
    assert kept["odd"].endswith("Odd>")


class Bad:
    def tolist(self) -> None:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "record",
    [[1], "text", None, {"a": Bad()}, {"a": "\ud800"}],
    ids=["list", "text", "nothing", "raises", "surrogate"],
)
def test_what_is_no_record_is_counted_and_nothing_is_raised(connect: Connect, record: Any) -> None:
    client = connect()
    client.log_prediction(record)
    assert client.stats().dropped == {"unencodable": 1}


def test_a_record_that_holds_itself_is_counted(connect: Connect) -> None:
    record: dict[str, Any] = {"id": "a"}
    record["self"] = record
    client = connect()
    client.log_prediction(record)
    assert client.stats().dropped == {"unencodable": 1}


def test_too_large_and_too_late_are_counted(connect: Connect, server: FakeServer) -> None:
    client = connect()
    client.log_prediction({"id": "a", "text": "x" * 16_000_001})
    client.close()
    client.log_prediction({"id": "b"})
    assert client.stats().dropped == {"too_large": 1, "closed": 1}
    assert server.requests == []


def test_threads_lose_and_double_nothing(connect: Connect, server: FakeServer) -> None:
    client = connect(batch_records=100)

    def log(thread: int) -> None:
        for number in range(500):
            client.log_prediction({"id": f"{thread}-{number}"})

    threads = [Thread(target=log, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.flush(30)
    assert sorted(server.ids) == sorted(f"{t}-{n}" for t in range(8) for n in range(500))
    for thread in range(8):
        mine = [int(id.split("-")[1]) for id in server.ids if id.startswith(f"{thread}-")]
        assert mine == list(range(500))
    stats = client.stats()
    assert (stats.logged, stats.sent, stats.waiting) == (4000, 4000, 0)


def test_asyncio_logs_while_the_server_hangs(connect: Connect, server: FakeServer) -> None:
    from threading import Event

    may_answer = Event()

    def hang(request: httpx.Request) -> httpx.Response:
        assert may_answer.wait(30)
        return httpx.Response(202, json={"accepted": len(records_of(request)), "refused": []})

    server.say = hang

    async def main() -> None:
        async with connect() as client:
            for number in range(1000):
                client.log_prediction({"id": str(number)})
                await asyncio.sleep(0)
            may_answer.set()

    asyncio.run(main())
    assert server.ids == [str(number) for number in range(1000)]


def test_settings_come_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, server: FakeServer, tmp_path: Any
) -> None:
    monkeypatch.setenv("WHORL_URL", "https://whorl.invalid/base/")
    monkeypatch.setenv("WHORL_API_KEY", "k_env")
    monkeypatch.setenv("WHORL_FLYWHEEL", "other")
    monkeypatch.setenv("WHORL_SPOOL", str(tmp_path / "there"))
    with whorl.connect(transport=httpx.MockTransport(server), linger_s=0.01) as client:
        client.log_prediction({"id": "a"})
    (request,) = server.requests
    assert str(request.url) == "https://whorl.invalid/base/v1/flywheels/other/predictions"
    assert (request.headers["Authorization"], request.headers["Content-Encoding"]) == ("Bearer k_env", "gzip")
    assert server.ids == ["a"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"url": "localhost:8377", "flywheel": "f"}, "not an address"),
        ({"url": "http://localhost"}, "No flywheel is named"),
        ({"flywheel": "f", "key": "k_1\n"}, "what no key holds"),
        ({"flywheel": "f", "durable": True, "spool": "off"}, "needs a spool"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_once(
    monkeypatch: pytest.MonkeyPatch, arguments: dict[str, Any], said: str
) -> None:
    for variable in ("WHORL_URL", "WHORL_FLYWHEEL", "WHORL_SPOOL"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(whorl.WhorlError, match=said):
        whorl.connect(**arguments)
