"""What is handed out is the version, row for row, in each format; whole, or not at all."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from shop import Shop
from whorl.datasets.build import rows_of
from whorl.datasets.content_hash import content_hash
from whorl.datasets.export import export_file, export_table
from whorl.errors import SourceError

Open = Callable[..., Shop]
PLACES = ["north, west", 'the "old" town', "línea\nnueva", "", None]


@pytest.fixture
def one(shop: Open) -> Shop:
    made = shop('[labels]\ndelay = "survival"')
    ids = [f"r{i}" for i in range(5)]
    made.predicts(ids, [0.1, 0.25, 0.4, 0.5, 0.6], amount=[1.0, -2.5e-7, None, 1e300, 0.1], place=PLACES)
    made.learns(ids[:4], [True, False, True, False])
    made.dataset(made.until(2))
    return made


def test_parquet(one: Shop, tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    assert export_file(one.ws, "training@1", path) == 5
    assert content_hash(pq.read_table(path)) == content_hash(rows_of(one.ws, "training@1"))


def test_csv(one: Shop, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    assert export_file(one.ws, "training", path) == 5
    rows = rows_of(one.ws, "training")
    options = pa.csv.ConvertOptions(
        column_types=rows.schema, strings_can_be_null=True, quoted_strings_can_be_null=False
    )
    parsing = pa.csv.ParseOptions(newlines_in_values=True)
    back = pa.csv.read_csv(path, convert_options=options, parse_options=parsing)
    assert back.to_pylist() == rows.to_pylist()


@pytest.mark.parametrize("suffix", [".ndjson", ".jsonl"])
def test_lines_of_json(one: Shop, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"rows{suffix}"
    assert export_file(one.ws, "training", path) == 5
    back = [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]
    assert [_timed(row) for row in back] == rows_of(one.ws, "training").to_pylist()


def _timed(row: dict[str, Any]) -> dict[str, Any]:
    times = {
        name: row[name] and datetime.fromisoformat(row[name]).astimezone(UTC)
        for name in ("time", "label_time")
    }
    return {**row, **times}


def test_a_suffix_that_names_no_format(one: Shop, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"No format is known for '\.xlsx'") as refused:
        export_file(one.ws, "training", tmp_path / "rows.xlsx")
    assert ".parquet, .csv or .ndjson" in refused.value.hint
    assert list(tmp_path.glob("rows*")) == []


def test_a_table_of_the_companys_database(one: Shop, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'company.db'}"
    assert export_table(one.ws, "training", url, "rows") == 5
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        back = connection.execute(
            sa.text('SELECT id, label, amount, place, weight FROM rows ORDER BY "time"')
        ).all()
    engine.dispose()
    wanted = rows_of(one.ws, "training").select(["id", "label", "amount", "place", "weight"]).to_pylist()
    assert [tuple(row) for row in back] == [tuple(row.values()) for row in wanted]
    with pytest.raises(SourceError, match="already exists"):
        export_table(one.ws, "training", url, "rows")
