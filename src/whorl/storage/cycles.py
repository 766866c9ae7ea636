"""Where each cycle stands, what people decided about it, and what was handed in for it.

    running ⇄ waiting (for approval, a model, a confirmation)
       └──────┴──► finished | rejected | held | failed | cancelled

What its steps gave is in `journal.py`; who runs them, in `cycle.py`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec
import sqlalchemy as sa
from sqlalchemy import Connection

from whorl.errors import NotFound, StateError
from whorl.records import CycleId, Record, Waiting
from whorl.storage import audit, flywheels
from whorl.storage.ledger import tables
from whorl.storage.ledger.ledger import Ledger
from whorl.storage.ledger.tables import cycles, decisions, submissions

State = Literal["running", "waiting", "finished", "rejected", "held", "failed", "cancelled"]
Submitted = Literal["model", "scores", "confirmation"]

_UNFINISHED: tuple[State, ...] = ("running", "waiting")
_ANSWERS: dict[Submitted, str] = {"model": "model", "scores": "model", "confirmation": "confirmation"}


class Cycle(Record, frozen=True, kw_only=True):
    """One turn of a flywheel. `step` is the one it was last said to be in."""

    id: CycleId
    flywheel: str
    number: int
    state: State
    trigger: str
    as_of: datetime
    spec_hash: str
    step: str | None
    waiting_for: Waiting | None
    error: dict[str, Any] | None
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None


class HumanDecision(Record, frozen=True, kw_only=True):
    """What a person decided about a waiting cycle, `before` the step that needs it."""

    before: str
    decision: Literal["approve", "reject"]
    by: str
    reason: str
    at: datetime


class Submission(Record, frozen=True, kw_only=True):
    """What was handed in for a waiting cycle."""

    kind: Submitted
    uri: str
    by: str
    at: datetime


def start(ledger: Ledger, flywheel: str, trigger: str, as_of: datetime, spec_hash: str) -> CycleId:
    """Begin a cycle, in state `running`. Raises NotFound, or StateError while another one is unfinished."""
    now = ledger.clock.now()
    with ledger.write() as conn:
        _only_one(conn, ledger, flywheel)
        last = sa.select(sa.func.max(cycles.c.number)).where(cycles.c.flywheel == flywheel)
        number = (conn.execute(last).scalar() or 0) + 1
        cycle_id = CycleId(f"{flywheel}-{number:04d}")
        conn.execute(
            cycles.insert().values(
                id=cycle_id, flywheel=flywheel, number=number, state="running", trigger=trigger, as_of=as_of,
                spec_hash=spec_hash, created_at=now, updated_at=now,
            )
        )  # fmt: skip
    return cycle_id


def move(
    ledger: Ledger,
    flywheel: str,
    cycle_id: str,
    state: State,
    *,
    step: str | None = None,
    waiting_for: Waiting | None = None,
    error: dict[str, Any] | None = None,
) -> None:
    """Bring an unfinished cycle into a state; `step` None keeps the one it is in.

    Raises:
        NotFound: The flywheel has no such cycle.
        StateError: The cycle has ended, or it is to wait for nothing, or to wait without waiting.
    """
    if (state == "waiting") != (waiting_for is not None):
        wanted = f"wait for {waiting_for.what}" if waiting_for else "wait for nothing"
        raise StateError(f"A cycle cannot be {state} and {wanted}.", where=cycle_id)
    now = ledger.clock.now()
    with ledger.write() as conn:
        cycle = _locked(conn, flywheel, cycle_id)
        if cycle.state not in _UNFINISHED:
            raise StateError(f"The cycle is {cycle.state}; it cannot become {state}.", where=cycle_id)
        changed = {
            "state": state,
            "step": step if step is not None else cycle.step,
            "waiting_for": waiting_for if waiting_for is not None else sa.null(),
            "error": error if error is not None else sa.null(),
            "updated_at": now,
            "finished_at": None if state in _UNFINISHED else now,
        }
        conn.execute(cycles.update().where(cycles.c.id == cycle_id).values(changed))


def get(ledger: Ledger, flywheel: str, cycle_id: str) -> Cycle:
    """One cycle of a flywheel. Raises NotFound."""
    with ledger.read() as conn:
        return _found(conn, _of(flywheel, cycle_id), cycle_id)


def listed(
    ledger: Ledger, flywheel: str | None = None, *, limit: int = 100, before: int | None = None
) -> list[Cycle]:
    """The last cycles, newest first; of one flywheel, or of all. `before` a number gives those that follow it."""
    wanted = sa.select(cycles).order_by(cycles.c.created_at.desc(), cycles.c.number.desc()).limit(limit)
    if flywheel is not None:
        wanted = wanted.where(cycles.c.flywheel == flywheel)
    if before is not None:
        wanted = wanted.where(cycles.c.number < before)
    with ledger.read() as conn:
        return [_cycle(row) for row in conn.execute(wanted)]


def unfinished(ledger: Ledger, flywheel: str) -> Cycle | None:
    """The flywheel's cycle that runs or waits; there is never more than one."""
    with ledger.read() as conn:
        return _unfinished(conn, flywheel)


def decide(
    ledger: Ledger, flywheel: str, cycle_id: str, decision: Literal["approve", "reject"], by: str, reason: str
) -> None:
    """Answer a cycle that waits for approval; whoever runs cycles goes on from there.

    Raises:
        NotFound: The flywheel has no such cycle.
        StateError: It does not wait for approval, or was answered already.
    """
    now = ledger.clock.now()
    with ledger.write() as conn:
        before = _must_wait_for(_locked(conn, flywheel, cycle_id), "approval").where
        earlier = _decision(conn, cycle_id, before)
        if earlier is not None:
            raise StateError(
                f"{earlier.by} answered already at {earlier.at:%Y-%m-%d %H:%M} UTC: {earlier.decision}.",
                where=cycle_id,
                hint="It goes on as soon as a process runs cycles (`whorl serve` or `whorl cycle run`).",
            )
        said = {"before": before, "decision": decision, "by": by, "reason": reason, "at": now}
        conn.execute(decisions.insert().values(cycle_id=cycle_id, **said))
        body = {"cycle": cycle_id, "before": before, "reason": reason}
        audit.append(conn, flywheel, at=now, by=by, action=f"cycle.{decision}", body=body)


def decision_for(ledger: Ledger, flywheel: str, cycle_id: str, before: str) -> HumanDecision | None:
    """What was decided about a cycle when it waited before this step. Raises NotFound."""
    with ledger.read() as conn:
        return _decision(conn, _found(conn, _of(flywheel, cycle_id), cycle_id).id, before)


def submit(ledger: Ledger, flywheel: str, cycle_id: str, kind: Submitted, uri: str, by: str) -> None:
    """Hand in what a cycle waits for: a model, scores in its stead, or the confirmation of a release.

    Raises:
        NotFound: The flywheel has no such cycle.
        StateError: It does not wait for this.
    """
    now = ledger.clock.now()
    with ledger.write() as conn:
        _must_wait_for(_locked(conn, flywheel, cycle_id), _ANSWERS[kind])
        row = {"cycle_id": cycle_id, "kind": kind, "uri": uri, "by": by, "at": now}
        conn.execute(submissions.insert().values(row))
        body = {"cycle": cycle_id, "kind": kind, "uri": uri}
        audit.append(conn, flywheel, at=now, by=by, action="cycle.submit", body=body)


def submissions_for(ledger: Ledger, flywheel: str, cycle_id: str) -> list[Submission]:
    """What was handed in for a cycle, oldest first. Raises NotFound."""
    wanted = _fields(submissions, Submission).where(submissions.c.cycle_id == cycle_id)
    with ledger.read() as conn:
        _found(conn, _of(flywheel, cycle_id), cycle_id)
        return [Submission(**row._mapping) for row in conn.execute(wanted.order_by(submissions.c.seq))]


def submission(ledger: Ledger, flywheel: str, cycle_id: str, kinds: Sequence[Submitted]) -> Submission | None:
    """The last thing of these kinds that was handed in for a cycle. Raises NotFound."""
    found = [made for made in submissions_for(ledger, flywheel, cycle_id) if made.kind in kinds]
    return found[-1] if found else None


def _only_one(conn: Connection, ledger: Ledger, flywheel: str) -> None:
    """Keeps others from starting one until this transaction ends; StateError while one is unfinished."""
    known = sa.select(tables.flywheels.c.name).where(tables.flywheels.c.name == flywheel).with_for_update()
    if conn.execute(known).scalar() is None:
        raise flywheels.unknown(ledger, flywheel)
    other = _unfinished(conn, flywheel)
    if other is not None:
        waits = f" for {other.waiting_for.what}" if other.waiting_for else ""
        raise StateError(
            f"Cycle {other.id} is not finished: it is {other.state}{waits}.",
            where=flywheel,
            hint="Let it end, answer it (`whorl cycle approve|reject`), or cancel it.",
            cycle_id=other.id,
            state=other.state,
        )


def _unfinished(conn: Connection, flywheel: str) -> Cycle | None:
    wanted = sa.select(cycles).where(cycles.c.flywheel == flywheel, cycles.c.state.in_(_UNFINISHED))
    row = conn.execute(wanted).one_or_none()
    return None if row is None else _cycle(row)


def _of(flywheel: str, cycle_id: str) -> sa.Select[Any]:
    return sa.select(cycles).where(cycles.c.id == cycle_id, cycles.c.flywheel == flywheel)


def _locked(conn: Connection, flywheel: str, cycle_id: str) -> Cycle:
    return _found(conn, _of(flywheel, cycle_id).with_for_update(), cycle_id)


def _found(conn: Connection, query: sa.Select[Any], cycle_id: str) -> Cycle:
    row = conn.execute(query).one_or_none()
    if row is None:
        raise NotFound(f"There is no cycle {cycle_id!r}.", hint="`whorl cycle list` shows them.")
    return _cycle(row)


def _cycle(row: sa.Row[Any]) -> Cycle:
    waiting = msgspec.convert(row.waiting_for, Waiting | None)
    return Cycle(**{**row._mapping, "waiting_for": waiting})


def _must_wait_for(cycle: Cycle, what: str) -> Waiting:
    waiting = cycle.waiting_for
    if waiting is None or waiting.what != what:
        found = f"waits for {waiting.what}" if waiting else f"is {cycle.state}"
        raise StateError(f"The cycle does not wait for {what}: it {found}.", where=cycle.id)
    return waiting


def _decision(conn: Connection, cycle_id: str, before: str) -> HumanDecision | None:
    where = (decisions.c.cycle_id == cycle_id) & (decisions.c.before == before)
    row = conn.execute(_fields(decisions, HumanDecision).where(where)).one_or_none()
    return None if row is None else HumanDecision(**row._mapping)


def _fields(table: sa.Table, record: type[Record]) -> sa.Select[Any]:
    return sa.select(*(table.c[field] for field in record.__struct_fields__))
