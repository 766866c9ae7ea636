"""Move what was accepted from the inbox to the lake, exactly once, wherever it dies.

A row counts as received when it goes to the lake, not when it was accepted: `received_at` is what "known by T" goes by,
and a row must never appear behind the back of a T that was asked already. `settled` gives such a T: rows are stamped and
appended by those who share `arriving`, here and in `importers/files.py`, and T is taken by one who has it alone.

claim (numbered, committed) | append (the lake refuses a number it has) | finish (deleted). A batch that was claimed and
not finished comes again unchanged. Several may flush at a time: each takes a slot, which counts its batches for itself.
Rows are laid down as the newest registered spec says: a process of a former one would drop what that added.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from time import perf_counter
from typing import NamedTuple, cast

from whorl.capture.columns import Split
from whorl.capture.mapping import Kind
from whorl.capture.sealed import Received, rows_of
from whorl.clock import as_utc
from whorl.errors import SchemaMismatch, WhorlError
from whorl.spec import Spec
from whorl.storage import marks
from whorl.storage.inbox_claims import Batch
from whorl.storage.lake import Lake
from whorl.storage.lock import take_if_free, wait_for
from whorl.storage.tables import CAPTURED, TableName
from whorl.workspace import Workspace

BATCH_ROWS = 100_000
SLOTS = 8


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
        yield now if told is None or told <= now else told + timedelta(microseconds=1)


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
            while batch := self._ws.inbox.claim(self._ws.name, self._kind, BATCH_ROWS, slot=self._slot):
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

    def _move(self, batch: Batch) -> int:
        if not batch.rows:
            # Another process of this slot has just finished it.
            return 0
        ws, began = self._ws, perf_counter()
        try:
            received = self._append(batch, self._spec, self._lake)
        except SchemaMismatch:
            if self._spec is ws.spec:
                raise
            # The newest spec does not fit what is stored: who brought it is told; what was accepted goes on.
            received = self._append(batch, ws.spec, ws.lake)
        now = ws.clock.now()
        waited = [(row.rows, max(0.0, (now - row.received_at).total_seconds())) for row in batch.rows]
        ws.inbox.finish(batch)
        rows, doubles = int(received.rows.num_rows), received.doubles
        if self._tell is not None:
            # Not before: a batch that could not be finished comes again, and would be told of twice.
            self._tell(Moved(ws.name, self._kind, rows, doubles, perf_counter() - began, waited))
        return rows + doubles

    def _append(self, batch: Batch, spec: Spec, lake: Lake) -> Received:
        ws = self._ws
        if lake.must_widen(self._kind):
            # Others must not write meanwhile, or rewriting the table would never end.
            with wait_for(ws.root, ws.ledger, _arriving_lock(ws)):
                lake.widen(self._kind)
        with arriving(ws) as now:
            received = rows_of(cast(Kind, self._kind), batch.payloads, now, spec, Split(spec, ws.holdout_key))
            lake.append(self._kind, received.rows, app=batch.app, version=batch.number)
        return received


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
