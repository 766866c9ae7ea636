"""Scrub a column of a table: each distinct text once, structs field by field, anything else value by value."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from whorl.capture.scrub.places import Place

Scrub = Callable[[Any, Place, bool, int | None], Any]
_NOTHING = Place()
_CARD_AT_LEAST = 10**11


class Walked(NamedTuple):
    """What is done to the values of a column."""

    scrub: Scrub
    place: Place
    redact: bool
    cut: int | None

    def of(self, value: Any) -> Any:
        return self.scrub(value, self.place, self.redact, self.cut)


def walked(column: pa.Array, walk: Walked) -> pa.Array:
    """The scrubbed column; its type stays where the values allow it."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return walked(column.dictionary_decode(), walk)
    if pa.types.is_struct(kind) and not walk.place.hash:
        return _struct(column, walk)
    if pa.types.is_nested(kind):
        return _made([walk.of(one) for one in column.to_pylist(maps_as_pydicts="lossy")], kind)
    if not walk.place.hash and _harmless(column, walk):
        return column
    distinct = pc.dictionary_encode(column)
    values = [walk.of(one) for one in distinct.dictionary.to_pylist()]
    return _made(values, kind).take(distinct.indices)


def rows_with(table: pa.Table, names: set[str]) -> Iterator[dict[str, Any]]:
    """The rows of a table as raw records, with these columns alone."""
    there = [name for name in table.column_names if name in names]
    if not there:
        yield from ({} for _ in range(table.num_rows))
        return
    for batch in table.select(there).to_batches(max_chunksize=65_536):
        yield from batch.to_pylist(maps_as_pydicts="lossy")


def _struct(column: pa.Array, walk: Walked) -> pa.Array:
    place = walk.place
    redact = walk.redact or place.redact
    cut = place.cut if place.cut is not None else walk.cut
    fields: dict[str, pa.Array] = {}
    for number, values in enumerate(column.flatten()):
        name = column.type.field(number).name
        inner = place.below.get(name, _NOTHING)
        if not inner.drop:
            further = Walked(walk.scrub, inner, redact, cut)
            idle = inner is _NOTHING and not redact and cut is None
            fields[name] = values if idle else walked(values, further)
    if not fields:
        return pa.nulls(len(column))
    return pa.StructArray.from_arrays(list(fields.values()), names=list(fields), mask=column.is_null())


def _harmless(column: pa.Array, walk: Walked) -> bool:
    """Whether nothing in a column of plain values can have to change: what is no text is no free text."""
    kind = column.type
    if _is_text(kind):
        return False
    if not (walk.redact or walk.place.redact):
        return True
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        most = pc.max(column).as_py()
        return most is None or not most >= _CARD_AT_LEAST
    return not pa.types.is_decimal(kind)


def _is_text(kind: pa.DataType) -> bool:
    tests = ("is_string", "is_large_string", "is_string_view", "is_binary", "is_large_binary", "is_binary_view",
             "is_fixed_size_binary")  # fmt: skip
    return any(getattr(pa.types, test)(kind) for test in tests)


def _made(values: list[Any], kind: pa.DataType) -> pa.Array:
    try:
        return pa.array(values, kind)
    except (pa.ArrowException, TypeError):
        pass
    try:
        return pa.array(values)
    except (pa.ArrowException, TypeError):
        # Values of several kinds have one in text.
        return pa.array([None if one is None else str(one) for one in values], pa.string())
