"""The hash of a dataset: the same for the same rows however they lie, another for any other value, null or type."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from whorl.datasets.content_hash import content_hash

T0 = datetime(2026, 1, 1, tzinfo=UTC)
N = 50
COLUMNS: dict[str, Any] = {
    "id": pa.array([f"r{i:02d}" for i in range(N)]),
    "role": pa.array(["labelled"] * N),
    "label": pa.array([i % 3 == 0 for i in range(N)]),
    "amount": pa.array([None if i % 7 == 0 else i / 3 for i in range(N)], pa.float64()),
    "visits": pa.array([None if i % 5 == 0 else i for i in range(N)], pa.int64()),
    "place": pa.array([None if i % 11 == 0 else "a" * (i % 4) for i in range(N)]),
    "time": pa.array([T0 + timedelta(hours=i) for i in range(N)], pa.timestamp("us", tz="UTC")),
}
ROWS = pa.table(COLUMNS)
HASH = content_hash(ROWS)


def with_value(name: str, place: int, value: Any) -> pa.Table:
    values = ROWS[name].to_pylist()
    assert values[place] != value
    values[place] = value
    return ROWS.set_column(
        ROWS.schema.get_field_index(name), name, pa.array(values, ROWS.schema.field(name).type)
    )


def test_order_and_chunks_do_not_matter() -> None:
    shuffled = ROWS.take(pa.array(np.random.default_rng(0).permutation(N)))
    chunked = pa.concat_tables([ROWS.slice(0, 13), ROWS.slice(13, 1), ROWS.slice(14)])
    columns = ROWS.select(ROWS.column_names[::-1])
    assert {content_hash(table) for table in (shuffled, chunked, columns, ROWS.slice(0, N))} == {HASH}


@pytest.mark.parametrize(
    ("name", "value"),
    [("id", "r99"), ("role", "open"), ("label", True), ("amount", 1.0000000000000002), ("visits", 2), ("place", "b"),
     ("time", T0 + timedelta(hours=1, microseconds=1))],
)  # fmt: skip
def test_one_value_matters(name: str, value: Any) -> None:
    assert content_hash(with_value(name, 1, value)) != HASH


@pytest.mark.parametrize(("name", "plain"), [("amount", 0.0), ("visits", 0), ("place", "")])
def test_nothing_is_not_the_value_that_stands_for_it(name: str, plain: Any) -> None:
    """A null is filled with this before its bytes are taken: it must still be another dataset."""
    null = next(i for i, value in enumerate(ROWS[name].to_pylist()) if value is None)
    assert content_hash(with_value(name, null, plain)) != HASH


def test_which_row_has_a_null_matters() -> None:
    swapped = pa.table({"id": ["a", "b"], "role": ["x", "x"], "v": [None, 0.0]})
    other = pa.table({"id": ["a", "b"], "role": ["x", "x"], "v": [0.0, None]})
    assert content_hash(swapped) != content_hash(other)


def test_text_does_not_run_into_the_next_row() -> None:
    one = pa.table({"id": ["a", "b"], "role": ["x", "x"], "v": ["ab", "c"]})
    other = pa.table({"id": ["a", "b"], "role": ["x", "x"], "v": ["a", "bc"]})
    assert content_hash(one) != content_hash(other)


@pytest.mark.parametrize(
    ("name", "kind"), [("visits", pa.float64()), ("visits", pa.int32()), ("label", pa.int64())]
)
def test_the_type_matters(name: str, kind: pa.DataType) -> None:
    cast = ROWS.set_column(ROWS.schema.get_field_index(name), name, ROWS[name].cast(kind))
    assert content_hash(cast) != HASH


def test_a_column_of_another_name_is_another_dataset() -> None:
    names = ["sum" if name == "amount" else name for name in ROWS.column_names]
    assert content_hash(ROWS.rename_columns(names)) != HASH


def test_a_row_more_or_less() -> None:
    assert content_hash(ROWS.slice(1)) != HASH
    assert content_hash(pa.concat_tables([ROWS, ROWS.slice(0, 1)])) != HASH


def test_two_zeros_and_two_nans_are_one() -> None:
    plus, minus = (pa.table({"id": ["a"], "role": ["x"], "v": [zero]}) for zero in (0.0, -0.0))
    assert content_hash(plus) == content_hash(minus)
    other_nan = np.array([0x7FF8000000000001], dtype=np.uint64).view(np.float64)
    nan, other = (
        pa.table({"id": ["a"], "role": ["x"], "v": pa.array(v)}) for v in (np.array([np.nan]), other_nan)
    )
    assert content_hash(nan) == content_hash(other) != content_hash(plus)
