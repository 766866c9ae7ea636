"""Keys in the ledger: shown once, kept hashed, found by what is presented, gone when revoked or expired."""

import hashlib
from datetime import timedelta

import pytest
import sqlalchemy as sa

from whorl.clock import SimulatedClock
from whorl.errors import NotFound, WhorlError, masked
from whorl.storage import api_keys, audit
from whorl.storage.ledger.ledger import Ledger
from whorl.storage.ledger.tables import api_keys as table


def make(ledger: Ledger, **more: object) -> tuple[api_keys.ApiKey, str]:
    given = {"flywheel": "fraud", "scopes": ["capture"], "name": "checkout", "by": "ann", **more}
    return api_keys.create(ledger, **given)  # type: ignore[arg-type]


def test_the_ledger_keeps_a_hash_and_no_secret(ledger: Ledger) -> None:
    key, presented = make(ledger)
    with ledger.read() as conn:
        row = conn.execute(sa.select(table)).one()._mapping
    assert row["hash"] == hashlib.sha256(presented.encode()).hexdigest()
    secret = presented.rpartition("_")[2] if presented.count("_") == 2 else presented[19:]
    told = f"{dict(row)} {audit.entries(ledger)} {api_keys.listed(ledger)} {api_keys.ring(ledger)}"
    assert secret not in told
    assert [(entry.action, entry.by, entry.body["id"]) for entry in audit.entries(ledger)] == [
        ("key.create", "ann", key.id)
    ]


def test_a_key_is_found_by_all_of_it_and_nothing_less(ledger: Ledger, clock: SimulatedClock) -> None:
    key, presented = make(ledger)
    _, other = make(ledger)
    ring = api_keys.ring(ledger)
    assert ring.find(presented, clock.now()) == key
    swapped = presented[:19] + other[19:]
    changed = presented[:-1] + ("A" if presented[-1] != "A" else "B")
    for wrong in ("", "whorl_", presented[:-1], presented + "A", changed, swapped, presented.upper(), "é" * 62,
                  f" {presented}", f"{presented}\n", presented[19:]):  # fmt: skip
        assert ring.find(wrong, clock.now()) is None, wrong


def test_every_comparison_is_the_constant_time_one(
    ledger: Ledger, clock: SimulatedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, presented = make(ledger)
    ring, compared = api_keys.ring(ledger), []

    def watched(one: str, other: str) -> bool:
        compared.append((one, other))
        return one == other

    monkeypatch.setattr(api_keys, "compare_digest", watched)
    for tried in (presented, presented[:-1] + "-", "whorl_000000000000_" + "x" * 43, "garbage"):
        ring.find(tried, clock.now())
    assert len(compared) == 4, "a key that is not there costs the same work"
    assert all(len(one) == len(other) == 64 for one, other in compared), "hashes are compared, not secrets"


def test_a_key_ends_when_it_expires(ledger: Ledger, clock: SimulatedClock) -> None:
    key, presented = make(ledger, expires_at=clock.now() + timedelta(days=90))
    ring = api_keys.ring(ledger)
    assert ring.find(presented, clock.now()) == key
    later = clock.now() + timedelta(days=90)
    assert ring.find(presented, later) is None, "also from what was read before"
    assert key.state(later) == "expired"


def test_a_revoked_key_is_gone_and_the_ledger_still_asks_for_keys(
    ledger: Ledger, clock: SimulatedClock
) -> None:
    assert api_keys.ring(ledger) == api_keys.KeyRing(made=False, live={})
    key, presented = make(ledger)
    api_keys.note_used(ledger, key.id, clock.now())
    first = api_keys.revoke(ledger, key.id, by="bob")
    clock.advance(timedelta(hours=1))
    assert api_keys.revoke(ledger, key.id, by="bob") == first, "again changes nothing"
    ring = api_keys.ring(ledger)
    assert ring.made
    assert ring.find(presented, clock.now()) is None
    api_keys.note_used(ledger, key.id, clock.now())
    [told] = api_keys.listed(ledger)
    assert (told.state(clock.now()), told.last_used_at) == ("revoked", clock.now()), "a note brings none back"
    assert [entry.action for entry in audit.entries(ledger)] == ["key.revoke", "key.create"]
    with pytest.raises(NotFound, match="nobody"):
        api_keys.revoke(ledger, "nobody", by="bob")


def test_no_message_holds_a_key(ledger: Ledger) -> None:
    key, presented = make(ledger)
    error = WhorlError(f"Is {presented} wrong?", where=presented, hint=presented)
    assert presented[19:] not in str(error)
    assert key.id in str(error), "but which one it was about"
    assert masked(f"a log line with {presented}") == f"a log line with whorl_{key.id}_***"
