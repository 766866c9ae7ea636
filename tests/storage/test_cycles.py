"""Cycles in the ledger: one at a time, decided once, answered only with what they wait for."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from whorl.clock import SimulatedClock
from whorl.errors import NotFound, StateError
from whorl.records import Waiting
from whorl.spec import parse_spec
from whorl.storage import audit, cycles, flywheels
from whorl.storage.ledger.ledger import Ledger

APPROVAL = Waiting(what="approval", where="release", hint="whorl cycle approve")


@pytest.fixture
def wheel(ledger: Ledger) -> Ledger:
    """A ledger with the flywheels fraud and hotel."""
    for name in ("fraud", "hotel"):
        flywheels.register(ledger, parse_spec(f'name = "{name}"\ntask = "binary"'))
    return ledger


def _start(ledger: Ledger, flywheel: str = "fraud") -> str:
    return cycles.start(ledger, flywheel, "manual", ledger.clock.now(), "hash")


def test_cycles_are_numbered_by_flywheel(wheel: Ledger, clock: SimulatedClock) -> None:
    assert (_start(wheel), _start(wheel, "hotel")) == ("fraud-0001", "hotel-0001")
    cycles.move(wheel, "fraud", "fraud-0001", "finished")
    clock.advance(timedelta(days=1))
    assert _start(wheel) == "fraud-0002"
    assert [cycle.id for cycle in cycles.listed(wheel, "fraud")] == ["fraud-0002", "fraud-0001"]
    assert [cycle.id for cycle in cycles.listed(wheel, limit=1)] == ["fraud-0002"]


def test_a_second_cycle_is_refused_with_the_first_ones_name_and_state(wheel: Ledger) -> None:
    cycle_id = _start(wheel)
    cycles.move(wheel, "fraud", cycle_id, "waiting", waiting_for=APPROVAL)
    with pytest.raises(StateError, match="fraud-0001 is not finished: it is waiting for approval") as refused:
        _start(wheel)
    assert refused.value.facts["state"] == "waiting"


def test_of_many_that_start_at_once_one_does(wheel: Ledger) -> None:
    with ThreadPoolExecutor(4) as pool:
        started = [pool.submit(_start, wheel) for _ in range(4)]
    assert sorted(type(start.exception()).__name__ for start in started) == ["NoneType", *["StateError"] * 3]


def test_a_cycle_needs_a_flywheel(wheel: Ledger) -> None:
    with pytest.raises(NotFound, match="Did you mean 'fraud'"):
        _start(wheel, "frauds")


def test_a_cycle_keeps_what_it_was_told(wheel: Ledger, clock: SimulatedClock) -> None:
    began = clock.now()
    cycle_id = _start(wheel)
    clock.advance(timedelta(hours=1))
    cycles.move(wheel, "fraud", cycle_id, "waiting", step="release", waiting_for=APPROVAL)
    waiting = cycles.unfinished(wheel, "fraud")
    assert waiting is not None
    assert (waiting.waiting_for, waiting.step, waiting.finished_at) == (APPROVAL, "release", None)
    cycles.move(wheel, "fraud", cycle_id, "failed", error={"code": "storage"})
    failed = cycles.get(wheel, "fraud", cycle_id)
    assert (failed.state, failed.step, failed.waiting_for) == ("failed", "release", None)
    assert (failed.error, failed.as_of, failed.finished_at) == ({"code": "storage"}, began, clock.now())
    assert (failed.created_at, failed.updated_at) == (began, clock.now())
    assert cycles.unfinished(wheel, "fraud") is None


@pytest.mark.parametrize("end", ["finished", "rejected", "held", "failed", "cancelled"])
def test_what_has_ended_does_not_move_again(wheel: Ledger, end: cycles.State) -> None:
    cycle_id = _start(wheel)
    cycles.move(wheel, "fraud", cycle_id, end)
    with pytest.raises(StateError, match=f"is {end}"):
        cycles.move(wheel, "fraud", cycle_id, "running")


def test_waiting_is_for_something_and_only_waiting_is(wheel: Ledger) -> None:
    cycle_id = _start(wheel)
    with pytest.raises(StateError, match="wait for nothing"):
        cycles.move(wheel, "fraud", cycle_id, "waiting")
    with pytest.raises(StateError, match="running and wait for approval"):
        cycles.move(wheel, "fraud", cycle_id, "running", waiting_for=APPROVAL)


def test_a_cycle_belongs_to_its_flywheel(wheel: Ledger) -> None:
    cycle_id = _start(wheel)
    for use in (
        lambda: cycles.get(wheel, "hotel", cycle_id),
        lambda: cycles.move(wheel, "hotel", cycle_id, "cancelled"),
        lambda: cycles.decide(wheel, "hotel", cycle_id, "approve", "ada", ""),
        lambda: cycles.decision_for(wheel, "hotel", cycle_id, "release"),
        lambda: cycles.submit(wheel, "hotel", cycle_id, "model", "", "ada"),
        lambda: cycles.submissions_for(wheel, "hotel", cycle_id),
    ):
        with pytest.raises(NotFound, match="no cycle 'fraud-0001'"):
            use()


def test_a_decision_is_kept_by_the_step_it_is_about_and_audited(wheel: Ledger, clock: SimulatedClock) -> None:
    cycle_id = _start(wheel)
    training = Waiting(what="approval", where="training")
    cycles.move(wheel, "fraud", cycle_id, "waiting", waiting_for=training)
    cycles.decide(wheel, "fraud", cycle_id, "approve", "ada", "looks right")
    cycles.move(wheel, "fraud", cycle_id, "waiting", waiting_for=APPROVAL)
    assert cycles.decision_for(wheel, "fraud", cycle_id, "release") is None
    cycles.decide(wheel, "fraud", cycle_id, "reject", "bob", "not today")
    said = cycles.decision_for(wheel, "fraud", cycle_id, "training")
    assert said == cycles.HumanDecision(
        before="training", decision="approve", by="ada", reason="looks right", at=clock.now()
    )
    assert [(entry.by, entry.action) for entry in audit.entries(wheel, "fraud")] == [
        ("bob", "cycle.reject"),
        ("ada", "cycle.approve"),
    ]


def test_nothing_is_decided_twice_or_unasked(wheel: Ledger) -> None:
    cycle_id = _start(wheel)
    with pytest.raises(StateError, match="does not wait for approval: it is running"):
        cycles.decide(wheel, "fraud", cycle_id, "approve", "ada", "")
    cycles.move(wheel, "fraud", cycle_id, "waiting", waiting_for=APPROVAL)
    cycles.decide(wheel, "fraud", cycle_id, "approve", "ada", "")
    with pytest.raises(StateError, match="ada answered already at 2026-01-01 00:00 UTC: approve"):
        cycles.decide(wheel, "fraud", cycle_id, "reject", "bob", "")
    assert len(audit.entries(wheel, "fraud")) == 1


def test_only_what_is_awaited_is_taken_in(wheel: Ledger) -> None:
    cycle_id = _start(wheel)
    cycles.move(wheel, "fraud", cycle_id, "waiting", waiting_for=Waiting(what="model", where="data.parquet"))
    with pytest.raises(StateError, match="does not wait for confirmation: it waits for model"):
        cycles.submit(wheel, "fraud", cycle_id, "confirmation", "", "ada")
    assert cycles.submission(wheel, "fraud", cycle_id, ("model", "scores")) is None
    cycles.submit(wheel, "fraud", cycle_id, "model", "s3://models/1", "ci")
    cycles.submit(wheel, "fraud", cycle_id, "scores", "scores.parquet", "ci")
    assert [made.uri for made in cycles.submissions_for(wheel, "fraud", cycle_id)] == [
        "s3://models/1",
        "scores.parquet",
    ]
    last = cycles.submission(wheel, "fraud", cycle_id, ("model",))
    assert last is not None
    assert (last.kind, last.uri, last.by) == ("model", "s3://models/1", "ci")
