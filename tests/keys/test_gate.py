"""The gate over time: keys appear, are revoked, expire, are used too fast; and a server that has none."""

import logging
from collections.abc import Iterator
from datetime import timedelta
from threading import Event
from time import monotonic
from typing import Any

import pytest
from litestar import Litestar, get
from litestar.params import FromPath
from litestar.testing import TestClient

from whorl.api.auth import NOTE_EVERY_S, REREAD_S, Gate, needs
from whorl.api.failures import HANDLERS
from whorl.clock import SimulatedClock
from whorl.errors import StorageError
from whorl.records import Waiting
from whorl.serve.service import Service
from whorl.storage import api_keys, audit, cycles

PREDICTIONS = "/v1/flywheels/fraud/predictions"
ROW = {"id": "a", "time": "2026-01-01T00:00:00Z", "amount": 1}


class Seconds:
    """A clock that runs when told."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@get("/fast", opt=needs("read", narrows=True), sync_to_thread=False)
def fast() -> str:
    return "here"


@get("/otlp", opt=needs("capture", narrows=True, too_fast=503), sync_to_thread=False)
def otlp() -> str:
    return "here"


@get("/unsaid/{name:str}", sync_to_thread=False)
def unsaid(name: FromPath[str]) -> str:
    return name


@get("/whole", opt=needs("read"), sync_to_thread=False)
def whole() -> str:
    return "here"


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def gated(service: Service, seconds: Seconds) -> Iterator[TestClient[Any]]:
    guard = Gate(service, seconds).guard
    app = Litestar(
        [fast, otlp, unsaid, whole], guards=[guard], exception_handlers=HANDLERS, openapi_config=None
    )
    with TestClient(app, base_url="http://whorl.example", raise_server_exceptions=False) as client:
        yield client


def test_a_revoked_key_is_refused_once_what_is_known_is_old(
    service: Service, gated: TestClient[Any], make_key, seconds: Seconds
) -> None:
    key, headers = make_key("read")
    assert gated.get("/fast", headers=headers).status_code == 200
    api_keys.revoke(service.ledger, key.id, by="ann")
    seconds.now += REREAD_S + 0.001
    assert REREAD_S < 1
    assert gated.get("/fast", headers=headers).status_code == 401


def test_a_key_that_expires_is_refused_at_once(service: Service, gated, make_key) -> None:
    service.clock = clock = SimulatedClock(service.clock.now())
    _, headers = make_key("read", expires_at=clock.now() + timedelta(days=1))
    assert gated.get("/fast", headers=headers).status_code == 200
    clock.advance(timedelta(days=1))
    assert gated.get("/fast", headers=headers).status_code == 401


def test_a_route_that_says_nothing_is_for_admins(gated: TestClient[Any], make_key) -> None:
    _, headers = make_key("capture", "predict", "review", "read", "operate")
    _, admin = make_key("admin")
    assert gated.get("/unsaid/fraud", headers=headers).status_code == 403
    assert gated.get("/unsaid/fraud", headers=admin).status_code == 200


def test_a_route_without_a_flywheel_is_not_for_keys_of_one(gated: TestClient[Any], make_key) -> None:
    _, one = make_key("read")
    _, every = make_key("read", flywheel=None)
    assert gated.get("/whole", headers=one).status_code == 403
    assert gated.get("/whole", headers=every).status_code == 200


@pytest.mark.parametrize(("path", "scope", "status"), [("/fast", "read", 429), ("/otlp", "capture", 503)])
def test_a_key_that_is_used_too_fast_is_told_when_to_come_again(
    gated: TestClient[Any], make_key, seconds: Seconds, service: Service, path: str, scope: str, status: int
) -> None:
    _, headers = make_key(scope, rate_per_s=4)
    _, other = make_key(scope, rate_per_s=0.1)
    assert [gated.get(path, headers=headers).status_code for _ in range(6)] == [200] * 4 + [status] * 2
    refused = gated.get(path, headers=headers)
    assert (refused.json()["error"]["code"], refused.headers["retry-after"]) == ("too_fast", "1")
    assert gated.get(path, headers=other).status_code == 200, "each key has a rate of its own"
    assert gated.get(path, headers=other).headers["retry-after"] == "10"
    seconds.now += 0.25
    assert [gated.get(path, headers=headers).status_code for _ in range(2)] == [200, status]
    seconds.now += 3600
    assert [gated.get(path, headers=headers).status_code for _ in range(5)] == [200] * 4 + [status]
    [reasons] = [f for f in service.meter.families() if f.name == "whorl_requests_turned_away_total"]
    assert [(s.labels, s.value) for s in reasons.samples] == [({"reason": "rate"}, 6)]


def test_last_use_is_written_once_a_minute(
    gated: TestClient[Any], make_key, seconds: Seconds, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    first, second = Event(), Event()

    def note(_: object, id: str, __: object) -> None:
        written.append(id)
        (second if first.is_set() else first).set()

    monkeypatch.setattr(api_keys, "note_used", note)
    key, headers = make_key("read")
    for _ in range(5):
        gated.get("/fast", headers=headers)
    assert first.wait(30)
    seconds.now += NOTE_EVERY_S
    gated.get("/fast", headers=headers)
    assert second.wait(30)
    assert written == [key.id, key.id]


def test_a_use_that_cannot_be_written_down_fails_no_request(
    gated: TestClient[Any], make_key, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tried = Event()

    def broken(*_: object) -> None:
        tried.set()
        raise StorageError("The disk is full.")

    monkeypatch.setattr(api_keys, "note_used", broken)
    _, headers = make_key("read")
    assert gated.get("/fast", headers=headers).status_code == 200
    assert tried.wait(30)
    until = monotonic() + 30
    while "The disk is full." not in caplog.text and monotonic() < until:
        Event().wait(0.01)
    assert headers["Authorization"].rpartition("_")[2] not in caplog.text


def test_without_keys_this_machine_is_served_and_no_page_of_another(
    gated: TestClient[Any],
) -> None:
    local = {"Host": "127.0.0.1:8377"}
    assert gated.get("/fast", headers=local).status_code == 200
    for strange in ({}, {"Host": "evil.example"}, {**local, "Origin": "http://evil.example"}):
        assert gated.get("/fast", headers=strange).status_code == 403


def test_the_first_key_closes_the_door_and_revoking_it_does_not_open_it(
    service: Service, gated: TestClient[Any], make_key, seconds: Seconds
) -> None:
    local = {"Host": "127.0.0.1"}
    assert gated.get("/fast", headers=local).status_code == 200
    key, _ = make_key("admin", flywheel=None)
    seconds.now += 1
    assert gated.get("/fast", headers=local).status_code == 401
    api_keys.revoke(service.ledger, key.id, by="ann")
    seconds.now += 1
    assert gated.get("/fast", headers=local).status_code == 401


def test_a_ledger_that_cannot_be_read_lets_nobody_in(
    gated: TestClient[Any],
    make_key,
    monkeypatch: pytest.MonkeyPatch,
    seconds: Seconds,
    caplog: pytest.LogCaptureFixture,
) -> None:
    _, headers = make_key("read")
    assert gated.get("/fast", headers=headers).status_code == 200

    def broken(_: object) -> None:
        raise StorageError("The ledger is gone.", where="/srv/whorl/ledger.db")

    monkeypatch.setattr(api_keys, "ring", broken)
    seconds.now += 1
    answer = gated.get("/fast", headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "storage")
    assert answer.headers["retry-after"]
    assert "srv" not in answer.text, "a stranger learns nothing of the place"
    assert "srv" in caplog.text


def test_health_tells_strangers_nothing_of_the_place(
    service: Service, client: TestClient[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise StorageError("The ledger is gone.", where="/srv/whorl/ledger.db")

    monkeypatch.setattr(service.ledger, "read", broken)
    answer = client.get("/readyz")
    assert (answer.status_code, "srv" in answer.text) == (503, False)


def test_who_acts_is_written_down_with_the_key(service: Service, client: TestClient[Any], make_key) -> None:
    key, headers = make_key("operate")
    now = service.clock.now()
    cycle = cycles.start(service.ledger, "fraud", "manual", now, "x")
    cycles.move(
        service.ledger, "fraud", cycle, "waiting", waiting_for=Waiting(what="approval", where="train")
    )
    answer = client.post(f"/v1/flywheels/fraud/cycles/{cycle}/reject", json={"by": "ann"}, headers=headers)
    assert answer.status_code == 202, answer.text
    assert audit.entries(service.ledger)[0].by == f"ann (key {key.id})"


def test_no_key_in_logs_errors_or_the_audit_trail(
    service: Service, client: TestClient[Any], make_key, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="whorl")
    _, headers = make_key("admin")
    presented = headers["Authorization"].partition(" ")[2]
    secret = presented[19:]
    answers = [
        client.post(PREDICTIONS, json=ROW, headers=headers),
        client.post(f"/v1/flywheels/{presented}/predictions", json=ROW, headers=headers),
        client.post(PREDICTIONS, content=presented, headers={**headers, "Content-Type": presented}),
        client.post("/v1/flywheels/fraud/models/9/promote", json={"by": presented}, headers=headers),
        client.get(f"/v1/flywheels/fraud/cycles/{presented}", headers=headers),
        client.get("/v1/flywheels", headers=headers),
    ]
    # The caller's own library logs what it asks for.
    logged = "".join(record.getMessage() for record in caplog.records if record.name != "httpx")
    said = logged + "".join(answer.text + str(answer.headers) for answer in answers)
    assert secret not in said
    assert secret not in str(audit.entries(service.ledger))
