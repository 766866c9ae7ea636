"""What is due when: told only the time and what the ledger says."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from whorl.records import CycleId, Waiting
from whorl.serve.scheduler import LONGEST_WAIT, Scheduler, Seen, Task
from whorl.spec import Spec, parse_spec
from whorl.storage.cycles import Cycle

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
WEEKLY = parse_spec('name = "f"\ntask = "binary"\n[cadence]\nevery = "7d"')
BY_HAND = parse_spec('name = "f"\ntask = "binary"')
BY_FINDINGS = parse_spec('name = "f"\ntask = "binary"\n[monitor]\nstart_cycle = true')


def cycle(state: Any = "finished", *, at: datetime = NOON, waiting_for: Waiting | None = None) -> Cycle:
    return Cycle(
        id=CycleId("f-0001"), flywheel="f", number=1, state=state, trigger="manual", as_of=at, spec_hash="",
        step=None, waiting_for=waiting_for, error=None, created_at=at, updated_at=at, finished_at=None,
    )  # fmt: skip


def due(spec: Spec, now: datetime, **seen: Any) -> list[Task]:
    return Scheduler(spec, now).due(now, Seen(**{"paced_from": NOON, **seen}))


def test_nothing_to_do_is_nothing_due() -> None:
    assert due(WEEKLY, NOON) == []


def test_flushes_every_two_seconds_and_at_once_when_many_wait() -> None:
    scheduler, flush = Scheduler(BY_HAND, NOON), Task("flush")
    few, many = Seen(paced_from=NOON, waiting_rows=1), Seen(paced_from=NOON, waiting_rows=50_000)
    assert scheduler.due(NOON, few) == [flush]
    scheduler.begun(flush, NOON)
    assert scheduler.due(NOON + SECOND, many) == [], "it is still running"
    scheduler.ended(flush, NOON, well=True)
    assert scheduler.due(NOON + SECOND, few) == []
    assert scheduler.due(NOON + SECOND, many) == [flush]
    assert scheduler.due(NOON + 2 * SECOND, few) == [flush]


def test_the_first_cycle_starts_one_cadence_after_registration() -> None:
    assert due(WEEKLY, NOON + 7 * DAY - SECOND) == []
    assert due(WEEKLY, NOON + 7 * DAY) == [Task("start", "cadence")]
    assert due(BY_HAND, NOON + 700 * DAY) == []


@pytest.mark.parametrize("state", ["finished", "failed", "held", "rejected", "cancelled"])
def test_the_next_cycle_starts_one_cadence_after_the_last_one_started(state: str) -> None:
    last = cycle(state, at=NOON + 3 * DAY)
    assert due(WEEKLY, NOON + 9 * DAY, last=last, paced_from=last.created_at) == []
    assert due(WEEKLY, NOON + 10 * DAY, last=last, paced_from=last.created_at) == [Task("start", "cadence")]


def test_an_unfinished_cycle_goes_on_and_no_other_starts() -> None:
    assert due(WEEKLY, NOON + 70 * DAY, last=cycle("running")) == [Task("turn", "f-0001")]


def test_a_waiting_cycle_goes_on_once_it_is_answered() -> None:
    last = cycle("waiting", waiting_for=Waiting(what="approval", where="release"))
    assert due(WEEKLY, NOON + 70 * DAY, last=last) == []
    assert due(WEEKLY, NOON + 70 * DAY, last=last, answered=True) == [Task("turn", "f-0001")]


def test_a_finding_after_the_last_cycle_starts_one_where_the_spec_says_so() -> None:
    assert due(BY_HAND, NOON + DAY, found_at=NOON) != [Task("start", "finding")]
    assert due(BY_FINDINGS, NOON + DAY, found_at=NOON) == [Task("start", "finding")]
    assert due(BY_FINDINGS, NOON + DAY, last=cycle(), found_at=NOON + HOUR) == [Task("start", "finding")]
    assert due(BY_FINDINGS, NOON + DAY, last=cycle(), found_at=NOON - HOUR) == [], "that cycle has seen it"


def test_quality_is_watched_every_hour_but_not_while_a_cycle_turns() -> None:
    scheduler, watch = Scheduler(BY_HAND, NOON), Task("watch")
    idle = Seen(paced_from=NOON)
    assert watch not in scheduler.due(NOON + HOUR - SECOND, idle)
    assert watch in scheduler.due(NOON + HOUR, idle)
    scheduler.begun(Task("turn", "f-0001"), NOON)
    assert watch not in scheduler.due(NOON + HOUR, idle)


@pytest.mark.parametrize("what", ["approval", "model", "confirmation"])
def test_quality_is_watched_every_hour_while_a_cycle_waits_and_none_is_started(what: Any) -> None:
    spec = parse_spec('name = "f"\ntask = "binary"\n[cadence]\nevery = "7d"\n[monitor]\nstart_cycle = true')
    scheduler, watch = Scheduler(spec, NOON), Task("watch")
    waits = Seen(
        paced_from=NOON,
        last=cycle("waiting", waiting_for=Waiting(what=what, where="release")),
        found_at=NOON + HOUR,
    )
    for hour in range(1, 24 * 10):
        now = NOON + hour * HOUR
        assert [task for task in scheduler.due(now, waits) if task.what in ("watch", "start")] == [watch]
        scheduler.begun(watch, now)
        scheduler.ended(watch, now, well=True)
    ended = waits._replace(last=cycle(at=NOON), paced_from=NOON + 9 * DAY)
    assert Task("start", "finding") in scheduler.due(NOON + 10 * DAY, ended), (
        "what came up meanwhile starts one"
    )


@pytest.mark.parametrize(
    ("task", "seen"),
    [
        (Task("turn", "f-0001"), Seen(paced_from=NOON, last=cycle("running"))),
        (Task("start", "cadence"), Seen(paced_from=NOON - 8 * DAY)),
    ],
)
def test_quality_is_watched_while_what_failed_rests(task: Task, seen: Seen) -> None:
    scheduler = Scheduler(WEEKLY, NOON)
    for _ in range(9):
        scheduler.begun(task, NOON + HOUR)
        scheduler.ended(task, NOON + HOUR, well=False)
    assert Task("watch") in scheduler.due(NOON + HOUR + SECOND, seen)
    assert task in scheduler.due(NOON + HOUR + LONGEST_WAIT, seen)


def test_the_champion_is_loaded_where_it_is_asked_for() -> None:
    assert due(BY_HAND, NOON, champion="f/2", loaded="f/1", serves=True) == [Task("load")]
    assert due(BY_HAND, NOON, champion="f/2", loaded="f/2", serves=True) == []
    assert due(BY_HAND, NOON, champion="f/2", serves=False) == []


def test_webhooks_and_aliases_go_out_when_there_are_any() -> None:
    assert due(BY_HAND, NOON, deliveries=True, mirrored=False) == [Task("mirror"), Task("deliver")]


def test_tables_are_maintained_now_and_then() -> None:
    scheduler, maintain = Scheduler(BY_HAND, NOON), Task("maintain")
    assert scheduler.due(NOON + HOUR / 4, Seen(paced_from=NOON)) == [maintain]
    scheduler.begun(maintain, NOON + HOUR / 4)
    scheduler.ended(maintain, NOON + HOUR / 4, well=True)
    assert scheduler.due(NOON + HOUR / 4 + SECOND, Seen(paced_from=NOON)) == []


def test_tables_are_maintained_when_there_are_many_new_files_but_not_all_the_time() -> None:
    scheduler, maintain = Scheduler(BY_HAND, NOON), Task("maintain")
    few, many = Seen(paced_from=NOON, new_files=199), Seen(paced_from=NOON, new_files=200)
    assert scheduler.due(NOON + 20 * SECOND, few) == []
    assert scheduler.due(NOON + 19 * SECOND, many) == []
    assert scheduler.due(NOON + 20 * SECOND, many) == [maintain]
    scheduler.begun(maintain, NOON + 20 * SECOND)
    waiting = Seen(paced_from=NOON, new_files=200, waiting_rows=1)
    assert scheduler.due(NOON + 50 * SECOND, waiting) == [Task("flush")], "it flushes meanwhile"


def test_rows_of_many_days_are_flushed_less_often_and_still_soon() -> None:
    scheduler, flush = Scheduler(BY_HAND, NOON), Task("flush")
    few = Seen(paced_from=NOON, waiting_rows=1, scattered=True)
    scheduler.begun(flush, NOON)
    scheduler.ended(flush, NOON, well=True)
    assert scheduler.due(NOON + 9 * SECOND, few) == []
    assert scheduler.due(NOON + 9 * SECOND, few._replace(waiting_rows=50_000)) == [flush]
    assert scheduler.due(NOON + 10 * SECOND, few) == [flush]


def test_flushing_comes_again_within_seconds_however_often_it_failed() -> None:
    scheduler, flush = Scheduler(BY_HAND, NOON), Task("flush")
    waits = []
    for _ in range(20):
        scheduler.begun(flush, NOON)
        waits.append(scheduler.ended(flush, NOON, well=False).total_seconds())
    assert waits == [1, 2, 4, *[5] * 17]


def test_what_fails_comes_again_later_each_time_and_at_once_after_it_worked() -> None:
    scheduler, turn = Scheduler(BY_HAND, NOON), Task("turn", "f-0001")
    running = Seen(paced_from=NOON, last=cycle("running"))
    waits = []
    for _ in range(20):
        scheduler.begun(turn, NOON)
        waits.append(scheduler.ended(turn, NOON, well=False))
    assert [wait.total_seconds() for wait in waits[:4]] == [1, 2, 4, 8]
    assert waits[-1] == LONGEST_WAIT
    assert scheduler.due(NOON + LONGEST_WAIT - SECOND, running) == []
    assert scheduler.due(NOON + LONGEST_WAIT, running) == [turn]
    scheduler.begun(turn, NOON + HOUR / 10)
    scheduler.ended(turn, NOON + HOUR / 10, well=True)
    assert scheduler.due(NOON + HOUR / 10, running) == [turn]
