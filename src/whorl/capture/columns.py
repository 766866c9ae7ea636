"""Captured records as rows of the lake's tables: the side of the holdout, the day, and an id where none was given."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from whorl.capture.values import text_of
from whorl.errors import SchemaMismatch
from whorl.group_hash import held_out
from whorl.records import Feedback, Label, Prediction, Span
from whorl.spec import Spec
from whorl.storage.tables import FEATURE, PROTECTED, lake_schemas

Received = Sequence[datetime]
_json_encoder = msgspec.json.Encoder(enc_hook=str)


def prediction_rows(
    records: Sequence[Prediction], received: Received, spec: Spec, holdout_key: str
) -> pa.Table:
    """Rows of the lake's `predictions`, in the order of the records."""
    columns: dict[str, Any] = {
        "id": [r.id for r in records],
        "time": [r.time for r in records],
        "received_at": received,
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
    return _table(lake_schemas(spec)["predictions"], columns, records, Split(spec, holdout_key))


def label_rows(records: Sequence[Label], received: Received, spec: Spec) -> pa.Table:
    """Rows of the lake's `labels`, in the order of the records."""
    value: Callable[[Any], Any] = encoded if spec.task == "generation" else lambda one: one
    columns = {
        "id": [r.id or label_id(r) for r in records],
        "time": [r.time for r in records],
        "received_at": received,
        "keys": [list(r.keys.items()) or None for r in records],
        "value": [value(r.value) for r in records],
        "extra": [_json(r.extra) for r in records],
    }
    return _table(lake_schemas(spec)["labels"], columns, records)


def feedback_rows(records: Sequence[Feedback], received: Received, spec: Spec) -> pa.Table:
    """Rows of the lake's `feedback`, in the order of the records; `number` is the value where it is one."""
    columns = {
        "id": [r.id or _feedback_id(r) for r in records],
        "time": [r.time for r in records],
        "received_at": received,
        "session_id": [r.session for r in records],
        "value": [_json(r.value) for r in records],
        "number": [float(r.value) if isinstance(r.value, (bool, int, float)) else None for r in records],
        "correction": [_json(r.correction) for r in records],
        "extra": [_json(r.extra) for r in records],
    }
    return _table(lake_schemas(spec)["feedback"], columns, records)


def span_rows(records: Sequence[Span], received: Received, spec: Spec) -> pa.Table:
    """Rows of the lake's `spans`, in the order of the records."""
    columns = {"received_at": received, "attributes": [_json(r.attributes) for r in records]}
    return _table(lake_schemas(spec)["spans"], columns, records)


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


def _table(
    schema: pa.Schema, columns: dict[str, Any], records: Sequence[Any], split: Split | None = None
) -> pa.Table:
    arrays: dict[str, Any] = {}
    for field in schema:
        if field.name in ("day", "split"):
            continue
        values = columns.get(field.name)
        if values is None:
            values = [getattr(record, field.name) for record in records]
        try:
            arrays[field.name] = pa.chunked_array([pa.array(values, field.type)])
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise SchemaMismatch(
                f"Captured values of '{field.name}' do not fit {field.type}: {error}.",
                where="inbox",
                hint="The spec has changed since they were captured: flush with the former one first.",
            ) from error
    return with_day_and_split(schema, arrays, split)


def with_day_and_split(schema: pa.Schema, arrays: dict[str, Any], split: Split | None) -> pa.Table:
    """The table of a schema from its other columns; columns that are not given are null."""
    rows = len(arrays["id"])
    arrays["day"] = arrays["time"].cast(pa.date32())
    if split is not None:
        groups = arrays.get("group_id", pa.chunked_array([pa.nulls(rows, pa.string())]))
        arrays["split"] = split.of(arrays["id"], groups)
    return pa.table([arrays.get(f.name, pa.nulls(rows, f.type)) for f in schema], schema=schema)


def _output(value: Any) -> str | None:
    return encoded(value) if isinstance(value, (dict, list)) else text_of(value)


def _json(value: Any) -> str | None:
    return None if value is None or value in ({}, []) else encoded(value)


def _digest(value: Any) -> str:
    return blake2b(encoded(value).encode(), digest_size=12).hexdigest()


def _feedback_id(feedback: Feedback) -> str:
    return _digest(msgspec.to_builtins(feedback, enc_hook=str))


def row_maker(kind: str, spec: Spec, holdout_key: str) -> Callable[[Sequence[Any], Received], pa.Table]:
    """The function that makes rows of one kind of record."""
    makers: dict[str, Callable[[Sequence[Any], Received], pa.Table]] = {
        "predictions": lambda records, received: prediction_rows(records, received, spec, holdout_key),
        "labels": lambda records, received: label_rows(records, received, spec),
        "feedback": lambda records, received: feedback_rows(records, received, spec),
        "spans": lambda records, received: span_rows(records, received, spec),
    }
    return makers[kind]


def spread(times: Iterable[tuple[datetime, int]]) -> list[datetime]:
    """Each time repeated: the received time of every record of a batch of payloads."""
    return [time for time, count in times for _ in range(count)]
