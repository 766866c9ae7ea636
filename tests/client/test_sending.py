"""What the background thread does about each answer: nothing is lost, nothing doubled, nobody waits."""

import logging
from datetime import timedelta
from pathlib import Path
from threading import Event
from time import monotonic

import httpx
import pytest
from fake_server import WITHIN_S, Connect, FakeServer, down, records_of, taken

from whorl.clock import SimulatedClock


def segments(folder: Path) -> list[Path]:
    return list(folder.rglob("*.seg"))


def numbered(first: int, count: int) -> list[str]:
    return [str(number) for number in range(first, first + count)]


def test_what_was_logged_while_nobody_listened_comes_later_in_order(
    connect: Connect, server: FakeServer, clock: SimulatedClock, tmp_path: Path
) -> None:
    server.say = down
    client = connect(batch_records=7)
    for id in numbered(0, 20):
        client.log_prediction({"id": id})
    server.asked(2)
    assert segments(tmp_path)
    clock.advance(timedelta(days=3))
    for id in numbered(20, 20):
        client.log_prediction({"id": id})
    server.say = taken
    assert client.flush(WITHIN_S)
    assert server.ids == numbered(0, 40)
    assert {record["whorl_logged_at"][:10] for record in server.records} == {"2026-01-01", "2026-01-04"}
    stats = client.stats()
    assert (stats.sent, stats.waiting, stats.dropped) == (40, 0, {})
    assert stats.spooled >= 20
    client.close()
    assert segments(tmp_path) == []


def test_an_answer_that_is_lost_on_the_way_is_asked_for_again_under_its_key(
    connect: Connect, server: FakeServer
) -> None:
    lost = 3

    def say(request: httpx.Request) -> httpx.Response:
        nonlocal lost
        server.kept.setdefault(request.headers["Idempotency-Key"], records_of(request))
        if lost:
            lost -= 1
            raise httpx.ReadTimeout("too slow", request=request)
        return taken(request)

    server.say = say
    client = connect()
    for id in numbered(0, 50):
        client.log_prediction({"id": id})
        client.log_label(id, True)
    assert client.flush(WITHIN_S)
    assert sorted(server.ids) == sorted(numbered(0, 50) * 2)
    again = [
        request for request in server.requests if request.headers["Idempotency-Key"].endswith("predictions")
    ]
    for key in server.kept:
        bodies = {r.content for r in again if r.headers["Idempotency-Key"] == key}
        assert len(bodies) <= 1


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(500, json={"error": {"code": "internal", "message": "oh"}}),
        httpx.Response(401, json={"error": {"code": "unauthorized", "message": "no key"}}),
        httpx.Response(404, text="<html>"),
        httpx.Response(302, headers={"Location": "/login"}),
        httpx.Response(200, text="<html>hello</html>"),
        httpx.Response(202, content=b"\xff\x00 garbage"),
        httpx.Response(202, json={"accepted": "many"}),
        httpx.Response(202, json=[1]),
    ],
    ids=lambda answer: f"{answer.status_code}",
)
def test_an_answer_that_is_neither_yes_nor_no_is_tried_again(
    connect: Connect, server: FakeServer, answer: httpx.Response
) -> None:
    server.say = lambda _: httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)
    kept, server.kept = server.kept, {}
    client = connect()
    client.log_prediction({"id": "a"})
    server.asked(2)
    assert client.stats().sent == 0
    server.kept = kept
    server.say = taken
    assert client.flush(WITHIN_S)
    assert server.ids == ["a"]


def test_retry_after_is_waited_for_whoever_hurries(connect: Connect, server: FakeServer) -> None:
    times: list[float] = []

    def say(request: httpx.Request) -> httpx.Response:
        times.append(monotonic())
        return httpx.Response(503, headers={"Retry-After": "1"}) if len(times) == 1 else taken(request)

    server.say = say
    client = connect()
    client.log_prediction({"id": "a"})
    server.asked(1)
    assert client.flush(WITHIN_S)
    assert len(times) == 2
    assert times[1] - times[0] >= 1.0


def test_retry_after_may_be_a_date(connect: Connect, server: FakeServer) -> None:
    first = Event()

    def say(request: httpx.Request) -> httpx.Response:
        if not first.is_set():
            first.set()
            return httpx.Response(429, headers={"Retry-After": "Thu, 01 Jan 2026 00:00:01 GMT"})
        return taken(request)

    server.say = say
    client = connect()
    client.log_prediction({"id": "a"})
    assert client.flush(WITHIN_S)
    assert len(server.requests) == 2


def test_refused_records_are_counted_and_never_sent_again(
    connect: Connect, server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    def say(request: httpx.Request) -> httpx.Response:
        refusal = {"index": 1, "code": "type", "message": "amount: expected a number.", "hint": "Send one."}
        if request.url.path.endswith("labels"):
            return httpx.Response(
                422, json={"error": {"code": "record", "message": "no"}, "refused": [refusal]}
            )
        return httpx.Response(202, json={"accepted": 2, "refused": [refusal], "notes": []})

    server.say = say
    client = connect()
    with caplog.at_level(logging.WARNING, "whorl.client"):
        for id in numbered(0, 3):
            client.log_prediction({"id": id})
        client.log_label("0", "x")
        assert client.flush(WITHIN_S)
        client.close()
    stats = client.stats()
    assert (stats.logged, stats.sent, stats.refused, stats.waiting) == (4, 2, 2, 0)
    assert len(server.requests) == 2
    assert "refused by the server: amount: expected a number. Send one." in caplog.text


@pytest.mark.parametrize("status", [202, 422])
def test_what_the_server_had_no_consent_for_is_counted_as_that(
    connect: Connect, server: FakeServer, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    refusal = {"index": 1, "code": "type", "message": "amount: expected a number.", "hint": "Send one."}
    told = {"refused": [refusal], "notes": ["2 record(s) were not kept: there was no consent."]}
    more = {"accepted": 1} if status == 202 else {"error": {"code": "record", "message": "no"}}
    server.say = lambda _: httpx.Response(status, json={**told, **more})
    with caplog.at_level(logging.WARNING, "whorl.client"):
        client = connect(linger_s=60.0)
        for id in numbered(0, 4 if status == 202 else 3):
            client.log_prediction({"id": id})
        assert client.flush(WITHIN_S)
        client.close()
    stats = client.stats()
    assert (stats.sent, stats.refused, stats.without_consent, stats.waiting) == (int(status == 202), 1, 2, 0)
    assert "1 refused by the server: amount: expected a number. Send one." in caplog.text
    assert "2 not kept by the server: there was no consent" in caplog.text


def test_a_key_that_the_server_knows_from_another_body_is_not_tried_for_ever(
    connect: Connect, server: FakeServer
) -> None:
    fault = {"code": "state", "message": "This key was used for another body.", "where": "Idempotency-Key"}
    server.say = lambda _: httpx.Response(409, json={"error": fault})
    client = connect()
    client.log_prediction({"id": "a"})
    assert client.flush(WITHIN_S)
    assert client.stats().refused == 1


def test_a_full_queue_drops_and_says_so_once(
    connect: Connect, server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    may_answer, hangs = Event(), Event()

    def hang(request: httpx.Request) -> httpx.Response:
        hangs.set()
        assert may_answer.wait(WITHIN_S)
        return taken(request)

    server.say = hang
    with caplog.at_level(logging.WARNING, "whorl.client"):
        client = connect(max_records=10, linger_s=0.0)
        client.log_prediction({"id": "first"})
        assert hangs.wait(WITHIN_S)
        for id in numbered(0, 100):
            client.log_prediction({"id": id})
        assert client.stats().dropped == {"queue_full": 91}
        may_answer.set()
        assert client.flush(WITHIN_S)
        client.close()
    assert server.ids == ["first", *numbered(0, 9)]
    assert (
        len([line for line in caplog.messages if "91 dropped, more was logged than memory may hold" in line])
        == 1
    )


def test_memory_is_bounded_by_bytes(connect: Connect, server: FakeServer) -> None:
    server.say = down
    client = connect(max_bytes=10_000, spool="off")
    for id in numbered(0, 100):
        client.log_prediction({"id": id, "text": "x" * 1000})
    stats = client.stats()
    assert stats.dropped["queue_full"] >= 90
    assert stats.waiting + stats.dropped["queue_full"] == 100


def test_a_queue_that_fills_makes_room_on_disk(connect: Connect, server: FakeServer) -> None:
    """The server is up and slow: what memory has no place for waits in the spool, and order is kept."""
    client = connect(max_records=100, batch_records=5, linger_s=0.0)
    logged: list[str] = []

    def slow(request: httpx.Request) -> httpx.Response:
        # As many come in during a request as it takes away eight times over.
        for _ in range(40):
            if len(logged) < 1000:
                logged.append(str(len(logged)))
                client.log_prediction({"id": logged[-1]})
        return taken(request)

    server.say = slow
    client.log_prediction({"id": "first"})
    server.asked(30)
    assert client.flush(WITHIN_S)
    assert server.ids[0] == "first"
    assert server.ids[1:] == logged[: len(server.ids) - 1]
    assert client.stats().dropped == {}
    assert client.stats().spooled > 0
    server.say = taken
    assert client.flush(WITHIN_S)


def test_a_full_spool_drops_the_new_and_says_why(
    connect: Connect, server: FakeServer, tmp_path: Path
) -> None:
    server.say = down
    client = connect(max_records=10, max_spool_bytes=2000)
    end = monotonic() + WITHIN_S
    while "spool_full" not in client.stats().dropped:
        assert monotonic() < end
        client.log_prediction({"id": "x" * 50})
    assert sum(path.stat().st_size for path in segments(tmp_path)) <= 2000


def test_a_spool_that_cannot_be_made_is_told_and_memory_serves(
    connect: Connect, server: FakeServer, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    server.say = down
    client = connect(spool=tmp_path / "file" / "spool", max_records=10)
    for id in numbered(0, 10):
        client.log_prediction({"id": id})
    server.asked(2)
    server.say = taken
    assert client.flush(WITHIN_S)
    assert server.ids == numbered(0, 10)


def test_durable_refuses_at_once_where_no_spool_can_be(connect: Connect, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError):
        connect(spool=tmp_path / "file" / "spool", durable=True)


def test_durable_records_are_in_a_file_when_the_call_returns(connect: Connect, tmp_path: Path) -> None:
    client = connect(durable=True, linger_s=60.0)
    for id in numbered(0, 3):
        client.log_prediction({"id": id})
        (path,) = segments(tmp_path)
        assert f'"id":"{id}"'.encode() in path.read_bytes()


def test_durable_delivers_in_order_and_leaves_nothing(
    connect: Connect, server: FakeServer, tmp_path: Path
) -> None:
    with connect(durable=True, batch_records=10, max_spool_bytes=8000) as client:
        for start in range(0, 500, 50):
            for id in numbered(start, 50):
                client.log_prediction({"id": id})
            assert client.flush(WITHIN_S)
    assert server.ids == numbered(0, 500)
    assert list((tmp_path / "spool").rglob("*.seg")) == []


def test_close_keeps_what_it_could_not_send_and_the_next_client_sends_it(
    connect: Connect, server: FakeServer
) -> None:
    server.say = down
    with connect() as client:
        for id in numbered(0, 5):
            client.log_prediction({"id": id})
    assert client.stats().waiting == 5
    server.say = taken
    following = connect()
    server.asked(len(server.requests) + 1)
    following.log_prediction({"id": "5"})
    assert following.flush(WITHIN_S)
    assert server.ids == numbered(0, 6)
    assert following.stats().taken_over == 5


def test_close_does_not_wait_longer_than_it_may_for_a_server_that_hangs(
    connect: Connect, server: FakeServer
) -> None:
    may_answer, hangs = Event(), Event()

    def hang(request: httpx.Request) -> httpx.Response:
        hangs.set()
        assert may_answer.wait(WITHIN_S)
        return taken(request)

    server.say = hang
    client = connect()
    client.log_prediction({"id": "a"})
    assert hangs.wait(WITHIN_S)
    client.log_prediction({"id": "b"})
    client.close(timeout=0.1)
    assert client.stats().waiting == 2
    # The request is answered after all; whoever takes the spool over asks under the same key.
    may_answer.set()
    server.asked(1)
    server.say = taken
    following = connect()
    following.log_prediction({"id": "c"})
    assert following.flush(WITHIN_S)
    assert server.ids == ["a", "b", "c"]


def test_close_without_a_spool_counts_what_is_lost(connect: Connect, server: FakeServer) -> None:
    server.say = down
    with connect(spool="off") as client:
        client.log_prediction({"id": "a"})
    assert client.stats().dropped == {"unsent": 1}
    assert client.stats().waiting == 0


def test_trouble_is_told_once_a_minute(
    connect: Connect, server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.say = down
    with caplog.at_level(logging.WARNING, "whorl.client"):
        client = connect()
        client.log_prediction({"id": "a"})
        server.asked(4)
    assert len(caplog.messages) == 1
    assert "nobody listens" in caplog.messages[0]
