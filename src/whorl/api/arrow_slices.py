"""Rows of an Arrow table in slices: a value that a dictionary holds once may be written out for every row."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from whorl.api.failures import BodyError
from whorl.api.unpacked import MAX_BODY_BYTES

PLAIN = "Write the columns without dictionaries, or send it as application/x-ndjson."
_SLICE_ROWS = 1 << 16
# Of a slice, and of all of a part's, with their dictionaries written out.
_SLICE_BYTES, _PART_BYTES = 16 << 20, 1 << 30
Sizes = npt.NDArray[np.int64]
_TEXTS: Sequence[Callable[[pa.DataType], bool]] = (
    pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary,
)  # fmt: skip


def written_out(table: pa.Table) -> list[pa.Table]:
    """Rows in slices that stay small when every dictionary is written out.

    Args:
        table: Of one chunk a column.

    Raises:
        ValueError: A column is of a type that cannot be read.
        BodyError: It would become too large (413).
    """
    written = sum(_written(column.chunk(0)) for column in table.columns if column.num_chunks)
    ends = np.cumsum(np.broadcast_to(written, table.num_rows), dtype=np.int64)
    if table.num_rows and (ends[-1] > _PART_BYTES or np.max(written) > MAX_BODY_BYTES):
        most = f"{_PART_BYTES:,} bytes, or a row larger than {MAX_BODY_BYTES:,}"
        raise BodyError(
            413, f"With its dictionaries written out, a record batch is larger than {most}.", hint=PLAIN
        )
    slices, start = list[pa.Table](), 0
    while start < table.num_rows:
        before = ends[start - 1] if start else 0
        fits = int(np.searchsorted(ends, before + _SLICE_BYTES, side="right"))
        end = min(max(fits, start + 1), start + _SLICE_ROWS)
        slices.append(table.slice(start, end - start))
        start = end
    return slices


def _written(column: pa.Array) -> Sizes:
    """Bytes that each row takes more than it has here; one number where it is the same of all."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        values = column.dictionary
        if pa.types.is_primitive(values.type):
            return np.array(8)
        if not any(test(values.type) for test in _TEXTS):
            return np.array(values.nbytes)
        sizes = pc.take(pc.binary_length(values), column.indices)
        return np.asarray(sizes.fill_null(0), dtype=np.int64)
    if pa.types.is_struct(kind):
        return sum(map(_written, column.flatten()), np.array(0))
    if _plain(kind):
        return np.array(0)
    raise ValueError(f"columns of {kind} are not read: write them as plain columns")


def _plain(kind: pa.DataType) -> bool:
    """Whether values of a type stand in it one after the other, so that what it holds is as large as it is."""
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _plain(kind.value_type)
    if pa.types.is_map(kind):
        return _plain(kind.key_type) and _plain(kind.item_type)
    if pa.types.is_struct(kind):
        return all(_plain(kind.field(number).type) for number in range(kind.num_fields))
    tests: Sequence[object] = (
        pa.types.is_primitive, pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary,
        pa.types.is_fixed_size_binary, pa.types.is_decimal, pa.types.is_null,
    )  # fmt: skip
    return any(test(kind) for test in tests)  # type: ignore[operator]
