"""Claims on inbox rows: which slot moves them, under which batch number. A slot has one unfinished batch at most."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy import Connection

from whorl.storage.ledger.tables import inbox, inbox_claims, inbox_slots
from whorl.storage.ledger.upsert import insert_or_keep

log = logging.getLogger("whorl.inbox")

MOST_PAYLOADS = 20_000


class Waiting(NamedTuple):
    """One claimed row: its number, when it was taken in, how many records it holds, and they themselves."""

    seq: int
    received_at: datetime
    rows: int
    payload: bytes


@dataclass(frozen=True)
class Batch:
    """Claimed rows of one slot, oldest first.

    `number` is its version in the lake's app transaction, `last` the number of its newest row (0 when it is empty).
    """

    flywheel: str
    kind: str
    slot: int
    number: int
    last: int
    rows: list[Waiting]

    @property
    def payloads(self) -> list[tuple[datetime, bytes]]:
        """What its rows hold, each with the time at which it was taken in."""
        return [(row.received_at, row.payload) for row in self.rows]

    @property
    def app(self) -> str:
        """Who appends it to the lake."""
        return app_of(self.kind, self.slot)


def app_of(kind: str, slot: int) -> str:
    """Who appends a slot's batches to the lake: each slot counts for itself."""
    return kind if slot == 0 else f"{kind}/{slot}"


class Free(NamedTuple):
    """Rows that nobody had claimed, as runs of numbers, and how many batches there had been."""

    runs: list[tuple[int, int]]
    batches: int


def free(conn: Connection, flywheel: str, kind: str, max_rows: int, max_bytes: int) -> Free:
    """The oldest free rows that fit; the first one always does."""
    # Counted first: a batch that is claimed between the two is then one more than were counted.
    batches = _batches(conn, flywheel, kind)
    found = conn.execute(_free_runs(conn, flywheel, kind, max_rows, max_bytes))
    return Free([(run.first, run.last) for run in found], batches)


def claim(conn: Connection, flywheel: str, kind: str, slot: int, free: Free, appended: int) -> int | None:
    """The number of the slot's unfinished batch, else of a new one of these rows; None when somebody was faster.

    A new one has a number that the lake has not, `appended` being the slot's last one there: it would not take it.
    """
    last = _locked(conn, flywheel, kind, slot)
    claimed = unfinished(conn, flywheel, kind, slot)
    if claimed is not None:
        return claimed
    if _batches(conn, flywheel, kind) != free.batches:
        return None
    number = max(last, appended) + 1
    if appended > last:
        log.warning(
            "%s, %s: the ledger is older than the lake, as one that was restored from a backup. It knows of batch %d as "
            "the last that was moved, and the lake has batch %d. Moving goes on as batch %d. What waited in the backup "
            "and was moved since then comes again; what was accepted since then and not moved is lost.",
            flywheel, kind, last, appended, number,
        )  # fmt: skip
    _claim(conn, Batch(flywheel, kind, slot, number, 0, []), free.runs)
    the_slot = _of(inbox_slots, flywheel, kind) & (inbox_slots.c.slot == slot)
    conn.execute(inbox_slots.update().where(the_slot).values(last_batch=number))
    return number


def unfinished(conn: Connection, flywheel: str, kind: str, slot: int) -> int | None:
    """The number of the batch that the slot has claimed and not finished."""
    mine = _of(inbox_claims, flywheel, kind) & (inbox_claims.c.slot == slot)
    number: int | None = conn.execute(sa.select(inbox_claims.c.batch).where(mine).limit(1)).scalar()
    return number


def rows_of(conn: Connection, flywheel: str, kind: str, slot: int, number: int) -> Batch:
    """A claimed batch with its payloads; without any when it was finished meanwhile."""
    batch = Batch(flywheel, kind, slot, number, 0, [])
    wanted = sa.select(inbox.c.seq, inbox.c.received_at, inbox.c.rows, inbox.c.payload)
    wanted = wanted.select_from(inbox_claims.join(inbox, _in_run())).where(_runs_of(batch))
    rows = [Waiting(*row) for row in conn.execute(wanted.order_by(inbox.c.seq))]
    return replace(batch, last=rows[-1].seq if rows else 0, rows=rows)


def delete(conn: Connection, batch: Batch, first: int, last: int) -> None:
    """Delete those rows of a batch that have the numbers from first to last, and its claim with the last of them."""
    its_own = _of(inbox, batch.flywheel, batch.kind) & is_of(batch)
    conn.execute(inbox.delete().where(inbox.c.seq.between(first, last), its_own))
    empty = ~sa.exists().where(_in_run()).correlate(inbox_claims)
    conn.execute(inbox_claims.delete().where(_runs_of(batch), empty))


def is_of(batch: Batch) -> sa.ColumnElement[bool]:
    """Whether a row of the inbox, of the batch's flywheel and kind, is claimed for it."""
    return sa.exists().where(_in_run(), _runs_of(batch)).correlate(inbox)


def narrow(conn: Connection, batch: Batch) -> None:
    """Claim for a batch no number but those that its rows have: the others may be given anew."""
    left = [row.seq for row in rows_of(conn, batch.flywheel, batch.kind, batch.slot, batch.number).rows]
    conn.execute(inbox_claims.delete().where(_runs_of(batch)))
    _claim(conn, batch, [(seq, seq) for seq in left])


def slots_behind(conn: Connection, flywheel: str, upto: int) -> list[int]:
    """Slots with claims on rows up to a number."""
    behind = (inbox_claims.c.flywheel == flywheel) & (inbox_claims.c.first <= upto)
    return sorted(conn.execute(sa.select(inbox_claims.c.slot).where(behind).distinct()).scalars())


def _free_runs(
    conn: Connection, flywheel: str, kind: str, max_rows: int, max_bytes: int
) -> sa.Select[tuple[int, int]]:
    """The oldest rows that nobody has claimed and that fit, as runs; the first row always does."""
    claimed = sa.exists().where(_in_run()).correlate(inbox)
    rows = sa.select(inbox.c.seq, inbox.c.rows, inbox.c.bytes).where(_of(inbox, flywheel, kind), ~claimed)
    some = rows.order_by(inbox.c.seq).limit(MOST_PAYLOADS).subquery()
    in_order = some.c.seq
    held = sa.func.sum(some.c.rows).over(order_by=in_order) - some.c.rows
    size = sa.func.sum(some.c.bytes).over(order_by=in_order) - some.c.bytes
    # A number that is missing may be that of a row whose transaction has not ended. In SQLite they end in their order.
    missing = some.c.seq - sa.func.row_number().over(order_by=in_order)
    run = sa.literal(0) if conn.dialect.name == "sqlite" else missing
    before = sa.select(in_order, held.label("held"), size.label("size"), run.label("run")).subquery()
    runs = sa.select(sa.func.min(before.c.seq).label("first"), sa.func.max(before.c.seq).label("last"))
    return runs.where(before.c.held < max_rows, before.c.size < max_bytes).group_by(before.c.run)


def _batches(conn: Connection, flywheel: str, kind: str) -> int:
    """How many batches have been claimed, by all slots."""
    total = sa.select(sa.func.sum(inbox_slots.c.last_batch)).where(_of(inbox_slots, flywheel, kind))
    return int(conn.execute(total).scalar() or 0)


def _claim(conn: Connection, batch: Batch, runs: Sequence[tuple[int, int]]) -> None:
    its_own = {"flywheel": batch.flywheel, "kind": batch.kind, "slot": batch.slot, "batch": batch.number}
    if runs:
        conn.execute(
            inbox_claims.insert(), [{**its_own, "first": first, "last": last} for first, last in runs]
        )


def _locked(conn: Connection, flywheel: str, kind: str, slot: int) -> int:
    """The number of the slot's last batch; nobody claims of this kind until the transaction ends.

    Were there two batches of a slot, the later one could reach the lake first; were there two who claim, both could
    have the same rows. The first slot's row is everybody's lock.
    """
    for each in sorted({0, slot}):
        insert_or_keep(conn, inbox_slots, {"flywheel": flywheel, "kind": kind, "slot": each, "last_batch": 0})
    both = _of(inbox_slots, flywheel, kind) & inbox_slots.c.slot.in_((0, slot))
    last = sa.select(inbox_slots.c.slot, inbox_slots.c.last_batch).where(both).order_by(inbox_slots.c.slot)
    return int(conn.execute(last.with_for_update()).all()[-1].last_batch)


def _of(table: sa.Table, flywheel: str, kind: str) -> sa.ColumnElement[bool]:
    return sa.and_(table.c.flywheel == flywheel, table.c.kind == kind)


def _in_run() -> sa.ColumnElement[bool]:
    """Whether a row is in a run."""
    same = (inbox.c.flywheel == inbox_claims.c.flywheel) & (inbox.c.kind == inbox_claims.c.kind)
    return same & inbox.c.seq.between(inbox_claims.c.first, inbox_claims.c.last)


def _runs_of(batch: Batch) -> sa.ColumnElement[bool]:
    of_slot = _of(inbox_claims, batch.flywheel, batch.kind) & (inbox_claims.c.slot == batch.slot)
    return of_slot & (inbox_claims.c.batch == batch.number)
