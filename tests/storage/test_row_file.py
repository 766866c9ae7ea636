"""Rows in a file: each format gives them back, nested values too; what cannot be written is said, and leaves nothing."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from whorl.errors import SourceError
from whorl.storage.row_file import check_writable, write_rows

ROWS = pa.table(
    {
        "id": ["a", "b"],
        "scores": pa.array([{"yes": 0.75, "no": 0.25}, None], pa.map_(pa.string(), pa.float64())),
    }
)


def test_parquet_keeps_them_as_they_are(tmp_path: Path) -> None:
    write_rows(ROWS, tmp_path / "rows.parquet")
    assert pq.read_table(tmp_path / "rows.parquet").equals(ROWS)


def test_csv_has_nested_values_as_json(tmp_path: Path) -> None:
    write_rows(ROWS, tmp_path / "rows.csv")
    first, second = pyarrow.csv.read_csv(tmp_path / "rows.csv").to_pylist()
    assert json.loads(first["scores"]) == {"yes": 0.75, "no": 0.25}
    assert not second["scores"]


@pytest.mark.parametrize("suffix", ["ndjson", "jsonl"])
def test_ndjson_has_a_map_as_an_object(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"rows.{suffix}"
    write_rows(ROWS, path)
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert lines == [{"id": "a", "scores": {"yes": 0.75, "no": 0.25}}, {"id": "b", "scores": None}]


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.with_name("rows.csv.draft").mkdir()
    with pytest.raises(SourceError, match="cannot be written") as told:
        write_rows(ROWS, path)
    assert str(path) in str(told.value)
    assert isinstance(told.value.__cause__, OSError)
    with pytest.raises(SourceError, match="no such folder"):
        check_writable(tmp_path / "nowhere" / "rows.csv")
    with pytest.raises(SourceError, match=r"No format is known for '\.xlsx'"):
        check_writable(tmp_path / "rows.xlsx")
