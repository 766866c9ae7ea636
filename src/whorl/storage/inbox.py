"""The inbox: captured batches wait here, durable, until the flusher has moved them to the lake.

Acknowledged means committed. Moving is exactly once: `claim` writes a batch number on rows and commits; the flusher
appends them to the lake under that number, which the lake refuses a second time; `finish` deletes them. A position
("moved up to row N") would lose rows: a transaction that took a lower number may commit later.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from time import perf_counter
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy import Connection

from whorl.errors import InboxFull, StorageError
from whorl.storage.group_commit import GroupCommit, Outcome
from whorl.storage.ledger.ledger import Ledger
from whorl.storage.ledger.tables import inbox, inbox_slots
from whorl.storage.ledger.upsert import insert_or_keep

CAPACITY_BYTES = 1 << 30
BATCH_BYTES = 256 << 20
_MEASURE_EVERY_S = 1.0


@dataclass(frozen=True)
class Batch:
    """Claimed rows of one slot, oldest first; `number` is its version in the lake's app transaction."""

    flywheel: str
    kind: str
    number: int
    payloads: list[tuple[datetime, bytes]]


class Depth(NamedTuple):
    """What waits: records, payload bytes, and when the oldest was received (None when nothing waits)."""

    rows: int
    bytes: int
    oldest: datetime | None


class _Write(NamedTuple):
    flywheel: str
    kind: str
    payload: bytes
    rows: int
    received_at: datetime


class Inbox:
    """The ledger's inbox, shared by threads and, on PostgreSQL, by machines.

    Args:
        capacity_bytes: Payload bytes of the whole ledger above which nothing more is accepted. Other processes'
            rows are counted once a second, so several writers may pass it by what they accept in that time.
    """

    def __init__(self, ledger: Ledger, capacity_bytes: int = CAPACITY_BYTES) -> None:
        self._ledger = ledger
        self._capacity = capacity_bytes
        self._used = 0
        self._measured_at = -_MEASURE_EVERY_S
        self._group: GroupCommit[_Write] = GroupCommit(self._commit)

    def accept(self, flywheel: str, kind: str, payload: bytes, rows: int, received_at: datetime) -> None:
        """Keep a payload of `rows` records; returns once it is on disk. Threads that call at once share a commit.

        Raises:
            InboxFull: It does not fit; nothing of it was kept.
            StorageError: The ledger could not be written; nothing of it was kept.
        """
        self._group.submit(_Write(flywheel, kind, payload, rows, received_at))

    @staticmethod
    def keep(
        conn: Connection, flywheel: str, kind: str, payload: bytes, rows: int, received_at: datetime
    ) -> None:
        """Keep a payload in the caller's transaction, beside the watermark of where it came from.

        Capacity is not asked: the caller reads a source at its own pace and waits for the flusher.
        """
        write = _Write(flywheel, kind, payload, rows, received_at)
        conn.execute(inbox.insert(), {**write._asdict(), "bytes": len(payload)})

    def claim(self, flywheel: str, kind: str, max_rows: int, max_bytes: int = BATCH_BYTES) -> Batch | None:
        """The slot's next batch; None when nothing waits.

        A batch that was claimed and not finished, by whomever, comes again first and unchanged: a slot never has two.

        Args:
            max_rows: Payloads are taken, oldest first, until they hold this many records; at least one is taken.
            max_bytes: The same for payload bytes.
        """
        if not self._anything(flywheel, kind):
            return None
        with self._ledger.write() as conn:
            slot = (inbox_slots.c.flywheel == flywheel) & (inbox_slots.c.kind == kind)
            insert_or_keep(conn, inbox_slots, {"flywheel": flywheel, "kind": kind, "last_batch": 0})
            # The slot's row is the lock between claims.
            last = conn.execute(
                sa.select(inbox_slots.c.last_batch).where(slot).with_for_update()
            ).scalar_one()
            number = self._unfinished(conn, flywheel, kind)
            if number is None:
                number = last + 1
                if self._mark(conn, flywheel, kind, number, max_rows, max_bytes) == 0:
                    return None
                conn.execute(inbox_slots.update().where(slot).values(last_batch=number))
            rows = conn.execute(
                sa.select(inbox.c.received_at, inbox.c.payload)
                .where(_in_batch(flywheel, kind, number))
                .order_by(inbox.c.seq)
            )
            return Batch(flywheel, kind, number, [(received_at, payload) for received_at, payload in rows])

    def finish(self, batch: Batch) -> None:
        """Delete a batch that is safe in the lake. Finishing it again changes nothing."""
        with self._ledger.write() as conn:
            conn.execute(inbox.delete().where(_in_batch(batch.flywheel, batch.kind, batch.number)))

    def depth(self, flywheel: str) -> Depth:
        """What waits for a flywheel, claimed rows included."""
        return depth_of(self._ledger, flywheel)

    def close(self) -> None:
        """Commit what waits and stop the writer; accepts nothing afterwards."""
        self._group.close()

    def _commit(self, writes: Sequence[_Write]) -> list[Outcome]:
        try:
            return self._commit_together(writes)
        except StorageError:
            raise
        except Exception as error:
            # One row that the database refuses must not take its neighbours down.
            if len(writes) == 1:
                raise StorageError(
                    f"The ledger refused a payload ({error}).", where=self._ledger.place
                ) from error
            return [self._commit_alone(write) for write in writes]

    def _commit_alone(self, write: _Write) -> Outcome:
        try:
            return self._commit([write])[0]
        except StorageError as error:
            return error

    def _commit_together(self, writes: Sequence[_Write]) -> list[Outcome]:
        incoming = sum(len(write.payload) for write in writes)
        with self._ledger.write() as conn:
            stale = perf_counter() - self._measured_at > _MEASURE_EVERY_S
            if stale or self._used + incoming > self._capacity:
                self._used = int(conn.execute(sa.select(sa.func.sum(inbox.c.bytes))).scalar() or 0)
                self._measured_at = perf_counter()
            used, outcomes, kept = self._used, list[Outcome](), []
            for write in writes:
                size = len(write.payload)
                if used + size > self._capacity:
                    outcomes.append(self._full(used, size))
                    continue
                used += size
                outcomes.append(None)
                kept.append({**write._asdict(), "bytes": size})
            if kept:
                conn.execute(inbox.insert(), kept)
        self._used = used
        return outcomes

    def _full(self, used: int, size: int) -> InboxFull:
        return InboxFull(
            f"The inbox holds {used} bytes; {size} more would pass its capacity of {self._capacity}.",
            where=self._ledger.place,
            hint="Send it again later; look whether the flusher runs (`whorl status`).",
            used=used,
            size=size,
            capacity=self._capacity,
        )

    def _anything(self, flywheel: str, kind: str) -> bool:
        """Asked first, so that an idle flusher takes no write lock."""
        waiting = sa.select(inbox.c.seq).where(inbox.c.flywheel == flywheel, inbox.c.kind == kind).limit(1)
        with self._ledger.read() as conn:
            return conn.execute(waiting).scalar() is not None

    def _unfinished(self, conn: Connection, flywheel: str, kind: str) -> int | None:
        claimed = sa.select(sa.func.min(inbox.c.batch)).where(
            inbox.c.flywheel == flywheel, inbox.c.kind == kind, inbox.c.batch.is_not(None)
        )
        number: int | None = conn.execute(claimed).scalar()
        return number

    def _mark(
        self, conn: Connection, flywheel: str, kind: str, number: int, max_rows: int, max_bytes: int
    ) -> int:
        """Write the batch number on the oldest free rows; returns how many payloads that were."""
        free = (inbox.c.flywheel == flywheel) & (inbox.c.kind == kind) & inbox.c.batch.is_(None)
        oldest = sa.select(inbox.c.seq, inbox.c.rows, inbox.c.bytes).where(free).order_by(inbox.c.seq)
        running = oldest.limit(max_rows).subquery()
        before = sa.select(
            running.c.seq,
            (sa.func.sum(running.c.rows).over(order_by=running.c.seq) - running.c.rows).label("rows"),
            (sa.func.sum(running.c.bytes).over(order_by=running.c.seq) - running.c.bytes).label("bytes"),
        ).subquery()
        last = sa.select(sa.func.max(before.c.seq)).where(
            before.c.rows < max_rows, before.c.bytes < max_bytes
        )
        # Rows that another transaction holds, or commits only now, are left for a later batch.
        taken = (
            sa.select(inbox.c.seq)
            .where(free, inbox.c.seq <= last.scalar_subquery())
            .with_for_update(skip_locked=True)
        )
        return conn.execute(inbox.update().where(inbox.c.seq.in_(taken)).values(batch=number)).rowcount


def _in_batch(flywheel: str, kind: str, number: int) -> sa.ColumnElement[bool]:
    return (inbox.c.flywheel == flywheel) & (inbox.c.kind == kind) & (inbox.c.batch == number)


def depth_of(ledger: Ledger, flywheel: str) -> Depth:
    """What waits for a flywheel, claimed rows included; for those who only look."""
    totals = sa.select(
        sa.func.sum(inbox.c.rows), sa.func.sum(inbox.c.bytes), sa.func.min(inbox.c.received_at)
    )
    with ledger.read() as conn:
        rows, size, oldest = conn.execute(totals.where(inbox.c.flywheel == flywheel)).one()
    return Depth(int(rows or 0), int(size or 0), oldest)
