"""Rows reach the lake once, whole, or not at all."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path
from threading import Barrier, Event

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from whorl.errors import SchemaMismatch, StorageError
from whorl.spec import Spec, parse_spec
from whorl.storage.engine import Engine
from whorl.storage.lake import Lake

HEAD = 'name = "fraud"\ntask = "binary"\n[schema.features]\n'


def _spec(features: str = 'amount = "int"') -> Spec:
    return parse_spec(HEAD + features)


def _rows(ids: list[str], day: int = 1, **columns: list[object]) -> pa.Table:
    when = datetime(2026, 1, day, 12, tzinfo=UTC)
    made = {
        "id": ids, "time": [when] * len(ids), "received_at": [when] * len(ids),
        "day": pa.array([date(2026, 1, day)] * len(ids)), "split": ["train"] * len(ids), **columns,
    }  # fmt: skip
    return pa.table(made)


def _ids(lake: Lake, engine: Engine) -> list[str]:
    return engine.query(f"SELECT id FROM {lake.relation('predictions')} ORDER BY id")["id"].to_pylist()


@pytest.fixture
def engine(tmp_path: Path):
    engine = Engine(tmp_path / "spill", threads=1)
    yield engine
    engine.close()


def test_a_batch_is_written_once_also_by_a_fresh_handle(tmp_path: Path, engine: Engine) -> None:
    assert Lake(tmp_path, "fraud", _spec(), "u").append("predictions", _rows(["a"]), "inbox", 1)
    fresh = Lake(tmp_path, "fraud", _spec(), "u")
    assert not fresh.append("predictions", _rows(["a"]), "inbox", 1)
    assert fresh.append("predictions", _rows(["b"]), "inbox", 2)
    assert not fresh.append("predictions", _rows(["a"]), "inbox", 1)
    assert _ids(fresh, engine) == ["a", "b"]


def test_another_ledgers_batch_numbers_are_not_ours(tmp_path: Path, engine: Engine) -> None:
    assert Lake(tmp_path, "fraud", _spec(), "old").append("predictions", _rows(["a"]), "inbox", 5)
    assert Lake(tmp_path, "fraud", _spec(), "new").append("predictions", _rows(["b"]), "inbox", 1)
    assert _ids(Lake(tmp_path, "fraud", _spec(), "new"), engine) == ["a", "b"]


def test_exactly_once_survives_compaction_and_checkpoints(tmp_path: Path, engine: Engine) -> None:
    lake = Lake(tmp_path, "fraud", _spec(), "u")
    for version in range(1, 4):
        lake.append("predictions", _rows([str(version)]), "inbox", version)
    lake.maintain()
    assert not Lake(tmp_path, "fraud", _spec(), "u").append("predictions", _rows(["3"]), "inbox", 3)
    assert _ids(lake, engine) == ["1", "2", "3"]


@pytest.mark.parametrize("same_batch", [True, False])
def test_two_writers_of_one_table(tmp_path: Path, engine: Engine, same_batch: bool) -> None:
    both = Barrier(2)

    def write(writer: int) -> list[bool]:
        lake = Lake(tmp_path, "fraud", _spec(), "u")
        app = "inbox" if same_batch else f"inbox/{writer}"
        written = []
        for version in range(1, 6):
            both.wait(timeout=60)
            rows = _rows([f"{version}" if same_batch else f"{version}/{writer}"])
            written.append(lake.append("predictions", rows, app, version))
        return written

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(write, (0, 1))
    ids = _ids(Lake(tmp_path, "fraud", _spec(), "u"), engine)
    if same_batch:
        assert ids == ["1", "2", "3", "4", "5"]
        assert [a != b for a, b in zip(first, second, strict=True)] == [True] * 5
    else:
        assert ids == sorted(f"{v}/{w}" for v in range(1, 6) for w in (0, 1))
        assert all(first + second)


def test_two_writers_of_two_tables(tmp_path: Path) -> None:
    lake = Lake(tmp_path, "fraud", _spec(), "u")
    labels = _rows(["l"]).drop_columns(["split"]).append_column("value", pa.array([True]))
    with ThreadPoolExecutor(2) as pool:
        done = [
            pool.submit(lake.append, "predictions", _rows(["a"]), "inbox", 1),
            pool.submit(lake.append, "labels", labels, "inbox", 1),
        ]
        assert all(task.result() for task in done)
    assert (lake.version("predictions"), lake.version("labels")) == (1, 1)


def test_a_column_added_meanwhile_by_another_writer(tmp_path: Path, engine: Engine) -> None:
    both = Barrier(2)

    def write(feature: str) -> bool:
        lake = Lake(tmp_path, "fraud", _spec(f'{feature} = "int"'), "u")
        both.wait(timeout=60)
        return lake.append("predictions", _rows([feature], **{f"f_{feature}": [1]}), feature, 1)

    Lake(tmp_path, "fraud", _spec(), "u").append("predictions", _rows(["a"]), "inbox", 1)
    with ThreadPoolExecutor(2) as pool:
        assert all(pool.map(write, ("x", "y")))
    lake = Lake(tmp_path, "fraud", _spec('x = "int"\ny = "int"'), "u")
    rows = engine.query(f"SELECT id, f_x, f_y FROM {lake.relation('predictions')} ORDER BY id").to_pylist()
    assert rows == [
        {"id": "a", "f_x": None, "f_y": None},
        {"id": "x", "f_x": 1, "f_y": None},
        {"id": "y", "f_x": None, "f_y": 1},
    ]


def test_a_fraction_is_never_truncated(tmp_path: Path) -> None:
    lake = Lake(tmp_path, "fraud", _spec(), "u")
    with pytest.raises(SchemaMismatch, match="f_amount"):
        lake.append("predictions", _rows(["a"], f_amount=[7.9]), "inbox", 1)
    assert lake.version("predictions") == -1


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (_rows(["a"], f_amuont=[1]), "f_amount"),
        (_rows(["a"], f_amount=["7"]), "int64"),
        (_rows(["a", None]), "empty in 1 of 2"),
        (_rows(["a"]).drop_columns(["split"]), "split"),
    ],
)
def test_what_does_not_fit_is_refused_before_writing(tmp_path: Path, rows: pa.Table, said: str) -> None:
    lake = Lake(tmp_path, "fraud", _spec(), "u")
    lake.append("predictions", _rows(["z"]), "inbox", 1)
    with pytest.raises(SchemaMismatch, match=said):
        lake.append("predictions", rows, "inbox", 2)
    assert lake.version("predictions") == 1


def test_a_newly_declared_column_reads_as_null_before_it_was_there(tmp_path: Path, engine: Engine) -> None:
    Lake(tmp_path, "fraud", _spec(), "u").append("predictions", _rows(["a"]), "inbox", 1)
    lake = Lake(tmp_path, "fraud", _spec('amount = "int"\nshop = "category"'), "u")
    query = "SELECT id, f_shop FROM {} ORDER BY id"
    assert engine.query(query.format(lake.relation("predictions")))["f_shop"].to_pylist() == [None]
    lake.append("predictions", _rows(["b"], f_shop=["x"]), "inbox", 2)
    assert engine.query(query.format(lake.relation("predictions")))["f_shop"].to_pylist() == [None, "x"]


def test_a_column_no_longer_declared_stays_stored(tmp_path: Path, engine: Engine) -> None:
    Lake(tmp_path, "fraud", _spec(), "u").append("predictions", _rows(["a"], f_amount=[3]), "inbox", 1)
    lake = Lake(tmp_path, "fraud", _spec('shop = "category"'), "u")
    lake.append("predictions", _rows(["b"], f_shop=["x"]), "inbox", 2)
    old = Lake(tmp_path, "fraud", _spec(), "u").relation("predictions")
    assert engine.query(f"SELECT f_amount FROM {old} ORDER BY id")["f_amount"].to_pylist() == [3, None]


def test_a_whole_number_that_became_a_float_keeps_its_history(tmp_path: Path, engine: Engine) -> None:
    Lake(tmp_path, "fraud", _spec(), "u").append("predictions", _rows(["a"], f_amount=[7]), "inbox", 1)
    lake = Lake(tmp_path, "fraud", _spec('amount = "float"'), "u")
    query = "SELECT f_amount FROM {} ORDER BY id"
    assert engine.query(query.format(lake.relation("predictions")))["f_amount"].to_pylist() == [7.0]
    assert not lake.append("predictions", _rows(["a"], f_amount=[7.0]), "inbox", 1)
    assert lake.append("predictions", _rows(["b"], f_amount=[7.9]), "inbox", 2)
    assert engine.query(query.format(lake.relation("predictions")))["f_amount"].to_pylist() == [7.0, 7.9]


def test_a_float_is_not_read_as_a_whole_number_but_takes_one(tmp_path: Path, engine: Engine) -> None:
    """A server that does not know yet that the column was widened goes on adding what it accepted."""
    wide = Lake(tmp_path, "fraud", _spec('amount = "float"'), "u")
    wide.append("predictions", _rows(["a"], f_amount=[7.5]), "inbox", 1)
    lake = Lake(tmp_path, "fraud", _spec(), "u")
    assert lake.append("predictions", _rows(["b"], f_amount=[7]), "inbox", 2)
    rows = engine.query(f"SELECT f_amount FROM {wide.relation('predictions')} ORDER BY id")
    assert rows["f_amount"].to_pylist() == [7.5, 7.0]
    with pytest.raises(SchemaMismatch, match="f_amount"):
        lake.append("predictions", _rows(["c"], f_amount=[2**53 + 1]), "inbox", 3)
    with pytest.raises(SchemaMismatch, match="stored as DOUBLE"):
        lake.relation("predictions")
    with pytest.raises(SchemaMismatch, match="under a new name"):
        lake.relation("predictions")


def test_the_schema_grows_while_others_write(tmp_path: Path, engine: Engine) -> None:
    """A process of the former spec appends all the time; one of the new spec adds a feature and widens another."""
    Lake(tmp_path, "fraud", _spec(), "u").append("predictions", _rows(["a"], f_amount=[7]), "first", 1)
    over = Event()

    def old() -> int:
        lake, number = Lake(tmp_path, "fraud", _spec(), "u"), 0
        while not over.is_set():
            number += 1
            assert lake.append("predictions", _rows([f"old-{number}"], f_amount=[number]), "old", number)
        return number

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(old)
        new = Lake(tmp_path, "fraud", _spec('amount = "float"\nshop = "category"'), "u")
        for number in range(1, 6):
            rows = _rows([f"new-{number}"], f_amount=[number + 0.5], f_shop=["x"])
            assert new.append("predictions", rows, "new", number)
        over.set()
        written = writing.result(60)
    query = f"SELECT id, f_amount FROM {new.relation('predictions')}"
    found = {row["id"]: row["f_amount"] for row in engine.query(query).to_pylist()}
    wanted = {f"old-{n}": float(n) for n in range(1, written + 1)} | {
        f"new-{n}": n + 0.5 for n in range(1, 6)
    }
    assert found == {"a": 7.0, **wanted}


def test_a_damaged_table_is_a_storage_error_that_says_where(tmp_path: Path) -> None:
    lake = Lake(tmp_path, "fraud", _spec(), "u")
    lake.append("predictions", _rows(["a"]), "inbox", 1)
    for commit in (tmp_path / "fraud/predictions/_delta_log").glob("*.json"):
        commit.write_text("not json")
    with pytest.raises(StorageError, match="fraud/predictions"):
        lake.append("predictions", _rows(["b"]), "inbox", 2)


def test_late_rows_of_many_days_are_one_append_and_soon_one_file_a_day(tmp_path: Path) -> None:
    lake = Lake(tmp_path, "fraud", _spec(), "u")
    for number in (1, 2, 3):
        late = pa.concat_tables([_rows([f"{number}/{day}"], day) for day in range(1, 29)])
        lake.append("predictions", late, "inbox", number)
    assert (lake.version("predictions"), len(lake.files("predictions"))) == (3, 3 * 28)
    assert (lake.new_files, lake.scattered) == (3 * 28, {"predictions"})
    assert lake.maintain()["predictions"] == 3 * 28
    assert (lake.new_files, len(lake.files("predictions"))) == (0, 28)
    lake.append("predictions", _rows(["today"]), "inbox", 4)
    assert lake.scattered == set()


def test_merging_goes_on_beside_appends(tmp_path: Path, engine: Engine) -> None:
    over, lake = Event(), Lake(tmp_path, "fraud", _spec(), "u")
    lake.append("predictions", _rows(["0"]), "inbox", 1)

    def merge() -> int:
        mine, merged = Lake(tmp_path, "fraud", _spec(), "u"), 0
        while not over.is_set():
            merged += mine.maintain()["predictions"]
        return merged

    with ThreadPoolExecutor(1) as pool:
        merging = pool.submit(merge)
        for number in range(2, 31):
            assert lake.append("predictions", _rows([str(number)]), "inbox", number)
        over.set()
        assert merging.result(60) > 0
    assert sorted(map(int, _ids(lake, engine))) == [0, *range(2, 31)]


def test_rows_lie_by_day_in_few_files(tmp_path: Path) -> None:
    lake = Lake(tmp_path, "fraud", _spec(), "u")
    lake.append("predictions", pa.concat_tables([_rows(["a", "b"], 1), _rows(["c"], 2)]), "inbox", 1)
    assert len(lake.files("predictions")) == 2
    assert DeltaTable(tmp_path / "fraud/predictions").metadata().partition_columns == ["day"]


def test_an_object_store_syncs_by_itself() -> None:
    Lake("s3://bucket", "fraud", _spec(), "u").sync("predictions")
