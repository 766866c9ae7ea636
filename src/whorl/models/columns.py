"""Feature values as the numbers that a model computes with: whole columns, or the values of one row.

Null becomes nan, true 1, a category its place in the table of levels; a category that is not in the table becomes nan.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from whorl.errors import ModelError
from whorl.stats.arrays import Floats


def column(features: pa.Table, name: str) -> pa.ChunkedArray:
    """A column by feature name. Raises ModelError naming the columns that are there."""
    if name not in features.column_names:
        raise ModelError(
            f"The rows have no column '{name}', which the model takes.",
            where="predict",
            hint=f"Columns: {', '.join(features.column_names)}.",
        )
    return features.column(name)


def numbers(values: pa.ChunkedArray, name: str) -> Floats:
    """Numbers and bools (n,) as float64, null as nan."""
    kind = values.type
    try:
        # Arrow has no cast from bool to float64.
        cast = values.cast(pa.int8()) if pa.types.is_boolean(kind) else values
        floats = cast.cast(pa.float64(), safe=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise _not_a_number(name, f"a column of {kind}") from error
    array: Floats = (
        floats.to_numpy(zero_copy_only=False)
        if not floats.null_count
        else pc.fill_null(floats, float("nan")).to_numpy(zero_copy_only=False)
    )
    return array


def texts(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Categories and texts as strings. Whole numbers that became floats beside a null lose their `.0` again."""
    if pa.types.is_floating(values.type):
        whole = pc.all(pc.equal(values, pc.round(values)), skip_nulls=True).as_py()
        values = values.cast(pa.int64()) if whole else values
    return values.cast(pa.string())


def codes(values: pa.ChunkedArray, levels: Sequence[str | None]) -> Floats:
    """Places (n,) of categories in the table of levels; nan for what is not in it.

    >>> codes(pa.chunked_array([["a", None, "z", "b"]]), ["a", "b"]).tolist()
    [0.0, nan, nan, 1.0]
    """
    place = pc.index_in(texts(values), value_set=pa.array(levels, pa.string()))
    return numbers(place, "")


def number(value: Any, name: str) -> float:
    """One number or bool as float; None is nan."""
    if value is None:
        return float("nan")
    if isinstance(value, (bool, int, float, np.generic)):
        return float(value)
    raise _not_a_number(name, repr(value)[:80])


def text(value: Any) -> str | None:
    """One category or text."""
    return value if value is None or isinstance(value, str) else str(value)


def code(value: Any, places: Mapping[str | None, int]) -> float:
    """The place of one category; nan for what is not in the table."""
    place = places.get(text(value))
    return float("nan") if place is None else float(place)


def _not_a_number(name: str, found: str) -> ModelError:
    return ModelError(
        f"Feature '{name}' has to be a number or a bool, found {found}.",
        where="predict",
        hint="Send a number, or null where it is not known.",
    )
