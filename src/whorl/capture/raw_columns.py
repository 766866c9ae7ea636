"""A table of raw records as columns by path, and what has been read of it so far: which rows are still sure."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from whorl.capture import lanes
from whorl.capture.columns import encoded
from whorl.capture.paths import ABSENT, Path, Remainder, left
from whorl.capture.readers import AHEAD
from whorl.capture.values import EARLIEST_US, LATEST_US, MAX_RECORD_BYTES, ZONELESS, Notes
from whorl.storage.tables import TEXT

_DAY_US = 86_400_000_000


def normal(table: pa.Table) -> pa.Table:
    """The same values in fewer types, also inside structs: plain text, times in microseconds, floats of 64 bits.

    Of several columns of one name the last stays, as of several keys in JSON.
    """
    named = zip(table.column_names, table.columns, strict=True)
    return pa.table({name: _normal(column.combine_chunks()) for name, column in named})


class ByPath(ABC):
    """Raw records as columns, by path."""

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def find(self, path: Path) -> pa.Array | None:
        """The first column that a path leads to."""
        return next(iter(self.all([path])), None)

    def all(self, paths: Sequence[Path]) -> list[pa.Array]:
        """Every column that one of the paths leads to, in the order in which the record path asks."""
        found = (self._along(route) for path in paths for route in path.routes)
        return [column for column in found if column is not None]

    @abstractmethod
    def has(self, key: str) -> bool:
        """Whether there is anything at this place at the top of a record, null included."""

    @abstractmethod
    def sure(self) -> pa.Array:
        """True for the rows that the columns hold as they are, and that are small."""

    @abstractmethod
    def extra(self, remainder: Remainder, only: set[str] | None = None) -> pa.Array | None:
        """What was not read as JSON text, a row each; null where nothing is left.

        Args:
            only: The top-level keys that count; all of them when None.
        """

    @abstractmethod
    def _along(self, route: tuple[str, ...]) -> pa.Array | None: ...


def small(columns: Iterable[pa.Array], rows: int) -> npt.NDArray[np.bool_]:
    """True where the texts of a row are together far from what a record may have in bytes."""
    limit = MAX_RECORD_BYTES // 4
    total = np.zeros(rows, dtype=np.int64)
    columns = list(columns)
    if sum(column.nbytes for column in columns) >= limit:
        for column in columns:
            total += pc.binary_length(column).fill_null(0).to_numpy().astype(np.int64)
    return total < limit


class Columns(ByPath):
    """A normal table, by path."""

    def __init__(self, table: pa.Table) -> None:
        super().__init__(table.num_rows)
        self._columns: dict[str, pa.Array] = {
            name: column.combine_chunks()
            for name, column in zip(table.column_names, table.columns, strict=True)
        }

    def has(self, key: str) -> bool:
        return key in self._columns

    def sure(self) -> pa.Array:
        texts = (column for column in self._columns.values() if pa.types.is_string(column.type))
        return pa.array(small(texts, self.rows))

    def extra(self, remainder: Remainder, only: set[str] | None = None) -> pa.Array | None:
        pieces = []
        for name, column in self._columns.items():
            taken = remainder.below(name)
            if taken is not None and (only is None or name in only):
                pieces.append(_pieces(name, column, None if taken is ABSENT else taken))
        if not pieces:
            return None
        joined = pc.utf8_rtrim(pc.binary_join_element_wise(*pieces, ""), ",")
        empty = pc.equal(joined, "")
        return pc.if_else(empty, pa.scalar(None, TEXT), pc.binary_join_element_wise("{", joined, "}", ""))

    def _along(self, route: tuple[str, ...]) -> pa.Array | None:
        column = self._columns.get(route[0])
        for key in route[1:]:
            if column is None or not pa.types.is_struct(column.type) or column.type.get_field_index(key) < 0:
                return None
            column = pc.struct_field(column, key)
        return column


class Reading:
    """Reads columns by lanes, and keeps which rows every lane was sure of."""

    def __init__(self, columns: ByPath, received_at: datetime) -> None:
        self.columns = columns
        self.received_at = received_at
        self._sure = pa.array(np.ones(columns.rows, dtype=bool))
        self._noted: list[tuple[str, pa.Array]] = []

    def read(
        self, paths: Sequence[Path], lane: lanes.Read, *, needed: bool = False, note: str | None = None
    ) -> pa.Array | None:
        """The values of a column; None when it is not there.

        Args:
            needed: Rows without a value are not sure.
            note: Counted for the rows that the lane notes.
        """
        columns = self.columns.all(paths)
        if not columns:
            if needed:
                self.doubt_all()
            return None
        values, sure, noted = lane(columns[0])
        self.only_where(sure)
        if len(columns) > 1:
            self.only_where(pc.is_valid(columns[0]))
        if needed:
            self.only_where(pc.is_valid(values))
        if note is not None:
            self._noted.append((note, noted))
        return values

    def time(self, path: Path, *, needed: bool = False, where: pa.Array | None = None) -> pa.Array | None:
        """Times not more than a day ahead; what has no zone is noted in the rows where `where` holds."""
        latest = self.received_at + AHEAD

        def lane(column: pa.Array) -> lanes.Lane:
            read = lanes.instants(column, latest)
            return read if where is None else read._replace(noted=pc.and_(read.noted, where))

        return self.read([path], lane, needed=needed, note=ZONELESS)

    def map_of(self, named: dict[str, pa.Array | None]) -> pa.Array | None:
        """Columns as one map column; rows that lack one of them are not sure."""
        found = {name: column for name, column in named.items() if column is not None}
        if not found:
            return None
        for column in found.values():
            self.only_where(pc.is_valid(column))
        rows, size = self.columns.rows, len(found)
        order = np.arange(rows * size).reshape(size, rows).T.ravel()
        items = pa.concat_arrays([column.fill_null("") for column in found.values()]).take(pa.array(order))
        names = pa.array(list(found)).take(pa.array(np.tile(np.arange(size), rows)))
        return pa.MapArray.from_arrays(pa.array(np.arange(rows + 1) * size, pa.int32()), names, items)

    def only_where(self, mask: pa.Array) -> None:
        """Doubt the other rows."""
        self._sure = pc.and_(self._sure, mask)

    def doubt_all(self) -> None:
        self._sure = pa.array(np.zeros(self.columns.rows, dtype=bool))

    def extra(self, remainder: Remainder, only: set[str] | None = None) -> pa.Array | None:
        """What was not read, of every row; the last to be asked for."""
        texts = self.columns.extra(remainder, only)
        self.only_where(self.columns.sure())
        return texts

    def sure_part(self, values: dict[str, pa.Array | None], where: pa.Array | None = None) -> dict[str, Any]:
        """The columns that are there, of the rows that are sure and where `where` holds."""
        mask = self._sure if where is None else pc.and_(self._sure, where)
        kept = {name: column for name, column in values.items() if column is not None}
        return {name: pa.chunked_array([column.filter(mask)]) for name, column in kept.items()}

    def doubtful(self) -> pa.Array:
        """Places of the rows that some lane was not sure of."""
        return pa.array(np.flatnonzero(~self._sure.to_numpy(zero_copy_only=False)))

    def notes(self) -> Notes:
        """Notes of the sure rows; the others earn theirs one by one."""
        notes = Notes()
        for note, mask in self._noted:
            if count := pc.and_(self._sure, mask).true_count:
                notes[note] += count
        return notes


def _normal(column: pa.Array) -> pa.Array:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _normal(column.dictionary_decode())
    if pa.types.is_run_end_encoded(kind):
        return _normal(pc.run_end_decode(column))
    if isinstance(kind, pa.UuidType):
        return pa.array([None if one is None else str(one) for one in column.to_pylist()], TEXT)
    if isinstance(kind, pa.BaseExtensionType):
        return _normal(column.storage)
    if pa.types.is_struct(kind) and kind.num_fields:
        fields = {field.name: _normal(part) for field, part in zip(kind, column.flatten(), strict=True)}
        return pa.StructArray.from_arrays(list(fields.values()), names=list(fields), mask=column.is_null())
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return column.cast(TEXT)
    if pa.types.is_null(kind):
        return column.cast(TEXT)
    if pa.types.is_float16(kind) or pa.types.is_float32(kind):
        return column.cast(pa.float64())
    if pa.types.is_timestamp(kind):
        texts = _out_of_years(column)
        return column.cast(pa.timestamp("us", kind.tz), safe=False) if texts is None else texts
    if pa.types.is_date(kind):
        texts = _out_of_years(column.cast(pa.timestamp("s" if pa.types.is_date32(kind) else "ms")))
        return column if texts is None else texts
    return column


def _out_of_years(times: pa.Array) -> pa.Array | None:
    """The times as text when some lie outside of the years 1 to 9999, which no record can hold; else None."""
    unit = times.type.unit
    ends = pc.min_max(times.cast(pa.int64())).as_py()
    if unit == "ns" or ends["min"] is None:
        return None
    tick = {"s": 1_000_000, "ms": 1_000}.get(unit, 1)
    # Where the clocks of a zone stand may be a day off.
    day = _DAY_US if times.type.tz else 0
    if EARLIEST_US + day <= ends["min"] * tick and ends["max"] * tick <= LATEST_US - day:
        return None
    return times.cast(pa.timestamp(unit)).cast(TEXT)


def _pieces(name: str, column: pa.Array, taken: dict[str, Any] | None) -> pa.Array:
    """`"name":value,` a row; empty where there is none. `taken` is the tree of places that were read inside."""
    head = encoded(name) + ":"

    def piece(value: Any) -> str:
        if value is None:
            return ""
        if taken is not None and isinstance(value, dict):
            value = left(value, taken)
            return f"{head}{encoded(value)}," if value else ""
        return f"{head}{encoded(value)},"

    if pa.types.is_nested(column.type):
        return pa.array([piece(value) for value in column.to_pylist(maps_as_pydicts="lossy")], TEXT)
    distinct = column.dictionary_encode()
    texts = pa.array([piece(value) for value in distinct.dictionary.to_pylist()], TEXT)
    return texts.take(distinct.indices).fill_null("")
