"""Registering flywheels: the holdout key is for life, a changed spec is the next version."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa

from whorl.clock import SimulatedClock
from whorl.errors import NotFound, StateError, StorageError
from whorl.spec import Spec, parse_spec, spec_hash
from whorl.storage import flywheels
from whorl.storage.ledger.ledger import Ledger
from whorl.storage.ledger.tables import specs


def _spec(budget: int = 10, name: str = "fraud") -> Spec:
    return parse_spec(f'name = "{name}"\ntask = "binary"\n[labels]\nlag = "14d"\n[curate]\nbudget = {budget}')


def test_a_new_flywheel_gets_a_key_that_stays(ledger: Ledger) -> None:
    key = flywheels.register(ledger, _spec())
    assert len(bytes.fromhex(key)) == 32
    assert flywheels.register(ledger, _spec()) == key
    assert flywheels.register(ledger, _spec(name="hotel")) != key
    assert flywheels.names(ledger) == ["fraud", "hotel"]


def test_a_given_key_is_kept_and_no_other_is_taken_later(ledger: Ledger) -> None:
    assert flywheels.register(ledger, _spec(), holdout_key="k") == "k"
    assert flywheels.register(ledger, _spec(), holdout_key="k") == "k"
    with pytest.raises(StateError, match="another holdout key"):
        flywheels.register(ledger, _spec(11), holdout_key="other")
    assert len(flywheels.spec_versions(ledger, "fraud")) == 1


def test_a_changed_spec_is_the_next_version(ledger: Ledger, clock: SimulatedClock) -> None:
    for budget in (10, 10, 20, 10):
        flywheels.register(ledger, _spec(budget))
        clock.advance(timedelta(days=1))
    versions = flywheels.spec_versions(ledger, "fraud")
    assert [version.version for version in versions] == [1, 2, 3]
    assert versions[0].hash == versions[2].hash == spec_hash(_spec(10)) != versions[1].hash
    assert flywheels.spec_of(ledger, "fraud") == _spec(10)


def test_many_that_register_at_once_make_one_version(ledger: Ledger) -> None:
    with ThreadPoolExecutor(4) as pool:
        keys = list(pool.map(lambda _: flywheels.register(ledger, _spec()), range(8)))
    assert len(set(keys)) == 1
    assert len(flywheels.spec_versions(ledger, "fraud")) == 1


def test_an_unknown_flywheel_is_not_found_with_a_guess(ledger: Ledger) -> None:
    with pytest.raises(NotFound, match="Register it"):
        flywheels.spec_of(ledger, "frod")
    flywheels.register(ledger, _spec())
    with pytest.raises(NotFound, match="Did you mean 'fraud'"):
        flywheels.spec_of(ledger, "frod")


def test_a_recorded_spec_that_does_not_fit_this_version_is_told(ledger: Ledger) -> None:
    flywheels.register(ledger, _spec())
    with ledger.write() as conn:
        conn.execute(specs.update().values(body={"name": "fraud", "task": "binary", "gone": 1}))
    with pytest.raises(StorageError, match="does not fit"):
        flywheels.spec_of(ledger, "fraud")


@pytest.mark.parametrize(
    ("then", "still"),
    [
        ({}, True),
        ({"without": "monitor"}, True),
        ({"without": "monitor", "written": None}, True),
        ({"budget": 12}, True),
        ({"budget": 12, "written": None}, False),
        ({"gone": 1}, True),
        ({"gone": 1, "written": None}, False),
    ],
)
def test_a_spec_is_still_that_of_before_an_upgrade(
    ledger: Ledger, then: dict[str, object], still: bool
) -> None:
    """As an older Whorl recorded it: without a section, with another default, with a knob that is gone; or not yet what was written."""
    spec = parse_spec('name = "fraud"\ntask = "binary"\n[labels]\nlag = "14d"')
    flywheels.register(ledger, spec)
    with ledger.write() as conn:
        row = conn.execute(sa.select(specs)).one()
        body = {key: value for key, value in row.body.items() if key != then.get("without")}
        body |= {key: value for key, value in then.items() if key == "gone"}
        body["curate"] |= {key: value for key, value in then.items() if key == "budget"}
        conn.execute(specs.update().values(hash="old", body=body, written=then.get("written", row.written)))
    assert flywheels.is_still(ledger, spec, "old") is still
    assert not flywheels.is_still(ledger, _spec(11), "old"), "that was written by somebody"
    assert not flywheels.is_still(ledger, spec, "unknown")


def test_what_was_a_default_and_is_written_now_is_told_from_a_change(ledger: Ledger) -> None:
    """The defaults move under a spec that then says the old value; leaving it out afterwards is a change."""
    spec = _spec(10)
    flywheels.register(ledger, spec)
    with ledger.write() as conn:
        conn.execute(specs.update().values(written="as with 10 for a default"))
    flywheels.register(ledger, spec)
    assert len(flywheels.spec_versions(ledger, "fraud")) == 2
    assert not flywheels.is_still(ledger, _spec(11), spec_hash(spec))
