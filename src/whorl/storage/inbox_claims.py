"""Claims on inbox rows: which slot moves them, under which batch number. A slot has one unfinished batch at most."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy import Connection

from whorl.storage.ledger.tables import inbox, inbox_claims, inbox_slots
from whorl.storage.ledger.upsert import insert_or_keep, insert_selected

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
        """Who appends it to the lake: each slot counts for itself."""
        return self.kind if self.slot == 0 else f"{self.kind}/{self.slot}"


def claim(conn: Connection, flywheel: str, kind: str, slot: int, max_rows: int, max_bytes: int) -> int | None:
    """The number of the slot's unfinished batch, else of a new one of the oldest free rows; None when there are none."""
    # The slot's row is the lock between claims: were there two batches, the later one could reach the lake first.
    number = _locked(conn, flywheel, kind, slot) + 1
    claimed = unfinished(conn, flywheel, kind, slot)
    if claimed is not None:
        return claimed
    found = conn.execute(_free(flywheel, kind).limit(MOST_PAYLOADS)).all()
    if not found:
        return None
    last = _last_that_fits([(row.seq, row.rows, row.bytes) for row in found], max_rows, max_bytes)
    columns = (inbox.c.seq, inbox.c.flywheel, inbox.c.kind, sa.literal(slot), sa.literal(number))
    between = inbox.c.seq.between(found[0].seq, last)
    taken = insert_selected(
        conn,
        inbox_claims,
        ("seq", "flywheel", "kind", "slot", "batch"),
        _free(flywheel, kind).with_only_columns(*columns).where(between),
    )
    if not taken:
        # Another slot was faster.
        return None
    the_slot = _slot(flywheel, kind, slot)
    conn.execute(inbox_slots.update().where(the_slot).values(last_batch=number))
    return number


def unfinished(conn: Connection, flywheel: str, kind: str, slot: int) -> int | None:
    """The number of the batch that the slot has claimed and not finished."""
    claimed = sa.select(inbox_claims.c.batch).where(_of_slot(flywheel, kind, slot)).limit(1)
    number: int | None = conn.execute(claimed).scalar()
    return number


def rows_of(conn: Connection, flywheel: str, kind: str, slot: int, number: int) -> Batch:
    """A claimed batch with its payloads; without any when it was finished meanwhile."""
    wanted = sa.select(inbox.c.seq, inbox.c.received_at, inbox.c.rows, inbox.c.payload).where(
        inbox.c.seq.in_(_seqs(flywheel, kind, slot, number))
    )
    found = conn.execute(wanted.order_by(inbox.c.seq)).all()
    last = found[-1].seq if found else 0
    return Batch(flywheel, kind, slot, number, last, [Waiting(*row) for row in found])


def delete(conn: Connection, batch: Batch, only: Sequence[int] | None = None) -> None:
    """Delete a batch's rows and its claims; or only those of some numbers."""
    seqs = seqs_of(batch) if only is None else seqs_of(batch).where(inbox_claims.c.seq.in_(only))
    conn.execute(inbox.delete().where(inbox.c.seq.in_(seqs)))
    conn.execute(inbox_claims.delete().where(inbox_claims.c.seq.in_(seqs)))


def seqs_of(batch: Batch) -> sa.Select[tuple[int]]:
    """The numbers of the rows that are claimed for a batch."""
    return _seqs(batch.flywheel, batch.kind, batch.slot, batch.number)


def slots_behind(conn: Connection, flywheel: str, upto: int) -> list[int]:
    """Slots with claims on rows up to a number."""
    behind = (inbox_claims.c.flywheel == flywheel) & (inbox_claims.c.seq <= upto)
    return sorted(conn.execute(sa.select(inbox_claims.c.slot).where(behind).distinct()).scalars())


def _free(flywheel: str, kind: str) -> sa.Select[tuple[int, int, int]]:
    """Rows that nobody has claimed, oldest first; those that another transaction is about to claim are left to it."""
    claimed = sa.exists().where(inbox_claims.c.seq == inbox.c.seq)
    wanted = sa.select(inbox.c.seq, inbox.c.rows, inbox.c.bytes)
    wanted = wanted.where(inbox.c.flywheel == flywheel, inbox.c.kind == kind, ~claimed)
    return wanted.order_by(inbox.c.seq).with_for_update(skip_locked=True, of=inbox)


def _last_that_fits(rows: list[tuple[int, int, int]], max_rows: int, max_bytes: int) -> int:
    """The number of the last row of those that fit, in their order; the first one always does."""
    held = size = 0

    def fits(row: tuple[int, int, int]) -> bool:
        nonlocal held, size
        before = (held, size)
        held, size = held + row[1], size + row[2]
        return before[0] < max_rows and before[1] < max_bytes

    return [seq for seq, _, _ in takewhile(fits, rows)][-1]


def _locked(conn: Connection, flywheel: str, kind: str, slot: int) -> int:
    """The number of the slot's last batch; nobody else claims for it until this transaction ends."""
    insert_or_keep(conn, inbox_slots, {"flywheel": flywheel, "kind": kind, "slot": slot, "last_batch": 0})
    last = sa.select(inbox_slots.c.last_batch).where(_slot(flywheel, kind, slot))
    return int(conn.execute(last.with_for_update()).scalar_one())


def _slot(flywheel: str, kind: str, slot: int) -> sa.ColumnElement[bool]:
    return sa.and_(inbox_slots.c.flywheel == flywheel, inbox_slots.c.kind == kind, inbox_slots.c.slot == slot)


def _of_slot(flywheel: str, kind: str, slot: int) -> sa.ColumnElement[bool]:
    return sa.and_(
        inbox_claims.c.flywheel == flywheel, inbox_claims.c.kind == kind, inbox_claims.c.slot == slot
    )


def _of_batch(flywheel: str, kind: str, slot: int, number: int) -> sa.ColumnElement[bool]:
    return sa.and_(_of_slot(flywheel, kind, slot), inbox_claims.c.batch == number)


def _seqs(flywheel: str, kind: str, slot: int, number: int) -> sa.Select[tuple[int]]:
    return sa.select(inbox_claims.c.seq).where(_of_batch(flywheel, kind, slot, number))
