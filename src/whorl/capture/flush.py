"""Move what was accepted from the inbox to the lake, exactly once, wherever it dies.

A row counts as received when it goes to the lake, not when it was accepted: `received_at` is what "known by T" goes by,
and a row must never appear behind the back of a T that was asked already. `settled` gives such a T: rows are stamped and
appended by those who share `arriving`, here and in `importers/files.py`, and T is taken by one who has it alone.

claim (numbered, committed) | append (the lake refuses a number it has) | sync (to the disk) | finish (deleted). A batch
that was claimed and not finished comes again unchanged; a new one has a number that the lake has not, even where the
ledger is a backup's. Several may flush at a time: each takes a slot, which counts its batches for itself.
Rows are laid down as the newest registered spec says: a process of a former one would drop what that added.

What was accepted and cannot be read again (a disk that rots, a defect of ours) would hold up all behind it: it is set aside
with every byte (`storage/unreadable.py`), once it could not be read twice, and its batch is not in the lake.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from time import perf_counter
from typing import NamedTuple, cast

from whorl.capture.columns import Split
from whorl.capture.mapping import Kind
from whorl.capture.sealed import Received, rows_of
from whorl.clock import as_utc
from whorl.errors import SchemaMismatch, StorageError, WhorlError, masked
from whorl.spec import Spec
from whorl.storage import marks
from whorl.storage.inbox_claims import Batch, Waiting
from whorl.storage.lake import Lake
from whorl.storage.lock import take_if_free, wait_for
from whorl.storage.tables import CAPTURED, TableName
from whorl.storage.unreadable import set_aside
from whorl.workspace import Workspace

log = logging.getLogger("whorl.capture")

BATCH_ROWS = 100_000
SLOTS = 8
MAX_ERROR = 500


class Moved(NamedTuple):
    """A batch that can be queried.

    Attributes:
        rows: Of the lake. `doubles`: records that were left out, because another one of the batch says the same.
        seconds: How long moving it took.
        waited: Records, with the seconds from when they were taken in until they could be queried.
    """

    flywheel: str
    kind: str
    rows: int
    doubles: int
    seconds: float
    waited: list[tuple[int, float]]


Tell = Callable[[Moved], object]


class _Unreadable(Exception):
    """What was claimed cannot be read back."""


def flush(ws: Workspace, tell: Tell | None = None) -> int:
    """Move what waits in the inbox of this flywheel when it is called; returns how many records this call moved.

    Args:
        tell: Called once for each batch that this call moved, when it can be queried.

    Raises:
        WhorlError: A batch could not be moved. It stays claimed, and is the first to be moved next time; batches of
            other kinds were moved.
    """
    newest = ws.inbox.newest(ws.name)
    if not newest:
        return 0
    spec = ws.newest_spec()
    lake = ws.lake if spec is ws.spec else ws.lake_of(spec)
    failures: list[WhorlError] = []
    with _free_slot(ws) as slot:
        moved = sum(_Mover(ws, lake, spec, kind, slot, tell).move(newest, failures) for kind in CAPTURED)
    # What other flushers have claimed is theirs; once their lock is free they have moved it, or died.
    for behind in ws.inbox.slots_behind(ws.name, newest):
        with wait_for(ws.root, ws.ledger, _slot_lock(ws, behind)):
            moved += sum(
                _Mover(ws, lake, spec, kind, behind, tell).move_claimed(failures) for kind in CAPTURED
            )
    if failures:
        raise failures[0]
    return moved


@contextmanager
def arriving(ws: Workspace) -> Iterator[datetime]:
    """While rows get their time of receipt, which it gives, and until they are in the lake; in whichever process."""
    with wait_for(ws.root, ws.ledger, _arriving_lock(ws), shared=True):
        now, told = as_utc(ws.clock.now()), marks.settled_at(ws.ledger, ws.name)
        # Where the clock of another machine was ahead, or this one was set back.
        at = now if told is None or told <= now else told + timedelta(microseconds=1)
        try:
            yield at
        finally:
            ws.received(at)


def settled(ws: Workspace) -> datetime:
    """Take the time: everything received by it is in the lake, and nothing will be added to it."""
    with wait_for(ws.root, ws.ledger, _arriving_lock(ws)):
        now = ws.clock.now()
        marks.settle(ws.ledger, ws.name, now)
        return now


class _Mover:
    """Moves the batches of one kind and slot."""

    def __init__(
        self, ws: Workspace, lake: Lake, spec: Spec, kind: TableName, slot: int, tell: Tell | None
    ) -> None:
        self._ws, self._lake, self._spec, self._kind, self._slot, self._tell = (
            ws,
            lake,
            spec,
            kind,
            slot,
            tell,
        )

    def move(self, newest: int, failures: list[WhorlError]) -> int:
        """Claim and move until everything up to row `newest` is moved; under load there would be no other end."""
        moved = 0
        try:
            while batch := self._claimed():
                moved += self._move(batch)
                if batch.last >= newest:
                    break
        except WhorlError as error:
            failures.append(error)
        return moved

    def move_claimed(self, failures: list[WhorlError]) -> int:
        """Move the batch that this slot has claimed, if any."""
        try:
            batch = self._ws.inbox.unfinished(self._ws.name, self._kind, self._slot)
            return self._move(batch) if batch is not None else 0
        except WhorlError as error:
            failures.append(error)
            return 0

    def _claimed(self) -> Batch | None:
        appended = partial(self._lake.appended, self._kind)
        return self._ws.inbox.claim(self._ws.name, self._kind, BATCH_ROWS, slot=self._slot, appended=appended)

    def _move(self, batch: Batch) -> int:
        if not batch.rows:
            # Another process of this slot has just finished it.
            return 0
        ws, began = self._ws, perf_counter()
        try:
            received = self._laid_down(batch)
        except _Unreadable as error:
            return self._around(batch, str(error))
        now = ws.clock.now()
        try:
            self._finish(batch)
        finally:
            if received is not None and self._tell is not None:
                # Also where it could not be finished: it comes again, and is not moved then.
                waited = [(row.rows, max(0.0, (now - row.received_at).total_seconds())) for row in batch.rows]
                rows, seconds = int(received.rows.num_rows), perf_counter() - began
                self._tell(Moved(ws.name, self._kind, rows, received.doubles, seconds, waited))
        return 0 if received is None else received.rows.num_rows + received.doubles

    def _finish(self, batch: Batch) -> None:
        """The inbox's deletion is on the disk when it returns: what it deletes must be there before."""
        self._lake.sync(self._kind)
        self._ws.inbox.finish(batch)

    def _laid_down(self, batch: Batch) -> Received | None:
        """What was appended; None when the lake had the batch."""
        try:
            return self._append(batch, self._spec, self._lake)
        except SchemaMismatch:
            if self._spec is self._ws.spec:
                raise
            # The newest spec does not fit what is stored: who brought it is told; what was accepted goes on.
            return self._append(batch, self._ws.spec, self._ws.lake)

    def _append(self, batch: Batch, spec: Spec, lake: Lake) -> Received | None:
        ws = self._ws
        if lake.must_widen(self._kind):
            # Others must not write meanwhile, or rewriting the table would never end.
            with wait_for(ws.root, ws.ledger, _arriving_lock(ws)):
                lake.widen(self._kind)
        with arriving(ws) as now:
            received = self._read(batch.payloads, now, spec)
            new = lake.append(self._kind, received.rows, app=batch.app, version=batch.number)
        return received if new else None

    def _read(self, payloads: list[tuple[datetime, bytes]], now: datetime, spec: Spec) -> Received:
        """What was sealed, as rows. Raises SchemaMismatch, or _Unreadable for whatever else is wrong with the bytes."""
        try:
            return rows_of(cast(Kind, self._kind), payloads, now, spec, Split(spec, self._ws.holdout_key))
        except (SchemaMismatch, MemoryError):
            raise
        except Exception as error:
            raise _Unreadable(masked(f"{type(error).__name__}: {error}")[:MAX_ERROR]) from error

    def _around(self, batch: Batch, error: str) -> int:
        """Move a batch of which something cannot be read, without that; its number stands for the rest from then on."""
        ws = self._ws
        if self._lake.appended(self._kind, batch.app) >= batch.number:
            # It could be read when it was appended, and whoever did that died before deleting it.
            self._finish(batch)
            return 0
        # Read from the ledger anew, and each by itself.
        again = ws.inbox.unfinished(ws.name, self._kind, self._slot)
        rows = again.rows if again is not None and again.number == batch.number else []
        errors = {row.seq: why for row in rows if (why := self._why_unreadable(row))}
        if rows and not errors:
            raise StorageError(
                f"What was accepted can be read one by one, and not together ({error}).",
                where=f"inbox, {ws.name}, {self._kind}",
                hint="This is a defect of Whorl's: please report it. Nothing is lost; it is tried again.",
            )
        if errors:
            set_aside(ws.ledger, batch, errors, ws.clock.now())
            lost = sum(row.rows for row in rows if row.seq in errors)
            log.error(
                "%s: %d accepted %s cannot be read and are set aside, with every byte: %s. `whorl doctor` says what to do.",
                ws.name, lost, self._kind, next(iter(errors.values())),
            )  # fmt: skip
        rest = ws.inbox.unfinished(ws.name, self._kind, self._slot)
        return 0 if rest is None else self._move(rest)

    def _why_unreadable(self, row: Waiting) -> str:
        """Empty when it can be read, or would be if the spec fitted."""
        for spec in (self._spec, self._ws.spec):
            try:
                self._read([(row.received_at, row.payload)], row.received_at, spec)
            except SchemaMismatch:
                continue
            except _Unreadable as error:
                return str(error)
            break
        return ""


@contextmanager
def _free_slot(ws: Workspace) -> Iterator[int]:
    """A slot that nobody uses; when all are used, the first one that is let go."""
    for slot in range(SLOTS):
        lock = take_if_free(ws.root, ws.ledger, _slot_lock(ws, slot))
        if lock is not None:
            break
    else:
        slot, lock = 0, wait_for(ws.root, ws.ledger, _slot_lock(ws, 0))
    with lock:
        yield slot


def _slot_lock(ws: Workspace, slot: int) -> str:
    return f"flushing-{ws.name}-{slot}"


def _arriving_lock(ws: Workspace) -> str:
    return f"arriving-{ws.name}"
