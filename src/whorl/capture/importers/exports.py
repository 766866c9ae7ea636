"""`whorl ingest --format`: what another tool has kept, taken in as predictions, feedback, labels and spans.

Mappers give native records; they go through the same mapping, checks and scrubbing as all others, and straight to the lake, in
chunks. What the lake has already is not added again (`known.py`): a run that was killed is started again and goes on, and
exports that overlap double nothing.
"""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from whorl.capture.bulk import Bulk
from whorl.capture.flush import arriving
from whorl.capture.importers.chunks import Chunk, Progress
from whorl.capture.importers.documents import document_chunks
from whorl.capture.importers.known import unknown
from whorl.capture.importers.report import IngestReport, Rejects
from whorl.capture.importers.tool_rows import Format, Numbered, ToolRows
from whorl.capture.values import Notes
from whorl.errors import SourceError
from whorl.records import Refusal
from whorl.storage.lock import wait_for
from whorl.workspace import Workspace


class Taken(NamedTuple):
    """Counts of a chunk: records that are new in the lake, labels among them, and what was known."""

    added: int
    labels: int
    known: int


def ingest_export(
    ws: Workspace,
    path: str | Path,
    format: Format,
    truth: str | None = None,
    progress: Progress | None = None,
) -> IngestReport:
    """Take in a file that another tool wrote; returns when everything in it is in the lake or refused.

    Args:
        truth: Name of the metric, score or expectation that is the truth; records of it become labels. None:
            expectations, demonstrations and corrections are labels, and nothing else is.
        progress: Called with the share that is done, in [0, 1].

    Raises:
        SourceError: The file cannot be read. Chunks before the fault stay.
    """
    path = Path(path)
    if not path.is_file():
        raise SourceError("There is no such file.", where=str(path))
    return take(ws, document_chunks(path), str(path), path.name, format, truth, progress)


def take(
    ws: Workspace,
    chunks: Iterable[Chunk],
    source: str,
    name: str,
    format: Format,
    truth: str | None = None,
    progress: Progress | None = None,
) -> IngestReport:
    """Take in rows of a tool, chunk by chunk.

    Args:
        source: Where they are read, for the report; `name`: the rejects file is called so.
    """
    notes, added, labels, known = Notes(), 0, 0, 0
    reader = ToolRows(ws.spec, format, truth, notes)
    bulk = Bulk(ws.spec, ws.holdout_key, native=True)
    with Rejects(ws.place("rejects") / f"{name}.rejects.ndjson") as rejects:
        for chunk in chunks:
            records, refused = reader.records(chunk)
            # One at a time looks for what is there already, until its own is.
            with wait_for(ws.root, ws.ledger, f"exports-{ws.name}"), arriving(ws) as now:
                one = _append(ws, bulk, records, refused, notes, now)
            added, labels, known = added + one.added, labels + one.labels, known + one.known
            rejects.add(sorted(refused, key=lambda refusal: refusal.index))
            if progress is not None:
                progress(chunk.share)
    if known:
        notes["{n} record(s) were in the lake already."] += known
    if added + known + rejects.count == 0:
        notes["There is no record in it."] += 1
    return IngestReport(
        source=source, accepted=added, refused=rejects.count, labels=labels, rejects=rejects.first,
        rejects_path=rejects.path, already=known > 0 and added == 0, notes=notes.lines(),
    )  # fmt: skip


def _append(
    ws: Workspace,
    bulk: Bulk,
    records: Numbered,
    refused: list[Refusal],
    notes: Notes,
    now: datetime,
) -> Taken:
    added, labels, known = 0, 0, 0
    for kind, numbered in records.items():
        mapped = bulk.rows_of(kind, numbered, now, notes)
        refused += mapped.refused
        for table, rows in mapped.tables.items():
            fresh = unknown(ws, table, rows)
            known += rows.num_rows - fresh.num_rows
            added += fresh.num_rows
            labels += fresh.num_rows if table == "labels" else 0
            if fresh.num_rows:
                # Nobody else appends under this name while the lock is held, and a table's version only grows.
                ws.lake.append(table, fresh, app="export", version=ws.lake.version(table) + 1)
    return Taken(added, labels, known)
