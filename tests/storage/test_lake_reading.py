"""What the lake gives to the engine: typed, complete, and steady while files are merged away."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from whorl.errors import StorageError
from whorl.spec import parse_spec
from whorl.storage.engine import Engine
from whorl.storage.lake import Lake
from whorl.storage.tables import TABLES, lake_schemas

SPEC = parse_spec('name = "fraud"\ntask = "multiclass"\n[schema.features]\namount = "float"\nnew = "bool"')
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def _row(number: int, **columns: object) -> pa.Table:
    schema = lake_schemas(SPEC)["predictions"]
    row = {
        "id": str(number),
        "time": NOW,
        "received_at": NOW,
        "day": date(2026, 1, 1),
        "split": "train",
        **columns,
    }
    return pa.Table.from_pylist([row], schema=schema)


@pytest.fixture
def engine(tmp_path: Path):
    engine = Engine(tmp_path / "spill", threads=1)
    yield engine
    engine.close()


@pytest.mark.parametrize("table", TABLES)
def test_an_empty_table_has_every_column_with_its_type(tmp_path: Path, engine: Engine, table: str) -> None:
    lake = Lake(tmp_path, "fraud", SPEC, "u")
    rows = engine.query(f"SELECT * FROM {lake.relation(table)}")
    wanted = lake_schemas(SPEC)[table]
    assert (rows.num_rows, lake.version(table), lake.files(table)) == (0, -1, [])
    assert rows.schema.names == wanted.names
    assert [str(kind) for kind in rows.schema.types] == [str(kind) for kind in engine_types(wanted)]


def engine_types(schema: pa.Schema) -> list[pa.DataType]:
    """Lists come back with another name for their items, which means nothing."""
    return [pa.list_(pa.field("l", t.value_type)) if pa.types.is_list(t) else t for t in schema.types]


def test_rows_come_back_as_they_went_in(tmp_path: Path, engine: Engine) -> None:
    lake = Lake(tmp_path, "fraud", SPEC, "u")
    full = _row(
        1, scores=[("a", 0.25), ("b", 0.75)], keys=[("order", "o1")], f_amount=1.5, f_new=True, extra="{}"
    )
    bare = _row(2)
    lake.append("predictions", pa.concat_tables([full, bare]), "inbox", 1)
    got = engine.query(f"SELECT * FROM {lake.relation('predictions')} ORDER BY id")
    assert got.to_pylist() == full.to_pylist() + bare.to_pylist()


@pytest.mark.parametrize("folder", ["with space", "it's", "what?", "ünï", "a*b"])
def test_any_ordinary_path_will_do(tmp_path: Path, engine: Engine, folder: str) -> None:
    lake = Lake(tmp_path / folder, "fraud", SPEC, "u")
    lake.append("predictions", _row(1), "inbox", 1)
    assert engine.query(f"SELECT id FROM {lake.relation('predictions')}")["id"].to_pylist() == ["1"]


@pytest.mark.parametrize("folder", ["a[b]", "50%", "k=v", "a\\b"])
def test_a_path_that_readers_misread_is_refused(tmp_path: Path, folder: str) -> None:
    with pytest.raises(StorageError, match="another directory"):
        Lake(tmp_path / folder, "fraud", SPEC, "u")


def test_merging_files_keeps_rows_and_older_lists(tmp_path: Path, engine: Engine) -> None:
    lake = Lake(tmp_path, "fraud", SPEC, "u")
    for number in range(6):
        lake.append("predictions", _row(number, scores=[("a", number / 10)]), "inbox", number + 1)
    query = "SELECT * FROM {} ORDER BY id"
    listed_before = lake.relation("predictions")
    before = engine.query(query.format(listed_before))
    assert lake.maintain() == {"predictions": 6}
    assert len(lake.files("predictions")) == 1
    assert engine.query(query.format(lake.relation("predictions"))).equals(before)
    assert engine.query(query.format(listed_before)).equals(before)  # A reader that listed the files earlier.


def test_what_nobody_reads_any_more_goes(tmp_path: Path, engine: Engine) -> None:
    lake = Lake(tmp_path, "fraud", SPEC, "u")
    for number in range(3):
        lake.append("predictions", _row(number), "inbox", number + 1)
    lake.maintain(keep=timedelta(0))
    assert len(list((tmp_path / "fraud/predictions").rglob("part-*.parquet"))) == 1
    assert engine.query(f"SELECT count(*) AS n FROM {lake.relation('predictions')}")["n"].to_pylist() == [3]


def test_a_relation_shows_the_moment_it_was_made(tmp_path: Path, engine: Engine) -> None:
    lake = Lake(tmp_path, "fraud", SPEC, "u")
    lake.append("predictions", _row(1), "inbox", 1)
    earlier = lake.relation("predictions")
    lake.append("predictions", _row(2), "inbox", 2)
    assert engine.query(f"SELECT id FROM {earlier}")["id"].to_pylist() == ["1"]


def test_an_object_store_is_addressed_by_its_uris() -> None:
    assert (
        Lake("s3://bucket/lake/", "fraud", SPEC, "u", {"AWS_REGION": "x"}).location
        == "s3://bucket/lake/fraud"
    )
