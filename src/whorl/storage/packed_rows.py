"""Rows laid out so that one of many is read from few places: values of a fixed width lie side by side in one column.

A column of its own for each value means a page of memory for each value of a row that is looked up; packed, a row is one
page and one or two more for each text. Texts of few values are kept by number, texts of one length as they are.
"""

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from whorl.records import Record

# A text column with at most this share of distinct values, in a first look, and so many in all, is stored by their numbers.
FEW_VALUES, LOOK, MOST_VALUES = 0.1, 10_000, 4_096
PACKED, LAYOUT = "packed", b"layout"
Values = npt.NDArray[np.generic]


class Packed(Record, frozen=True, kw_only=True):
    """One column in the record: numpy's code for its type, whether nulls are told beside it, and what its numbers stand for."""

    name: str
    code: str
    nulls: bool = False
    texts: list[str] | None = None


class Layout(Record, frozen=True, kw_only=True):
    """The columns before packing, as a serialized Arrow schema, and those that were packed."""

    schema: bytes
    packed: list[Packed]


def pack(rows: pa.Table) -> pa.Table:
    """The rows with their fixed-width columns in one; columns without a value are left out.

    >>> few = pa.table({"id": ["a1", "b2"], "n": [1, None], "none": pa.nulls(2), "said": ["x", "longer"]})
    >>> packed = pack(few)
    >>> packed.column_names, unpack(packed).to_pylist()[1]
    (['said', 'packed'], {'id': 'b2', 'n': None, 'said': 'longer'})
    """
    whole = {
        name: column.combine_chunks()
        for name, column in zip(rows.column_names, rows.columns, strict=True)
        if column.null_count < len(column)
    }
    schema = pa.schema([rows.schema.field(name) for name in whole])
    found = {name: fixed for name, column in whole.items() if (fixed := _fixed(name, column)) is not None}
    plain = {name: column for name, column in whole.items() if name not in found}
    if found:
        plain[PACKED] = _record(rows.num_rows, found, whole)
    layout = Layout(schema=schema.serialize().to_pybytes(), packed=[column for column, _ in found.values()])
    return pa.table(plain).replace_schema_metadata({LAYOUT: msgspec.msgpack.encode(layout)})


def unpack(rows: pa.Table) -> pa.Table:
    """Some of the rows that were packed, with the columns that they had."""
    layout = msgspec.msgpack.decode(rows.schema.metadata[LAYOUT], type=Layout)
    schema = pa.ipc.read_schema(pa.py_buffer(layout.schema))
    columns = {name: rows[name] for name in rows.column_names if name != PACKED}
    if layout.packed:
        packed = rows[PACKED].combine_chunks()
        record = np.frombuffer(packed.buffers()[1], dtype=_dtype(layout.packed))
        record = record[packed.offset : packed.offset + len(packed)]
        for place, column in enumerate(layout.packed):
            columns[column.name] = _column(column, place, record, schema.field(column.name).type)
    return pa.table({name: columns[name] for name in schema.names}, schema=schema.remove_metadata())


def _fixed(name: str, column: pa.Array) -> tuple[Packed, Values] | None:
    """A column as numbers, or bytes, of one width; None where it has none."""
    kind, nulls = column.type, column.null_count > 0
    texts: list[str] | None = None
    if pa.types.is_string(kind):
        width = _one_length(column)
        if width:
            return Packed(name=name, code=f"V{width}"), _bytes(column, width)
        head = column.slice(0, LOOK)
        if len(head.unique()) > FEW_VALUES * len(head):
            return None
        numbered = column.dictionary_encode()
        if len(numbered.dictionary) > MOST_VALUES:
            return None
        column, texts = numbered.indices, numbered.dictionary.to_pylist()
    elif pa.types.is_boolean(kind):
        column = column.cast(pa.uint8())
    elif pa.types.is_timestamp(kind):
        column = column.cast(pa.int64())
    elif pa.types.is_date32(kind):
        column = column.cast(pa.int32())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return None
    values = (column.fill_null(0) if nulls else column).to_numpy(zero_copy_only=False)
    return Packed(name=name, code=values.dtype.str, nulls=nulls, texts=texts), values


def _one_length(column: pa.Array) -> int:
    """The length in bytes that all texts of a column have; 0 where they differ, or one is null."""
    if column.null_count or not len(column):
        return 0
    ends = np.frombuffer(column.buffers()[1], dtype=np.int32)[column.offset : column.offset + len(column) + 1]
    width = int(ends[1] - ends[0])
    return width if (np.diff(ends) == width).all() else 0


def _bytes(column: pa.Array, width: int) -> Values:
    """Texts of one length as bytes (n,)."""
    first = np.frombuffer(column.buffers()[1], dtype=np.int32)[column.offset]
    return np.frombuffer(column.buffers()[2], dtype=f"V{width}", count=len(column), offset=first)


def _dtype(packed: list[Packed]) -> np.dtype[np.void]:
    fields = [(f"v{place}", column.code) for place, column in enumerate(packed)]
    return np.dtype([*fields, *((f"n{place}", "?") for place, column in enumerate(packed) if column.nulls)])


def _record(n: int, found: dict[str, tuple[Packed, Values]], whole: dict[str, pa.Array]) -> pa.Array:
    record = np.empty(n, dtype=_dtype([column for column, _ in found.values()]))
    for place, (column, values) in enumerate(found.values()):
        record[f"v{place}"] = values
        if column.nulls:
            record[f"n{place}"] = whole[column.name].is_null().to_numpy(zero_copy_only=False)
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(record.dtype.itemsize), n, [None, pa.py_buffer(record)]
    )


def _column(column: Packed, place: int, record: npt.NDArray[np.void], kind: pa.DataType) -> pa.Array:
    values = np.ascontiguousarray(record[f"v{place}"])
    if values.dtype.kind == "V":
        width = values.dtype.itemsize
        fixed = pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(width), len(values), [None, pa.py_buffer(values)]
        )
        return fixed.cast(pa.binary()).cast(kind)
    found = pa.array(values, mask=record[f"n{place}"] if column.nulls else None)
    if column.texts is None:
        return found.cast(kind)
    return pa.DictionaryArray.from_arrays(found, pa.array(column.texts, kind)).cast(kind)
