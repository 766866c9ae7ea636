"""Many raw records, as a table or as objects, to rows of the lake: the rules and answers of `mapping.py`, at column speed.

Rows that are plainly right go by the lanes; every other row goes through the Mapper, which has the last word and words
every refusal. So a clean extract of millions takes seconds, and a dirty row costs what it costs.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import reduce
from typing import Any, NamedTuple, get_args

import pyarrow as pa
import pyarrow.compute as pc

from whorl.capture import lanes
from whorl.capture.columns import Split, received_rows, row_maker, waiting_rows, waiting_schema
from whorl.capture.labels import LABEL_UNKNOWN
from whorl.capture.mapping import Kind, Mapper
from whorl.capture.object_columns import ObjectColumns, Places
from whorl.capture.paths import Path
from whorl.capture.raw_columns import Columns, Reading, normal
from whorl.capture.scrub.scrubber import WITHOUT_CONSENT
from whorl.capture.sealed import seal
from whorl.capture.values import Notes, not_finite, refusal_of
from whorl.errors import RecordError
from whorl.records import Refusal
from whorl.spec import Spec
from whorl.storage.tables import FEATURE, PROTECTED, TIME, lake_schemas

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

# Below this, a record at a time costs less than columns do.
MANY = 100
# What columns are worth it for; other kinds are mapped a record at a time.
COLUMNAR: tuple[Kind, ...] = ("predictions", "labels")

_Parts = dict[Kind, list[pa.Table]]


class Rows(NamedTuple):
    """What raw records hold: rows by kind (only kinds that have any), and what was refused."""

    tables: dict[Kind, pa.Table]
    accepted: int
    refused: list[Refusal]


class Bulk:
    """Maps to rows of the lake by one spec.

    Args:
        holdout_key: The flywheel's, for the column `split`.
        native: As for the Mapper.
    """

    def __init__(self, spec: Spec, holdout_key: str, *, native: bool = False) -> None:
        self._waiting = WaitingBulk(spec, native=native)
        self._schemas, self._split = lake_schemas(spec), Split(spec, holdout_key)

    def rows(
        self, kind: Kind, table: pa.Table, received_at: datetime, notes: Notes, numbers: Sequence[int]
    ) -> Rows:
        """Map a table.

        Args:
            table: One raw record a row. Columns are found by path: flat names, dotted names or struct fields.
            numbers: How each row is called where it is refused: its line, or its place from 0.
        """
        return self._received(self._waiting.rows(kind, table, received_at, notes, numbers), received_at)

    def rows_of(
        self, kind: Kind, numbered: Sequence[tuple[int, Any]], received_at: datetime, notes: Notes
    ) -> Rows:
        """The same for raw records that are objects already, each with its number."""
        return self._received(self._waiting.rows_of(kind, numbered, received_at, notes), received_at)

    def _received(self, rows: Rows, at: datetime) -> Rows:
        when = pa.scalar(at, TIME)
        tables = {
            kind: received_rows(table, self._schemas[kind], pa.repeat(when, table.num_rows), self._split)
            for kind, table in rows.tables.items()
        }
        return rows._replace(tables=tables)


class WaitingBulk:
    """Maps, by one spec, to rows that wait to be received; safe to share between threads.

    Args:
        native: As for the Mapper.
    """

    def __init__(self, spec: Spec, *, native: bool = False) -> None:
        self._spec, self._native = spec, native
        self._mapper = Mapper(spec, native=native)
        self._fields = self._mapper.fields
        self._schemas = {kind: waiting_schema(spec, kind) for kind in get_args(Kind)}
        self._places = Places(self._fields.every())

    def rows(
        self, kind: Kind, table: pa.Table, received_at: datetime, notes: Notes, numbers: Sequence[int]
    ) -> Rows:
        """As `Bulk.rows`."""
        raw = normal(table.combine_chunks())
        if self._mapper.scrubber is not None:
            raw, kept = self._mapper.scrubber.table(raw, kind)
            if without := len(kept) - raw.num_rows:
                notes[WITHOUT_CONSENT] += without
            numbers = [number for number, keep in zip(numbers, kept, strict=True) if keep]
        reading, parts = Reading(Columns(raw), received_at), _Parts()
        if any(_holds_map(column.type) for column in raw.columns):
            # Paths lead into a map's keys, which differ from row to row: no lane can follow.
            reading.doubt_all()
        else:
            self._read(kind, reading, parts)
        places = reading.doubtful()
        doubtful = zip((numbers[place] for place in places.to_pylist()), _records(raw, places), strict=True)
        return self._all(kind, reading, parts, doubtful, raw.num_rows, notes)

    def rows_of(
        self, kind: Kind, numbered: Sequence[tuple[int, Any]], received_at: datetime, notes: Notes
    ) -> Rows:
        """As `Bulk.rows_of`."""
        numbered, unscrubbed = self._mapper.admitted(kind, numbered, notes)
        rows = self._rows_of(kind, numbered, received_at, notes)
        return rows._replace(refused=[*unscrubbed, *rows.refused]) if unscrubbed else rows

    def _rows_of(
        self, kind: Kind, numbered: Sequence[tuple[int, Any]], received_at: datetime, notes: Notes
    ) -> Rows:
        if len(numbered) < MANY or kind not in COLUMNAR:
            refused = self._one_by_one(kind, numbered, received_at, notes, parts := _Parts())
            return _rows(parts, len(numbered), refused)
        columns = ObjectColumns([raw for _, raw in numbered], self._places, lift=self._native)
        reading, parts = Reading(columns, received_at), _Parts()
        self._read(kind, reading, parts)
        doubtful = (numbered[place] for place in reading.doubtful().to_pylist())
        return self._all(kind, reading, parts, doubtful, len(numbered), notes)

    def _read(self, kind: Kind, reading: Reading, parts: _Parts) -> None:
        columns = reading.columns
        when = (self._fields.time, self._fields.logged_at)
        if kind == "predictions" and any(columns.find(path) is not None for path in when):
            self._read_predictions(reading, parts)
        elif kind == "labels" and not (self._native or columns.has("prediction_id") or columns.has("keys")):
            self._read_labels(reading, parts)
        else:
            reading.doubt_all()

    def _all(
        self, kind: Kind, reading: Reading, parts: _Parts, doubtful: Iterable[tuple[int, Any]], given: int, notes: Notes
    ) -> Rows:  # fmt: skip
        notes.update(reading.notes())
        refused = self._one_by_one(kind, doubtful, reading.received_at, notes, parts)
        return _rows(parts, given, refused)

    def _read_predictions(self, reading: Reading, parts: _Parts) -> None:
        fields, spec = self._fields, self._spec
        values: dict[str, pa.Array | None] = {
            "id": reading.read([fields.id], lanes.identifiers, needed=True),
            "group_id": reading.read(_some(fields.group), lanes.groups),
            "session_id": reading.read(_some(fields.session), lanes.identifiers),
        }
        for name, path in fields.prediction.items():
            values[name] = self._answer(reading, name, path)
        features = {
            FEATURE + name: reading.read(
                fields.features[name], _FEATURES[feature.type], note=not_finite(name)
            )
            for name, feature in spec.features.items()
        }
        values |= {**features, "time": self._when(reading, [f for f in features.values() if f is not None])}
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
        values["extra"] = reading.extra(fields.rest)
        own = None
        if label is not None:
            beside = reading.extra(fields.label_rest, _tops(fields.label_parent))
            about = {"prediction_id": values["id"], "keys": values["keys"], "value": label, "extra": beside}
            own = self._label_values(reading, about, label_time, source)
        parts.setdefault("predictions", []).append(self._sure_rows("predictions", reading, values))
        if own is not None:
            parts.setdefault("labels", []).append(self._sure_rows("labels", reading, own, pc.is_valid(label)))

    def _read_labels(self, reading: Reading, parts: _Parts) -> None:
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
        about = {
            "prediction_id": known_id,
            "keys": reading.map_of(keys),
            "value": label,
            "extra": reading.extra(fields.label_rest),
        }
        own = self._label_values(reading, about, label_time, source)
        parts.setdefault("labels", []).append(self._sure_rows("labels", reading, own))

    def _when(self, reading: Reading, features: list[pa.Array]) -> pa.Array:
        """The time; where a record with features has none, when the client logged it."""
        time = reading.time(self._fields.time)
        time = pa.nulls(reading.columns.rows, TIME) if time is None else time
        if time.null_count and features and reading.columns.find(self._fields.logged_at) is not None:
            logged = reading.time(self._fields.logged_at, where=pc.is_null(time))
            told = reduce(pc.or_, map(pc.is_valid, features))
            time = pc.if_else(pc.and_(pc.is_null(time), told), logged, time)
        reading.only_where(pc.is_valid(time))
        return time

    def _label_time_and_source(
        self, reading: Reading, label: pa.Array
    ) -> tuple[pa.Array | None, pa.Array | None]:
        time = reading.time(self._fields.label_time, where=pc.is_valid(label))
        return time, reading.read([self._fields.label_source], lanes.texts)

    def _label_values(
        self, reading: Reading, about: dict[str, Any], time: pa.Array | None, source: pa.Array | None
    ) -> dict[str, Any]:
        received = pa.scalar(reading.received_at, TIME)
        filled = pa.repeat(received, reading.columns.rows) if time is None else time.fill_null(received)
        micros = filled.cast(pa.int64()).cast(pa.string())
        known_by = pc.binary_join_element_wise(about["prediction_id"], micros, "@")
        named = pc.binary_join_element_wise(known_by, lanes.texts(about["value"]).values, "=")
        return {**about, "id": named, "time": filled, "source": source}

    def _sure_rows(
        self, kind: Kind, reading: Reading, values: dict[str, Any], where: pa.Array | None = None
    ) -> pa.Table:
        return waiting_rows(self._schemas[kind], reading.sure_part(values, where))

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
        values = reading.read([path], lanes.answered_numbers)
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
        parts: _Parts,
    ) -> list[Refusal]:
        refused: list[Refusal] = []
        records: dict[Kind, list[Any]] = {}
        for number, raw in numbered:
            try:
                mapped = self._mapper.read(kind, raw, received_at, notes).by_kind()
                for record in mapped.values():
                    seal(record)
            except RecordError as error:
                refused.append(refusal_of(error, number))
                continue
            for name, record in mapped.items():
                records.setdefault(name, []).append(record)
        for name, found in records.items():
            parts.setdefault(name, []).append(row_maker(name)(found, self._spec))
        return refused


def native_bulk(spec: Spec) -> WaitingBulk:
    """Of records with the field names of `records.py`."""
    return WaitingBulk(spec, native=True)


def _rows(parts: _Parts, given: int, refused: list[Refusal]) -> Rows:
    whole = {name: pa.concat_tables(tables) for name, tables in parts.items()}
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
