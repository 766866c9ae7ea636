"""Captured records as rows of the lake's tables: first as they wait, with an id where none was given; then, when they are
received, with the time of receipt, the day, and the side of the holdout.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from whorl.capture.mapping import Kind
from whorl.capture.values import text_of
from whorl.errors import SchemaMismatch
from whorl.group_hash import held_out
from whorl.records import Feedback, Label, Prediction, Span
from whorl.spec import Spec
from whorl.storage.tables import FEATURE, PROTECTED, lake_schemas

# What a row has once it is received.
_LATER = ("received_at", "day", "split")
_json_encoder = msgspec.json.Encoder(enc_hook=str)


def prediction_rows(records: Sequence[Prediction], spec: Spec) -> pa.Table:
    """Rows of `predictions`, in the order of the records."""
    columns: dict[str, Any] = {
        "id": [r.id for r in records],
        "time": [r.time for r in records],
        "group_id": [r.group for r in records],
        "session_id": [r.session for r in records],
        "keys": [list(r.keys.items()) or None for r in records],
        "scores": [list(r.scores.items()) if r.scores else None for r in records],
        "output": [_output(r.output) for r in records],
        "messages": [_json(r.messages) for r in records],
        "items": [_json(r.items) for r in records],
        "content": [_json(r.content) for r in records],
        "extra": [_json(r.extra) for r in records],
    }
    for name in spec.features:
        columns[FEATURE + name] = [r.features.get(name) for r in records]
    for name in spec.protected:
        columns[PROTECTED + name] = [r.protected.get(name) for r in records]
    return _table(spec, "predictions", columns, records)


def label_rows(records: Sequence[Label], spec: Spec) -> pa.Table:
    """Rows of `labels`, in the order of the records."""
    value: Callable[[Any], Any] = encoded if spec.task == "generation" else lambda one: one
    columns = {
        "id": [r.id or label_id(r) for r in records],
        "time": [r.time for r in records],
        "keys": [list(r.keys.items()) or None for r in records],
        "value": [value(r.value) for r in records],
        "extra": [_json(r.extra) for r in records],
    }
    return _table(spec, "labels", columns, records)


def feedback_rows(records: Sequence[Feedback], spec: Spec) -> pa.Table:
    """Rows of `feedback`, in the order of the records; `number` is the value where it is one."""
    columns = {
        "id": [r.id or _feedback_id(r) for r in records],
        "time": [r.time for r in records],
        "session_id": [r.session for r in records],
        "value": [_json(r.value) for r in records],
        "number": [float(r.value) if isinstance(r.value, (bool, int, float)) else None for r in records],
        "correction": [_json(r.correction) for r in records],
        "extra": [_json(r.extra) for r in records],
    }
    return _table(spec, "feedback", columns, records)


def span_rows(records: Sequence[Span], spec: Spec) -> pa.Table:
    """Rows of `spans`, in the order of the records."""
    columns = {"attributes": [_json(r.attributes) for r in records]}
    return _table(spec, "spans", columns, records)


def label_id(label: Label) -> str:
    """The id of a label that brought none: the same truth sent twice is one label.

    >>> label_id(Label(value=True, time=datetime.fromisoformat("2026-01-01T00:00Z"), prediction_id="txn_1"))
    'txn_1@1767225600000000=true'
    """
    about = label.prediction_id or ",".join(f"{name}={value}" for name, value in sorted(label.keys.items()))
    value = label.value if isinstance(label.value, (bool, int, float, str)) else _digest(label.value)
    return f"{about}@{epoch_us(label.time)}={text_of(value)}"


def epoch_us(time: datetime) -> int:
    """Microseconds since 1970, exactly."""
    since = time - _EPOCH
    return (since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds


def encoded(value: Any) -> str:
    """JSON text; times, decimals and other kinds as their text, NaN as null."""
    return _json_encoder.encode(value).decode()


def encoded_lines(values: Sequence[Any]) -> list[str]:
    """The same for many values at once."""
    return _json_encoder.encode_lines(values).decode().split("\n")[:-1]


class Split:
    """Fills the column `split` from group, else id; each group is hashed once."""

    def __init__(self, spec: Spec, holdout_key: str) -> None:
        self._share, self._key = spec.curate.holdout_share, holdout_key

    def of(self, ids: pa.Array, groups: pa.Array) -> pa.Array:
        by = pc.coalesce(groups, ids).combine_chunks().dictionary_encode()
        out = held_out(self._key, by.dictionary.to_pylist(), self._share)
        sides = pa.array(["train", "holdout"]).take(pa.array(out.astype("int8")))
        return sides.take(by.indices)


_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def waiting_schema(spec: Spec, kind: Kind) -> pa.Schema:
    """The columns of rows that wait to be received."""
    return pa.schema([field for field in lake_schemas(spec)[kind] if field.name not in _LATER])


def waiting_rows(schema: pa.Schema, arrays: dict[str, Any]) -> pa.Table:
    """The table of a schema; columns that are not given are null."""
    rows = len(arrays["id"])
    return pa.table([arrays.get(f.name, pa.nulls(rows, f.type)) for f in schema], schema=schema)


def received_rows(waiting: pa.Table, schema: pa.Schema, received: pa.Array, split: Split) -> pa.Table:
    """Rows of the lake.

    Args:
        schema: Of the lake's table.
        received: When each row was received.
    """
    arrays = {name: waiting.column(name) for name in waiting.column_names}
    arrays |= {"received_at": received, "day": arrays["time"].cast(pa.date32())}
    if "split" in schema.names:
        arrays["split"] = split.of(arrays["id"], arrays["group_id"])
    return pa.table([arrays[name] for name in schema.names], schema=schema)


def repeated(waiting: pa.Table) -> npt.NDArray[np.intp]:
    """Places of the rows whose id another row has too."""
    ids = waiting.column("id").combine_chunks().dictionary_encode()
    if len(ids.dictionary) == waiting.num_rows:
        return np.empty(0, dtype=np.intp)
    codes = ids.indices.to_numpy()
    return np.flatnonzero(np.bincount(codes)[codes] > 1)


def conflicts(waiting: pa.Table) -> int:
    """How many rows say something else than an earlier one of the same id; completing it, at another time, is none."""
    count, said = 0, dict[str, dict[str, Any]]()
    places = repeated(waiting)
    for row in waiting.take(pa.array(places)).to_pylist() if len(places) else ():
        known = said.setdefault(row["id"], {})
        given = {name: value for name, value in row.items() if value is not None and name != "time"}
        count += any(known.get(name, value) != value for name, value in given.items())
        said[row["id"]] = given | known
    return count


def _table(spec: Spec, kind: Kind, columns: dict[str, Any], records: Sequence[Any]) -> pa.Table:
    arrays: dict[str, Any] = {}
    schema = waiting_schema(spec, kind)
    for field in schema:
        values = columns.get(field.name)
        if values is None:
            values = [getattr(record, field.name) for record in records]
        try:
            arrays[field.name] = pa.chunked_array([pa.array(values, field.type)])
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise misfit(field, error) from error
    return waiting_rows(schema, arrays)


def misfit(field: pa.Field, why: object) -> SchemaMismatch:
    """What was captured by one spec does not fit another."""
    return SchemaMismatch(
        f"Captured values of '{field.name}' do not fit {field.type}: {why}.",
        where="inbox",
        hint="The spec has changed since they were captured: flush with the former one first.",
    )


def _output(value: Any) -> str | None:
    return encoded(value) if isinstance(value, (dict, list)) else text_of(value)


def _json(value: Any) -> str | None:
    return None if value is None or value in ({}, []) else encoded(value)


def _digest(value: Any) -> str:
    return blake2b(encoded(value).encode(), digest_size=12).hexdigest()


def _feedback_id(feedback: Feedback) -> str:
    return _digest(msgspec.to_builtins(feedback, enc_hook=str))


def row_maker(kind: Kind) -> Callable[[Sequence[Any], Spec], pa.Table]:
    """The function that makes waiting rows of one kind of record."""
    makers: dict[Kind, Callable[[Sequence[Any], Spec], pa.Table]] = {
        "predictions": prediction_rows, "labels": label_rows, "feedback": feedback_rows, "spans": span_rows
    }  # fmt: skip
    return makers[kind]
