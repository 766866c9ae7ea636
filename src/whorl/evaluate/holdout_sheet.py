"""What is handed to those who are asked for holdout truths: the inputs of each row, in a file.

Blind unless it is asked for otherwise: whoever sees what the model answered agrees with it more often, and the accuracy that
these labels tell would be too good. The chance of having been asked is left out too: it is higher where the model doubts.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from whorl.errors import SourceError
from whorl.storage.sql_types import quoted
from whorl.storage.tables import FEATURE
from whorl.workspace import Workspace

FORMATS = (".parquet", ".csv", ".ndjson", ".jsonl")
_ANSWERED = {"binary": "score", "multiclass": "scores"}


def sheet(ws: Workspace, ids: Sequence[str], as_of: datetime, *, with_prediction: bool = False) -> pa.Table:
    """The rows with these ids, in their order.

    out: id, time, each feature by its bare name, `messages` where any were sent; with `with_prediction` also `output` and
    `score` (binary) or `scores` (multiclass).
    """
    features = [f"e.{quoted(FEATURE + name)} AS {quoted(name)}" for name in ws.spec.features]
    answered = [f"e.{name}" for name in ("output", _ANSWERED[ws.spec.task])] if with_prediction else []
    examples = ws.examples(as_of)
    ws.engine.register("sheet_ids", pa.table({"id": pa.array(ids, pa.string()), "place": range(len(ids))}))
    try:
        rows = ws.engine.query(
            f"SELECT {', '.join(['e.id', 'e.time', *features, *answered])}\n"
            f"FROM {examples.name} e JOIN sheet_ids s ON s.id = e.id ORDER BY s.place"
        )
    finally:
        ws.engine.drop("sheet_ids")
    return _with_messages(rows, examples.messages())


def check_writable(path: Path) -> None:
    """Whether `write` could write there.

    Raises:
        SourceError: No such format, or no such folder.
    """
    if path.suffix not in FORMATS:
        raise SourceError(
            f"No format is known for '{path.suffix}'.", where=str(path), hint="Use .parquet, .csv or .ndjson."
        )
    if not path.parent.is_dir():
        raise SourceError(
            "There is no such folder.", where=str(path.parent), hint="Make it, or name another file."
        )


def write(rows: pa.Table, path: Path) -> None:
    """Write rows into a file whose suffix names the format. It appears whole or not at all.

    Raises:
        SourceError: No such format or folder, or it cannot be written.
    """
    check_writable(path)
    draft = path.with_name(path.name + ".draft")
    try:
        if path.suffix == ".parquet":
            pq.write_table(rows, draft)
        elif path.suffix == ".csv":
            pa.csv.write_csv(_flat(rows), draft)
        else:
            draft.write_bytes(msgspec.json.Encoder().encode_lines(as_objects(rows)))
        draft.replace(path)
    except OSError as error:
        raise SourceError(
            f"It cannot be written: {error.strerror or error}.", where=str(path), hint="Name another file."
        ) from error


def as_objects(rows: pa.Table) -> list[dict[str, object]]:
    """Rows as JSON has them: a map is an object, each message too."""
    objects: list[dict[str, object]] = rows.to_pylist(maps_as_pydicts="strict")
    for row in objects:
        if row.get("messages") is not None:
            row["messages"] = [msgspec.json.decode(one) for one in row["messages"]]  # type: ignore[attr-defined]
    return objects


def _with_messages(rows: pa.Table, sent: pa.Table) -> pa.Table:
    said = dict(zip(sent["id"].to_pylist(), sent["messages"].to_pylist(), strict=True))
    found = [said.get(one) for one in rows["id"].to_pylist()]
    if not any(found):
        return rows
    return rows.append_column("messages", pa.array(found, pa.list_(pa.string())))


def _flat(rows: pa.Table) -> pa.Table:
    """CSV knows no nested values: they become JSON."""
    objects = as_objects(rows)
    for place, field in enumerate(rows.schema):
        if pa.types.is_nested(field.type):
            text = [
                None if row[field.name] is None else msgspec.json.encode(row[field.name]).decode()
                for row in objects
            ]
            rows = rows.set_column(place, field.name, pa.array(text, pa.string()))
    return rows
