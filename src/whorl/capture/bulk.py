"""Whole Arrow tables of raw records to rows of the lake: the same rules and answers as `mapping.py`, at column speed.

Rows that are plainly right go by the lanes; every other row goes through the Mapper, which has the last word and words
every refusal. So a clean extract of millions takes seconds, and a dirty row costs what it costs.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from whorl.capture import lanes
from whorl.capture.columns import Split, row_maker, with_day_and_split
from whorl.capture.labels import LABEL_UNKNOWN
from whorl.capture.mapping import Kind, Mapper
from whorl.capture.paths import Path
from whorl.capture.raw_columns import Columns, Reading, normal
from whorl.capture.sealed import seal
from whorl.capture.values import MAX_RECORD_BYTES, Notes, not_finite, refusal_of
from whorl.errors import RecordError
from whorl.records import Refusal
from whorl.spec import Spec
from whorl.storage.tables import FEATURE, PROTECTED, lake_schemas

_FEATURES: dict[str, lanes.Read] = {
    "float": lanes.finite_numbers,
    "int": lanes.whole_numbers,
    "bool": lanes.truths,
    "category": lanes.texts,
    "text": lanes.texts,
}
_TEXTS = ("output", "action", "model_version", "feature_version", "variant", "trace_id", "parent_id")
_AMOUNTS = ("latency_ms", "cost_usd")
_COUNTS = ("input_tokens", "output_tokens")
_SHAPED = ("scores", "items", "messages", "content")

_Parts = dict[Kind, list[pa.Table]]


class Rows(NamedTuple):
    """What a table holds: rows of the lake by kind (only kinds that have any), and what was refused."""

    tables: dict[Kind, pa.Table]
    accepted: int
    refused: list[Refusal]


class Bulk:
    """Maps tables by one spec.

    Args:
        holdout_key: The flywheel's, for the column `split`.
    """

    def __init__(self, spec: Spec, holdout_key: str) -> None:
        self._spec, self._key = spec, holdout_key
        self._mapper = Mapper(spec)
        self._fields = self._mapper.fields
        self._schemas = lake_schemas(spec)
        self._split = Split(spec, holdout_key)

    def rows(
        self, kind: Kind, table: pa.Table, received_at: datetime, notes: Notes, numbers: Sequence[int]
    ) -> Rows:
        """Map a table.

        Args:
            table: One raw record a row. Columns are found by path: flat names, dotted names or struct fields.
            numbers: How each row is called where it is refused: its line, or its place from 0.
        """
        raw = normal(table.combine_chunks())
        columns = Columns(raw)
        reading = Reading(columns, received_at)
        reading.only_where(columns.small(MAX_RECORD_BYTES // 4))
        tables: _Parts = {"predictions": [], "labels": [], "feedback": []}
        if any(_holds_map(column.type) for column in raw.columns):
            # Paths lead into a map's keys, which differ from row to row: no lane can follow.
            reading.doubt_all()
        elif kind == "predictions" and columns.find(self._fields.time) is not None:
            self._read_predictions(reading, tables)
        elif kind == "labels" and not ({"prediction_id", "keys"} & set(raw.column_names)):
            self._read_labels(reading, tables)
        else:
            reading.doubt_all()
        notes.update(reading.notes())
        places = reading.doubtful()
        doubtful = zip((numbers[place] for place in places.to_pylist()), _records(raw, places), strict=True)
        refused = self._one_by_one(kind, doubtful, received_at, notes, tables)
        return _rows(tables, table.num_rows, refused)

    def rows_of(
        self, kind: Kind, numbered: Sequence[tuple[int, Any]], received_at: datetime, notes: Notes
    ) -> Rows:
        """The same for raw records that are objects already, each with its number."""
        tables: _Parts = {"predictions": [], "labels": [], "feedback": []}
        refused = self._one_by_one(kind, numbered, received_at, notes, tables)
        return _rows(tables, len(numbered), refused)

    def _read_predictions(self, reading: Reading, tables: _Parts) -> None:
        fields, spec = self._fields, self._spec
        values: dict[str, pa.Array | None] = {
            "id": reading.read([fields.id], lanes.identifiers, needed=True),
            "time": reading.time(fields.time, needed=True),
            "group_id": reading.read(_some(fields.group), lanes.identifiers),
            "session_id": reading.read(_some(fields.session), lanes.identifiers),
        }
        for name, path in fields.prediction.items():
            values[name] = self._answer(reading, name, path)
        for name, feature in spec.features.items():
            values[FEATURE + name] = reading.read(
                fields.features[name], _FEATURES[feature.type], note=not_finite(name)
            )
        for name, path in fields.protected.items():
            values[PROTECTED + name] = reading.read([path], lanes.texts)
        keys = {name: reading.read([path], lanes.identifiers) for name, path in fields.keys.items()}
        values["keys"] = reading.map_of(keys)
        label = label_time = source = None
        if fields.label is not None and reading.columns.find(fields.label) is not None:
            label = reading.read([fields.label], lambda c: lanes.labels(c, spec), note=LABEL_UNKNOWN)
            label_time, source = self._label_time_and_source(reading, label)
        if values["id"] is None:
            return
        values["received_at"] = reading.received()
        values["extra"] = reading.columns.extra(fields.rest)
        arrays = reading.sure_part(values)
        tables["predictions"].append(with_day_and_split(self._schemas["predictions"], arrays, self._split))
        if label is not None:
            beside = reading.columns.extra(fields.label_rest, _tops(fields.label_parent))
            own = {"prediction_id": values["id"], "keys": values.get("keys"), "value": label, "extra": beside}
            tables["labels"].append(self._label_table(reading, own, label_time, source))

    def _read_labels(self, reading: Reading, tables: _Parts) -> None:
        fields, spec = self._fields, self._spec
        if fields.label is None or spec.labels.on != ["id"]:
            reading.doubt_all()
            return
        known_id = reading.read([fields.id], lanes.identifiers, needed=True)
        label = reading.read([fields.label], lambda c: lanes.labels(c, spec), needed=True)
        if known_id is None or label is None:
            return
        keys = {name: reading.read([path], lanes.identifiers) for name, path in fields.keys.items()}
        label_time, source = self._label_time_and_source(reading, label)
        own = {
            "prediction_id": known_id,
            "keys": reading.map_of(keys),
            "value": label,
            "extra": reading.columns.extra(fields.label_rest),
        }
        tables["labels"].append(self._label_table(reading, own, label_time, source))

    def _label_time_and_source(
        self, reading: Reading, label: pa.Array
    ) -> tuple[pa.Array | None, pa.Array | None]:
        time = reading.time(self._fields.label_time, where=pc.is_valid(label))
        return time, reading.read([self._fields.label_source], lanes.texts)

    def _label_table(
        self, reading: Reading, own: dict[str, Any], time: pa.Array | None, source: pa.Array | None
    ) -> pa.Table:
        received = reading.received()
        values = {name: value for name, value in own.items() if value is not None}
        values["time"] = received if time is None else pc.coalesce(time, received)
        values["source"], values["received_at"] = source, received
        micros = values["time"].cast(pa.int64()).cast(pa.string())
        about = pc.binary_join_element_wise(values["prediction_id"], micros, "@")
        values["id"] = pc.binary_join_element_wise(about, lanes.texts(values["value"]).values, "=")
        arrays = reading.sure_part(values, where=pc.is_valid(values["value"]))
        return with_day_and_split(self._schemas["labels"], arrays, None)

    def _answer(self, reading: Reading, name: str, path: Path) -> pa.Array | None:
        """One field of the answer; what has a shape of its own is read one by one."""
        if name in _SHAPED:
            reading.read([path], lanes.one_by_one)
            return None
        if name in _TEXTS:
            return reading.read([path], lanes.texts)
        if name in _COUNTS:
            counts = reading.read([path], lanes.whole_numbers)
            if counts is not None:
                reading.only_where(pc.greater_equal(counts, 0).fill_null(True))
            return counts
        values = reading.read([path], lanes.numbers)
        if values is not None:
            low, high = self._range_of(name)
            inside = pc.and_(pc.greater_equal(values, low), pc.less_equal(values, high))
            reading.only_where(pc.and_(inside, pc.is_finite(values)).fill_null(True))
        return values

    def _range_of(self, name: str) -> tuple[float, float]:
        """Least and greatest value of a number in the answer."""
        if name == "propensity":
            return math.ulp(0.0), 1.0
        if name == "score":
            return (0.0, 1.0) if self._spec.task in ("binary", "multiclass") else (-math.inf, math.inf)
        return 0.0, math.inf

    def _one_by_one(
        self,
        kind: Kind,
        numbered: Iterable[tuple[int, Any]],
        received_at: datetime,
        notes: Notes,
        tables: _Parts,
    ) -> list[Refusal]:
        refused: list[Refusal] = []
        records: dict[Kind, list[Any]] = {"predictions": [], "labels": [], "feedback": []}
        for number, raw in numbered:
            try:
                parts = self._mapper.map(kind, raw, received_at, notes).by_kind()
                for part in parts.values():
                    seal(part)
            except RecordError as error:
                refused.append(refusal_of(error, number))
                continue
            for name, part in parts.items():
                records[name].append(part)
        for name, found in records.items():
            if found:
                make = row_maker(name, self._spec, self._key)
                tables[name].append(make(found, [received_at] * len(found)))
        return refused


def _rows(tables: _Parts, given: int, refused: list[Refusal]) -> Rows:
    whole = {name: pa.concat_tables(parts) for name, parts in tables.items() if parts}
    return Rows({name: part for name, part in whole.items() if part.num_rows}, given - len(refused), refused)


def _holds_map(kind: pa.DataType) -> bool:
    """Whether a column is a map, or has one inside."""
    if pa.types.is_map(kind):
        return True
    return any(_holds_map(kind.field(place).type) for place in range(kind.num_fields))


def _records(raw: pa.Table, places: pa.Array) -> Iterator[dict[str, Any]]:
    """Rows as raw records; a map is an object."""
    yield from raw.take(places).to_pylist(maps_as_pydicts="lossy")


def _some(path: Path | None) -> list[Path]:
    return [] if path is None else [path]


def _tops(path: Path | None) -> set[str]:
    """The top-level columns in which a path may lie."""
    return set() if path is None else {route[0] for route in path.routes}
