"""Move what was accepted from the inbox to the lake, exactly once, wherever it dies.

claim (numbered, committed) | append (the lake refuses a number it has) | finish (deleted). A batch that was claimed and
not finished comes again unchanged. One process flushes at a time: the callers hold the workspace's lock.
"""

from typing import Any

from whorl.capture.columns import row_maker, spread
from whorl.capture.sealed import unpack
from whorl.records import Feedback, Label, Prediction
from whorl.storage.tables import CAPTURED
from whorl.workspace import Workspace

BATCH_ROWS = 100_000
_KINDS: dict[str, Any] = {"predictions": Prediction, "labels": Label, "feedback": Feedback}


def flush(ws: Workspace) -> int:
    """Empty the inbox of this flywheel; returns how many records were moved.

    Raises:
        StorageError: The batch stays claimed, and is the first to be moved next time.
    """
    return sum(_flush_kind(ws, kind) for kind in CAPTURED)


def _flush_kind(ws: Workspace, kind: Any) -> int:
    make_rows, moved = row_maker(kind, ws.spec, ws.holdout_key), 0
    while batch := ws.inbox.claim(ws.name, kind, BATCH_ROWS):
        payloads = [(received_at, unpack(payload, _KINDS[kind])) for received_at, payload in batch.payloads]
        records = [record for _, part in payloads for record in part]
        received = spread((received_at, len(part)) for received_at, part in payloads)
        ws.lake.append(kind, make_rows(records, received), app=kind, version=batch.number)
        ws.inbox.finish(batch)
        moved += len(records)
    return moved
