"""The inbox: captured batches wait here, durable, until the flusher has moved them to the lake.

Acknowledged means committed. Moving is exactly once: `claim` writes a batch number beside the rows and commits; the
flusher appends them to the lake under that number, which the lake refuses a second time; `finish` deletes them. A
position ("moved up to row N") would lose rows: a transaction that took a lower number may commit later.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import datetime
from pathlib import Path
from time import perf_counter, sleep
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy import Connection

from whorl.errors import InboxFull, StorageError
from whorl.storage import inbox_claims as claims
from whorl.storage import inbox_writes as writes
from whorl.storage.disk_room import free_bytes
from whorl.storage.group_commit import GroupCommit
from whorl.storage.inbox_claims import Batch
from whorl.storage.inbox_writes import Named, Part, Write
from whorl.storage.ledger.ledger import Ledger
from whorl.storage.ledger.tables import inbox

CAPACITY_BYTES = 1 << 30
BATCH_BYTES = 64 << 20
_MEASURE_EVERY_S = 1.0
# Those who accept wait for so many rows, or names of batches, at most.
_DELETED_TOGETHER = 250
_FORGOTTEN_TOGETHER = 1_000
_PAUSE_S = 0.004

Answered = Named | None


def _none(_app: str) -> int:
    return -1


class Depth(NamedTuple):
    """What waits: records, payload bytes, and when the oldest was received (None when nothing waits)."""

    rows: int
    bytes: int
    oldest: datetime | None


class Inbox:
    """The ledger's inbox, shared by threads and, on PostgreSQL, by machines.

    Args:
        capacity_bytes: Payload bytes of the whole ledger above which nothing more is accepted. Other processes'
            rows are counted once a second, so several writers may pass it by what they accept in that time.
    """

    def __init__(self, ledger: Ledger, capacity_bytes: int = CAPACITY_BYTES) -> None:
        self._ledger = ledger
        self._room = _Room(ledger, capacity_bytes)
        self._group: GroupCommit[Write, Answered] = GroupCommit(self._commit)

    def accept(
        self, flywheel: str, parts: Sequence[Part], received_at: datetime, named: Named | None = None
    ) -> Answered:
        """Keep the parts of a batch, all or none; returns once they are on disk. Threads that call at once share a commit.

        Args:
            named: The batch's own name and the answer that belongs to it, kept in the same commit.

        Returns:
            None when the batch was kept. A batch of that name has come before: what it was answered; nothing was kept.

        Raises:
            InboxFull: It does not fit, here or on the disk; nothing of it was kept.
            StorageError: The ledger could not be written; nothing of it was kept.
        """
        return self.accept_soon(flywheel, parts, received_at, named).result()

    def accept_soon(
        self, flywheel: str, parts: Sequence[Part], received_at: datetime, named: Named | None = None
    ) -> Future[Answered]:
        """The same for a caller that has something else to do until they are on disk."""
        return self._group.submit_soon(Write(flywheel, parts, received_at, named))

    def answer_to(self, flywheel: str, kind: str, key: str) -> Answered:
        """What the batch of that name was answered; None when none has come."""
        with self._ledger.read() as conn:
            return writes.answer_to(conn, flywheel, kind, key)

    def forget_names(self, flywheel: str, before: datetime) -> int:
        """Remove the names that batches gave themselves before a time; returns how many."""
        forgotten = 0
        while True:
            with self._ledger.write() as conn:
                some = writes.forget_names(conn, flywheel, before, _FORGOTTEN_TOGETHER)
            forgotten += some
            if some < _FORGOTTEN_TOGETHER:
                self._ledger.checkpoint()
                return forgotten
            sleep(_PAUSE_S)

    def keep(
        self, conn: Connection, flywheel: str, kind: str, payload: bytes, rows: int, received_at: datetime
    ) -> float:
        """Keep a payload in the caller's transaction, beside the watermark of where it came from. It is never refused.

        Returns:
            What share of the room it takes. The caller reads a source at its own pace, and flushes before it has taken more
            than half: the rest is for those who cannot wait. The room is two batches of the flusher, for a server beside the
            caller may have less than the caller is told.
        """
        writes.insert(conn, [Write(flywheel, [Part(kind, payload, rows)], received_at)])
        return len(payload) / min(self._room._capacity, 2 * BATCH_BYTES)

    def newest(self, flywheel: str) -> int:
        """The number of the newest row that waits, 0 when none does: what is accepted from now on has a higher one,
        except where another process is just committing it."""
        with self._ledger.read() as conn:
            last = sa.select(sa.func.max(inbox.c.seq)).where(inbox.c.flywheel == flywheel)
            return int(conn.execute(last).scalar() or 0)

    def claim(
        self,
        flywheel: str,
        kind: str,
        max_rows: int,
        max_bytes: int = BATCH_BYTES,
        *,
        slot: int = 0,
        appended: Callable[[str], int] = _none,
    ) -> Batch | None:
        """The slot's next batch; None when nothing waits.

        A batch that was claimed and not finished, by whomever, comes again first and unchanged: a slot never has two.

        Args:
            max_rows: Payloads are taken, oldest first, until they hold this many records; at least one is taken.
            max_bytes: The same for payload bytes.
            slot: Each flusher that works beside others has its own.
            appended: Gives the number of the last batch that the lake has of an application. A ledger that was restored
                from a backup knows of fewer.
        """
        if not self._anything(flywheel, kind):
            return None
        last, number = appended(claims.app_of(kind, slot)), None
        while number is None:
            # What is read is read outside of the transaction that writes: others write meanwhile.
            with self._ledger.read() as conn:
                free = claims.free(conn, flywheel, kind, max_rows, max_bytes)
                if not free.runs and claims.unfinished(conn, flywheel, kind, slot) is None:
                    return None
            with self._ledger.write() as conn:
                number = claims.claim(conn, flywheel, kind, slot, free, last)
        with self._ledger.read() as conn:
            return claims.rows_of(conn, flywheel, kind, slot, number)

    def unfinished(self, flywheel: str, kind: str, slot: int) -> Batch | None:
        """What the slot has claimed and not finished, when there is such a batch."""
        with self._ledger.read() as conn:
            number = claims.unfinished(conn, flywheel, kind, slot)
            return None if number is None else claims.rows_of(conn, flywheel, kind, slot, number)

    def slots_behind(self, flywheel: str, upto: int) -> list[int]:
        """Slots that have claimed, and not finished, rows up to a number."""
        with self._ledger.read() as conn:
            return claims.slots_behind(conn, flywheel, upto)

    def finish(self, batch: Batch) -> None:
        """Delete a batch that is safe in the lake. Finishing it again changes nothing.

        Where it stops halfway, what is left of the batch is still claimed under its number, which the lake refuses.
        """
        for start in range(0, len(batch.rows), _DELETED_TOGETHER):
            some = batch.rows[start : start + _DELETED_TOGETHER]
            if start:
                # Another process that waits for its turn to write looks again and again, and would never find it.
                sleep(_PAUSE_S)
            with self._ledger.write() as conn:
                claims.delete(conn, batch, some[0].seq, some[-1].seq)
        self._ledger.checkpoint()

    def depth(self, flywheel: str) -> Depth:
        """What waits for a flywheel, claimed rows included."""
        return depth_of(self._ledger, flywheel)

    def close(self) -> None:
        """Commit what waits and stop the writer; accepts nothing afterwards."""
        self._group.close()

    def _commit(self, group: Sequence[Write]) -> list[Answered | Exception]:
        try:
            return self._commit_together(group)
        except StorageError:
            raise
        except Exception as error:
            # One row that the database refuses must not take its neighbours down.
            if len(group) == 1:
                raise StorageError(
                    f"The ledger refused a payload ({error}).", where=self._ledger.place
                ) from error
            return [self._commit_alone(write) for write in group]

    def _commit_alone(self, write: Write) -> Answered | Exception:
        try:
            return self._commit([write])[0]
        except StorageError as error:
            return error

    def _commit_together(self, group: Sequence[Write]) -> list[Answered | Exception]:
        outcomes: list[Answered | Exception] = list(self._room.refusals([write.size for write in group]))
        fits = [place for place, refused in enumerate(outcomes) if refused is None]
        if not fits:
            return outcomes
        if self._ledger.embedded and all(write.named is None for write in group):
            kept = [group[place] for place in fits]
            writes.insert_alone(self._ledger, kept)
            self._room.took(sum(write.size for write in kept))
            return outcomes
        with self._ledger.write() as conn:
            # In one order everywhere, so that two processes never wait for each other's names.
            for place in sorted(fits, key=lambda place: _name_of(group[place])):
                outcomes[place] = writes.keep_name(conn, group[place])
            kept = [group[place] for place in fits if outcomes[place] is None]
            writes.insert(conn, kept)
        self._room.took(sum(write.size for write in kept))
        return outcomes

    def _anything(self, flywheel: str, kind: str) -> bool:
        """Asked first, so that an idle flusher takes no write lock."""
        waiting = sa.select(inbox.c.seq).where(inbox.c.flywheel == flywheel, inbox.c.kind == kind).limit(1)
        with self._ledger.read() as conn:
            return conn.execute(waiting).scalar() is not None


class _Room:
    """How much more may be accepted. Used by the one thread that commits."""

    def __init__(self, ledger: Ledger, capacity_bytes: int) -> None:
        self._ledger = ledger
        self._capacity = capacity_bytes
        self._used = self._free = 0
        self._measured_at = -_MEASURE_EVERY_S

    def refusals(self, sizes: Sequence[int]) -> list[InboxFull | None]:
        """For each of the payloads, in their order, why it is not taken, or None; refused ones take no room."""
        incoming = sum(sizes)
        stale = perf_counter() - self._measured_at > _MEASURE_EVERY_S
        if stale or self._used + incoming > self._capacity or incoming > self._free:
            self._measure()
        used, free, found = self._used, self._free, list[InboxFull | None]()
        for size in sizes:
            refused = self._refusal(size, used, free)
            found.append(refused)
            if refused is None:
                used, free = used + size, free - size
        return found

    def took(self, size: int) -> None:
        """So many bytes were kept."""
        self._used += size
        self._free -= size

    def _measure(self) -> None:
        with self._ledger.read() as conn:
            self._used = int(conn.execute(sa.select(sa.func.sum(inbox.c.bytes))).scalar() or 0)
        self._free = free_bytes(Path(self._ledger.place).parent) if self._ledger.embedded else self._capacity
        self._measured_at = perf_counter()

    def _refusal(self, size: int, used: int, free: int) -> InboxFull | None:
        if used + size > self._capacity:
            return InboxFull(
                f"The inbox holds {used} bytes; {size} more would pass its capacity of {self._capacity}.",
                where=self._ledger.place,
                hint="Send it again later; look whether the flusher runs (`whorl status`).",
                used=used,
                size=size,
                capacity=self._capacity,
            )
        if size > free:
            return InboxFull(
                f"The disk has no room for {size} bytes beside what is kept free to empty the inbox.",
                where=self._ledger.place,
                hint="Send it again later; free space there.",
                used=used,
                size=size,
                capacity=self._capacity,
            )
        return None


def _name_of(write: Write) -> tuple[str, str, str]:
    return (write.flywheel, write.named.kind, write.named.key) if write.named else ("", "", "")


def depth_of(ledger: Ledger, flywheel: str) -> Depth:
    """What waits for a flywheel, claimed rows included; for those who only look."""
    totals = sa.select(
        sa.func.sum(inbox.c.rows), sa.func.sum(inbox.c.bytes), sa.func.min(inbox.c.received_at)
    )
    with ledger.read() as conn:
        rows, size, oldest = conn.execute(totals.where(inbox.c.flywheel == flywheel)).one()
    return Depth(int(rows or 0), int(size or 0), oldest)
