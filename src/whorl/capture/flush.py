"""Move what was accepted from the inbox to the lake, exactly once, wherever it dies.

A row counts as received when it goes to the lake, not when it was accepted: `received_at` is what "known by T" goes by,
and a row must never appear behind the back of a T that was asked already. `settled` gives such a T: rows are stamped and
appended while `arriving` is held, here and in `importers/files.py`, and T is taken while nobody holds it.

claim (numbered, committed) | append (the lake refuses a number it has) | finish (deleted). A batch that was claimed and
not finished comes again unchanged. One process flushes at a time: the callers hold the workspace's lock.
"""

from datetime import datetime
from typing import Any

from msgspec.structs import replace

from whorl.capture.columns import row_maker, spread
from whorl.capture.sealed import unpack
from whorl.records import Feedback, Label, Prediction, Span
from whorl.storage.lock import Lock, wait_for
from whorl.storage.tables import CAPTURED
from whorl.workspace import Workspace

BATCH_ROWS = 100_000
_KINDS: dict[str, Any] = {"predictions": Prediction, "labels": Label, "feedback": Feedback, "spans": Span}


def flush(ws: Workspace) -> int:
    """Empty the inbox of this flywheel; returns how many records were moved.

    Raises:
        StorageError: The batch stays claimed, and is the first to be moved next time.
    """
    with arriving(ws):
        return sum(_flush_kind(ws, kind) for kind in CAPTURED)


def arriving(ws: Workspace) -> Lock:
    """Held, in whichever process, while rows get their time of receipt and until they are in the lake."""
    return wait_for(ws.root, ws.ledger, f"arriving-{ws.name}")


def settled(ws: Workspace) -> datetime:
    """Take the time: everything received by it is in the lake, and nothing will be added to it."""
    with arriving(ws):
        return ws.clock.now()


def _flush_kind(ws: Workspace, kind: Any) -> int:
    make_rows, moved = row_maker(kind, ws.spec, ws.holdout_key), 0
    while batch := ws.inbox.claim(ws.name, kind, BATCH_ROWS):
        now = ws.clock.now()
        payloads = [(received_at, unpack(payload, _KINDS[kind])) for received_at, payload in batch.payloads]
        records = [_arrived(record, at, now) for at, part in payloads for record in part]
        received = spread((max(at, now), len(part)) for at, part in payloads)
        ws.lake.append(kind, make_rows(records, received), app=kind, version=batch.number)
        ws.inbox.finish(batch)
        moved += len(records)
    return moved


def _arrived(record: Any, accepted_at: datetime, now: datetime) -> Any:
    """An answer that came without a time keeps saying so: its time is that of its arrival."""
    if isinstance(record, Prediction) and record.time == accepted_at < now:
        return replace(record, time=now)
    return record
