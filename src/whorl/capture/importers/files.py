"""`whorl ingest FILE`: CSV, NDJSON, Parquet or Arrow into the lake, in chunks, each exactly once.

A file is known by its content and by how it is mapped: the same one again adds nothing, and one that stopped halfway goes on
where it stopped, because chunk n of it is batch n of its own app transaction. After a change of [schema] the same file is
taken in anew, and completes what is there. Rows go straight to the lake, beside a server too; no lock is held for longer
than a chunk.
"""

import hashlib
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import msgspec
import pyarrow as pa

from whorl.capture.bulk import Bulk, Rows
from whorl.capture.fields import Fields
from whorl.capture.flush import arriving
from whorl.capture.importers import ingests
from whorl.capture.importers.arrow_files import arrow_chunks, parquet_chunks
from whorl.capture.importers.chunks import Chunk, Progress
from whorl.capture.importers.csv_file import csv_chunks
from whorl.capture.importers.json_lines import json_lines_chunks
from whorl.capture.importers.report import IngestReport, Rejects
from whorl.capture.mapping import Kind
from whorl.capture.raw_columns import Columns, normal
from whorl.capture.scrub.scrubber import WITHOUT_CONSENT
from whorl.capture.values import Notes
from whorl.errors import SourceError, did_you_mean
from whorl.spec import Spec, spec_to_json
from whorl.workspace import Workspace

_COMPRESSED = (".gz", ".zst", ".bz2")
_CSV, _JSON = (".csv", ".tsv", ".txt"), (".ndjson", ".jsonl", ".json")


def ingest_file(
    ws: Workspace, path: str | Path, kind: Kind | None = None, progress: Progress | None = None
) -> IngestReport:
    """Take in a file; returns when everything in it is in the lake or refused.

    Args:
        kind: What its records are. None: predictions, with the truth that lies in them; labels where a table has a label
            and no time of a prediction.
        progress: Called with the share that is done, in [0, 1].

    Raises:
        SourceError: The file cannot be read, is empty, or lacks the column that [schema] id names. Chunks before the fault stay.
    """
    path = Path(path)
    digest = _digest(path, ws.spec, kind)
    done_at = ingests.begin(ws.ledger, ws.name, digest, str(path), kind or "any")
    if done_at is not None:
        note = f"This file was taken in on {done_at:%Y-%m-%d %H:%M} UTC; nothing was added."
        return IngestReport(source=str(path), accepted=0, already=True, notes=[note])
    notes, accepted, labels, resumed = Notes(), 0, 0, 0
    reader = _Reader(path, ws.spec, ws.holdout_key, notes, kind)
    with Rejects(ws.place("rejects") / f"{path.name}.rejects.ndjson") as rejects:
        for number, chunk in enumerate(_chunks(path), start=1):
            with arriving(ws) as now:
                rows = reader.rows(chunk, now)
                resumed += not _append(ws, rows, f"ingest/{digest}", number)
            rejects.add(rows.refused)
            accepted += rows.accepted
            labels += rows.tables["labels"].num_rows if "labels" in rows.tables else 0
            if progress is not None:
                progress(chunk.share)
    if resumed:
        notes["{n} chunk(s) were in the lake already, from an attempt that stopped."] += resumed
    if accepted + rejects.count + notes[WITHOUT_CONSENT] == 0:
        notes["There is no record in it."] += 1
    ingests.finish(ws.ledger, ws.name, digest, accepted, rejects.count)
    return IngestReport(
        source=str(path), accepted=accepted, refused=rejects.count, labels=labels, rejects=rejects.first,
        rejects_path=rejects.path, notes=notes.lines(),
    )  # fmt: skip


def read_file(
    path: Path,
    spec: Spec,
    holdout_key: str,
    now: Callable[[], datetime],
    notes: Notes,
    kind: Kind | None = None,
) -> Iterator[tuple[Rows, float]]:
    """A file as rows of the lake, chunk by chunk, each with the share that has been read; nothing is kept.

    Args:
        now: Asked for each chunk: when its rows are received.

    Raises:
        SourceError: As `ingest_file`.
    """
    reader = _Reader(path, spec, holdout_key, notes, kind)
    for chunk in _chunks(path):
        yield reader.rows(chunk, now()), chunk.share


class _Reader:
    """Maps the chunks of one file, in their order: the first table says what the kind of its rows is."""

    def __init__(self, path: Path, spec: Spec, holdout_key: str, notes: Notes, kind: Kind | None) -> None:
        self._path, self._spec, self._notes = path, spec, notes
        self._bulk, self._asked = Bulk(spec, holdout_key), kind
        self._found: Kind | None = None

    def rows(self, chunk: Chunk, received_at: datetime) -> Rows:
        if chunk.table is None:
            records = list(zip(chunk.numbers, chunk.records, strict=True))
            rows = self._bulk.rows_of(self._asked or "predictions", records, received_at, self._notes)
        else:
            kind = self._kind_of(chunk.table)
            rows = self._bulk.rows(kind, chunk.table, received_at, self._notes, chunk.numbers)
        refused = sorted([*chunk.refused, *rows.refused], key=lambda refusal: refusal.index)
        return rows._replace(refused=refused)

    def _kind_of(self, table: pa.Table) -> Kind:
        if self._found is None:
            self._found = _kind_of(table, Fields(self._spec), self._asked, self._path)
            self._notes.update(_missing_features(table, self._spec, self._found))
        return self._found


def _append(ws: Workspace, rows: Rows, app: str, number: int) -> bool:
    """Append a chunk's rows; False when all of them were there."""
    new = [ws.lake.append(kind, table, app=app, version=number) for kind, table in rows.tables.items()]
    return any(new) or not new


def _digest(path: Path, spec: Spec, kind: str | None) -> str:
    """Of the file's bytes, and of what decides how they are mapped."""
    mapping = msgspec.json.decode(spec_to_json(spec))
    parts = {
        "task": mapping["task"],
        "schema": mapping["schema"],
        "on": mapping["labels"]["on"],
        "kind": kind,
    }
    if spec.capture.asks:
        parts["capture"] = mapping["capture"]
    try:
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
            if file.tell() == 0:
                raise SourceError("The file is empty.", where=str(path))
    except OSError as error:
        raise SourceError(f"The file cannot be read: {error.strerror}.", where=str(path)) from error
    return hashlib.sha256(content.encode() + msgspec.json.encode(parts, order="sorted")).hexdigest()[:32]


def _chunks(path: Path) -> Iterator[Chunk]:
    with path.open("rb") as file:
        head = file.read(6)
    suffixes = [suffix for suffix in (s.lower() for s in path.suffixes) if suffix not in _COMPRESSED]
    suffix = suffixes[-1] if suffixes else ""
    if head[:4] == b"PAR1" or suffix in (".parquet", ".pq"):
        return parquet_chunks(path)
    if head == b"ARROW1" or head[:4] == b"\xff\xff\xff\xff":
        return arrow_chunks(path, stream=head != b"ARROW1")
    if suffix in _JSON:
        return json_lines_chunks(path)
    if suffix in _CSV:
        return csv_chunks(path)
    raise SourceError(
        f"What kind of file this is does not show: its name ends in '{path.suffix}'.",
        where=str(path),
        hint="Known: .csv, .ndjson (both also as .gz or .zst), .parquet, .arrow.",
    )


def _kind_of(table: pa.Table, fields: Fields, kind: Kind | None, path: Path) -> Kind:
    """The kind of a table's rows; SourceError when it has no column for what every row needs."""
    columns = Columns(normal(table.slice(0, 0)))
    if kind is None:
        labelled = fields.label is not None and columns.find(fields.label) is not None
        kind = "labels" if labelled and columns.find(fields.time) is None else "predictions"
    own = {"prediction_id", "keys", "session", "item_id", *(p.text for p in fields.keys.values())}
    if columns.find(fields.id) is None and (kind == "predictions" or not own & set(table.column_names)):
        raise SourceError(
            f"There is no column '{fields.id.text}', which [schema] id names.",
            where=str(path),
            hint=did_you_mean(fields.id.text, table.column_names),
        )
    return kind


def _missing_features(table: pa.Table, spec: Spec, kind: Kind) -> list[str]:
    if kind != "predictions":
        return []
    columns, fields = Columns(normal(table.slice(0, 0))), Fields(spec)
    missing = [name for name, paths in fields.features.items() if not columns.all(paths)]
    return [f"These declared features are not in it: {', '.join(missing)}."] if missing else []
