"""What runs and what is stuck: the lock, flushes, cycles, messages, MLflow's copy."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from whorl.monitor.overview import START, stopped
from whorl.serve.checkup.check import Check
from whorl.storage import cycles as all_cycles
from whorl.storage import flywheels, unreadable
from whorl.storage.inbox import depth_of
from whorl.storage.ledger import tables as t
from whorl.storage.ledger.ledger import Ledger
from whorl.storage.lock import TURNING, holder
from whorl.storage.outbox import failing

SLOW = timedelta(minutes=1)
STUCK = timedelta(minutes=15)
LONG = timedelta(days=1)


def lock(root: Path, ledger: Ledger) -> Iterator[Check]:
    """Who flushes and turns."""
    by = holder(root, ledger, TURNING)
    if by is None:
        yield Check.ok("lock", str(root), "No process runs this workspace.")
    else:
        since = f"{by.since:%Y-%m-%d %H:%M:%S} UTC"
        yield Check.ok(
            "lock", str(root), f"Process {by.pid} on {by.host} runs it since {since}: {by.command}."
        )


def inbox(ledger: Ledger, now: datetime) -> Iterator[Check]:
    """How long the oldest accepted record waits for the lake, and batches that were begun and not ended."""
    for flywheel in flywheels.names(ledger):
        depth = depth_of(ledger, flywheel)
        if depth.oldest is None:
            yield Check.ok("inbox", flywheel, "Everything that was accepted is in the lake.")
            continue
        waits = now - depth.oldest
        begun = _claimed(ledger, flywheel)
        halfway = f" {begun} batch(es) were begun and not ended." if begun else ""
        message = (
            f"{depth.rows:,} records ({depth.bytes:,} bytes) wait, the oldest for {_span(waits)}.{halfway}"
        )
        if waits < SLOW:
            yield Check.ok("inbox", flywheel, message)
        else:
            hint = f"{START} If one runs: its log says why flushing fails; a begun batch is taken up again."
            make = Check.bad if waits > STUCK else Check.warn
            yield make("inbox", flywheel, message, hint)


def unread(ledger: Ledger) -> Iterator[Check]:
    """What was accepted, and could not be read when it was to be moved."""
    for flywheel in flywheels.names(ledger):
        found = unreadable.listed(ledger, flywheel)
        if not found:
            yield Check.ok("unreadable", flywheel, "Everything that was accepted could be read.")
            continue
        records, newest = sum(one.rows for one in found), found[-1]
        message = (
            f"{records:,} accepted records, in {len(found)} batch(es), could not be read and are not in the lake; the last were "
            f"{newest.rows} {newest.kind} of {newest.received_at:%Y-%m-%d %H:%M:%S} UTC: {newest.error}."
        )
        hint = (
            "Their bytes are kept (whorl inbox list). Check the ledger's disk. After an upgrade, or once they are "
            "mended: whorl inbox retry."
        )
        yield Check.bad("unreadable", flywheel, message, hint)


def _claimed(ledger: Ledger, flywheel: str) -> int:
    batches = sa.select(t.inbox_claims.c.kind, t.inbox_claims.c.slot, t.inbox_claims.c.batch).distinct()
    mine = batches.where(t.inbox_claims.c.flywheel == flywheel).subquery()
    with ledger.read() as conn:
        return int(conn.execute(sa.select(sa.func.count()).select_from(mine)).scalar_one())


def cycles(root: Path, ledger: Ledger, now: datetime) -> Iterator[Check]:
    """The last cycle of each flywheel."""
    for flywheel in flywheels.names(ledger):
        last = next(iter(all_cycles.listed(ledger, flywheel, limit=1)), None)
        if last is None:
            yield Check.ok("cycles", flywheel, "None has run yet.")
        elif (where := stopped(root, ledger, last)) is not None:
            yield Check.warn("cycles", flywheel, where, f"{START} It goes on at that step.")
        elif last.state == "running" and now - last.updated_at > LONG:
            message = f"{last.id} is in its step {last.step} for {_span(now - last.updated_at)}."
            yield Check.warn(
                "cycles", flywheel, message, "Look at the server's log and the workspace's logs/."
            )
        elif last.state == "failed":
            said = (last.error or {}).get("message", "")
            hint = "Mend the cause; the next cycle begins anew: whorl cycle run."
            yield Check.warn("cycles", flywheel, f"{last.id} failed: {said}", hint)
        elif last.waiting_for is not None:
            waiting = last.waiting_for
            message = f"{last.id} waits for {waiting.what} since {_span(now - last.updated_at)}."
            late = waiting.until is not None and waiting.until < now
            yield (
                Check.warn("cycles", flywheel, message, waiting.hint)
                if late
                else Check.ok("cycles", flywheel, message)
            )
        else:
            yield Check.ok("cycles", flywheel, f"{last.id} is {last.state}.")


def outbox(ledger: Ledger) -> Iterator[Check]:
    """Messages that could not be sent."""
    for flywheel in flywheels.names(ledger):
        failed = failing(ledger, flywheel)
        if failed:
            first = failed[0]
            message = f"{len(failed)} message(s) did not arrive; the oldest was tried {first.attempts} times: {first.error}."
            hint = "Check the address in [release] or [monitor], its server, and [release] secret_env; they are tried again by themselves."
            yield Check.warn("outbox", flywheel, message, hint)
        else:
            yield Check.ok("outbox", flywheel, "Nothing that was tried is left.")


def mirror(ledger: Ledger, now: datetime) -> Iterator[Check]:
    """How far MLflow is behind the ledger's pointers."""
    behind = sa.select(t.pointers.c.flywheel, t.pointers.c.alias, t.pointers.c.changed_at).where(
        t.pointers.c.mirrored.is_(False), t.pointers.c.changed_at < now - SLOW
    )
    with ledger.read() as conn:
        late = conn.execute(behind.order_by(t.pointers.c.changed_at)).all()
    if late:
        flywheel, alias, changed_at = late[0]
        message = f"The alias {alias} of {flywheel} is behind for {_span(now - changed_at)}."
        hint = "A running server brings it up to date; check that MLflow's server answers. What serves is not touched."
        yield Check.warn("mlflow", ledger.place, message, hint)
    else:
        yield Check.ok("mlflow", ledger.place, "Its aliases are those of the ledger.")


def _span(span: timedelta) -> str:
    """As people say it: the largest unit.

    >>> [_span(timedelta(seconds=s)) for s in (5, 150, 7300, 200_000)]
    ['5 s', '2 min', '2 h', '2 d']
    """
    seconds = max(0, int(span.total_seconds()))
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size or (unit == "min" and seconds >= size):
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
