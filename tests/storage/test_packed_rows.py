"""Rows packed by columns of fixed width come back as they were, whichever are taken."""

from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa
import pytest

from whorl.storage.packed_rows import PACKED, pack, unpack

N = 50
TIMES = [datetime(2026, 1, 1, 0, 0, row, tzinfo=UTC) for row in range(N)]
KINDS = {
    "same length": pa.array([f"id_{row:04d}" for row in range(N)]),
    "two bytes a letter": pa.array(["éé" if row % 2 else "abcd" for row in range(N)]),
    "few": pa.array([None if row == 3 else f"class {row % 2 * 10}" for row in range(N)]),
    "many": pa.array([f"text {row}" for row in range(N)]),
    "empty": pa.array([""] * N),
    "whole": pa.array(range(N)),
    "whole with nulls": pa.array([None, *range(1, N)]),
    "large": pa.array([2**62 + row for row in range(N)]),
    "real": pa.array([np.nan, np.inf, None, *np.linspace(-1, 1, N - 3)]),
    "true or false": pa.array([None if row == 1 else row % 3 == 0 for row in range(N)]),
    "instant": pa.array([None, *TIMES[1:]], pa.timestamp("us", "UTC")),
    "day": pa.array([date(2026, 1, 1)] * N, pa.date32()),
    "list": pa.array([[row, None] for row in range(N)]),
    "scores": pa.array([[("a", 0.5)]] * N, pa.map_(pa.string(), pa.float64())),
}


@pytest.mark.parametrize("taken", [[], [0, 1, 2, 3], [49, 7, 7, 0], list(range(N))])
def test_rows_come_back_as_they_were(taken: list[int]) -> None:
    rows, places = pa.table(KINDS), pa.array(taken, pa.int64())
    found, wanted = unpack(pack(rows).take(places)), rows.take(places)
    assert found.schema == wanted.schema
    assert repr(found.to_pylist()) == repr(wanted.to_pylist())


@pytest.mark.parametrize("kind", KINDS)
def test_a_column_alone_and_cut_out_of_another(kind: str) -> None:
    rows = pa.table({"only": KINDS[kind]}).slice(10, 30)
    assert repr(unpack(pack(rows).slice(5, 10)).to_pylist()) == repr(rows.slice(5, 10).to_pylist())
    assert unpack(pack(rows)).column_names == ["only"]


def test_fixed_widths_share_a_column_and_what_has_no_value_takes_no_room() -> None:
    packed = pack(pa.table({**KINDS, "nothing": pa.nulls(N, pa.string())}))
    assert packed.column_names == ["many", "list", "scores", PACKED]
    assert "nothing" not in unpack(packed).column_names


def test_a_text_column_of_many_values_stays_a_column() -> None:
    few_at_first = pa.array([f"{row % 2}" if row < 11_000 else f"value {row}" for row in range(20_000)])
    assert pack(pa.table({"text": few_at_first})).column_names == ["text"]
