"""Rows in a file for others to read: Parquet, CSV or NDJSON, by the file's suffix. It appears whole or not at all."""

from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from whorl.errors import SourceError

FORMATS = (".parquet", ".csv", ".ndjson", ".jsonl")
BATCH = 5_000


def check_writable(path: Path) -> None:
    """Whether `write_rows` knows the format, and there is such a folder.

    Raises:
        SourceError: It does not, or there is none.
    """
    if path.suffix not in FORMATS:
        raise SourceError(
            f"No format is known for '{path.suffix}'.", where=str(path), hint="Use .parquet, .csv or .ndjson."
        )
    if not path.parent.is_dir():
        raise SourceError(
            "There is no such folder.", where=str(path.parent), hint="Make it, or name another file."
        )


def write_rows(rows: pa.Table, path: Path) -> None:
    """Write them; CSV, which knows no nested values, has those as JSON.

    Raises:
        SourceError: As `check_writable`, or the file cannot be written.
    """
    check_writable(path)
    draft = path.with_name(path.name + ".draft")
    try:
        if path.suffix == ".parquet":
            pq.write_table(rows, draft, compression="zstd")
        elif path.suffix == ".csv":
            pa.csv.write_csv(_flat(rows), draft)
        else:
            _write_lines(rows, draft)
        draft.replace(path)
    except OSError as error:
        raise SourceError(
            f"It cannot be written ({error.strerror or error}).",
            where=str(path),
            hint="Name a file in a folder that may be written, with room on its disk.",
        ) from error


def _write_lines(rows: pa.Table, path: Path) -> None:
    encoder = msgspec.json.Encoder()
    with path.open("wb") as file:
        for batch in rows.to_batches(max_chunksize=BATCH):
            file.write(encoder.encode_lines(_objects(batch)))


def _objects(rows: pa.Table | pa.RecordBatch) -> list[dict[str, Any]]:
    """A map is an object."""
    objects: list[dict[str, Any]] = rows.to_pylist(maps_as_pydicts="strict")
    return objects


def _flat(rows: pa.Table) -> pa.Table:
    for place, field in enumerate(rows.schema):
        if pa.types.is_nested(field.type):
            values = [row[field.name] for row in _objects(rows.select([field.name]))]
            text = [None if one is None else msgspec.json.encode(one).decode() for one in values]
            rows = rows.set_column(place, field.name, pa.array(text, pa.string()))
    return rows
