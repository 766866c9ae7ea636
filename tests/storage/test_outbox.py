"""The outbox: kept with what it tells of, delivered until it works, signed."""

import hashlib
import hmac
from datetime import timedelta

import pytest

from whorl.clock import SimulatedClock
from whorl.storage.ledger.ledger import Ledger
from whorl.storage.outbox import Outbox, deliver, failing, signature, undelivered

URL = "https://hooks.example/whorl"
Sent = list[tuple[str, bytes, dict[str, str]]]


@pytest.fixture
def outbox(ledger: Ledger) -> Outbox:
    return Outbox(ledger)


def _put(ledger: Ledger, outbox: Outbox, *bodies: object) -> None:
    with ledger.write() as conn:
        for body in bodies:
            outbox.put(conn, "fraud", URL, body)


def test_a_message_is_delivered_once_and_signed(ledger: Ledger, outbox: Outbox) -> None:
    _put(ledger, outbox, {"event": "released", "version": 3})
    sent: Sent = []

    def post(url: str, body: bytes, headers: dict[str, str]) -> int:
        sent.append((url, body, headers))
        return 204

    assert deliver(outbox, post, "secret") == (1, 0)
    assert deliver(outbox, post, "secret") == (0, 0)
    [(url, body, headers)] = sent
    assert (url, body) == (URL, b'{"event":"released","version":3}')
    expected = hmac.new(b"secret", body, hashlib.sha256).hexdigest()
    assert headers["X-Whorl-Signature"] == f"sha256={expected}" == f"sha256={signature('secret', body)}"
    assert headers["X-Whorl-Delivery"] == "1"


def test_what_is_withheld_waits_a_moment_says_why_and_counts_as_no_attempt(
    ledger: Ledger, outbox: Outbox, clock: SimulatedClock
) -> None:
    _put(ledger, outbox, {})
    assert outbox.withhold("other", "no key") == 0
    assert outbox.withhold("fraud", "no key") == 1
    assert outbox.due(clock.now()) == []
    clock.advance(timedelta(seconds=10))
    [waiting] = outbox.due(clock.now())
    assert (waiting.attempts, waiting.error) == (0, "no key")
    assert failing(ledger, "fraud") == [waiting]
    assert deliver(outbox, lambda *_: 200, "secret") == (1, 0)
    assert undelivered(ledger, "fraud") == []


def test_failures_wait_longer_each_time_and_are_never_dropped(
    ledger: Ledger, outbox: Outbox, clock: SimulatedClock
) -> None:
    _put(ledger, outbox, {})
    waits = []
    for _ in range(16):
        assert deliver(outbox, lambda *_: 503, "secret") == (0, 1)
        assert outbox.due(clock.now()) == []
        [waiting] = outbox.due(clock.now() + timedelta(days=1))
        assert waiting.error == "HTTP status 503"
        waits.append(waiting.next_at - clock.now())
        clock.move_to(waiting.next_at)
    assert [wait.total_seconds() for wait in waits[:4]] == [10, 20, 40, 80]
    assert waits[-1] == timedelta(hours=6)
    assert deliver(outbox, lambda *_: 200, "secret") == (1, 0)


def test_one_that_cannot_be_sent_does_not_stop_the_next(
    ledger: Ledger, outbox: Outbox, clock: SimulatedClock
) -> None:
    _put(ledger, outbox, {"n": 1}, {"n": 2})

    def post(_url: str, body: bytes, _headers: dict[str, str]) -> int:
        if b"1" in body:
            raise ConnectionRefusedError("nobody listens")
        return 200

    assert deliver(outbox, post, "secret") == (1, 1)
    [waiting] = outbox.due(clock.now() + timedelta(days=1))
    assert (waiting.body, waiting.attempts) == ({"n": 1}, 1)
    assert waiting.error == "ConnectionRefusedError: nobody listens"


def test_a_message_goes_back_with_its_transaction(
    ledger: Ledger, outbox: Outbox, clock: SimulatedClock
) -> None:
    with pytest.raises(ZeroDivisionError), ledger.write() as conn:
        outbox.put(conn, "fraud", URL, {"n": 1 // 0})
    assert outbox.due(clock.now()) == []
