"""The engine runs composed SQL, says which step failed, and stays inside its bounds."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest

from whorl.errors import StorageError
from whorl.storage.engine import Engine, Steps, to_spark

CHAIN = (
    Steps()
    .add("numbers", "SELECT range AS n FROM range(5)", "where it starts")
    .add("doubled", "SELECT n * 2 AS n\nFROM numbers", inline=True)
)


@pytest.fixture
def engine(tmp_path: Path):
    engine = Engine(tmp_path / "spill", threads=1)
    yield engine
    engine.close()


def test_steps_become_one_query(engine: Engine) -> None:
    assert engine.query(CHAIN.sql())["n"].to_pylist() == [0, 2, 4, 6, 8]
    assert engine.query(CHAIN.sql("numbers"))["n"].to_pylist() == [0, 1, 2, 3, 4]
    assert engine.query(CHAIN.sql("SELECT sum(n)::BIGINT AS s FROM doubled WHERE n > ?"), [2])[
        "s"
    ].to_pylist() == [18]


def test_adding_a_step_leaves_the_others_alone() -> None:
    longer = CHAIN.add("last", "SELECT 1 AS n")
    assert (CHAIN.names, longer.names) == (["numbers", "doubled"], ["numbers", "doubled", "last"])
    with pytest.raises(ValueError, match="already"):
        CHAIN.add("numbers", "SELECT 1")
    with pytest.raises(ValueError, match="Did you mean 'doubled'"):
        CHAIN.sql("doubld")


def test_explain_names_reasons_and_shortens_file_lists() -> None:
    text = Steps().add("rows", "FROM read_parquet(['a', 'it''s', 'c'])", "all that is there").explain()
    assert "-- step: rows: all that is there\n" in text
    assert "['a', ... 2 more]" in text


@pytest.mark.parametrize(
    ("sql", "step"),
    [
        ("SELECT nothing FROM doubled", "broken"),
        ("SELECT\n1 AS a,\nCAST('a' || n AS INTEGER) AS b FROM doubled", "broken"),
        ("SELECT n FROM nowhere", "broken"),
    ],
)
def test_an_error_names_the_step(engine: Engine, sql: str, step: str) -> None:
    steps = CHAIN.add("broken", sql).add("after", "SELECT * FROM broken")
    with pytest.raises(StorageError) as raised:
        engine.query(steps.sql())
    assert raised.value.where == f"step '{step}'"


def test_tables_are_seen_by_every_call_and_thread(engine: Engine) -> None:
    engine.create("kept", CHAIN.sql())
    engine.register("given", pa.table({"n": [1, 2]}))
    engine.register("given", pa.table({"n": [4]}))
    with ThreadPoolExecutor(4) as pool:
        sums = pool.map(
            lambda _: engine.query("SELECT sum(n)::BIGINT AS s FROM kept")["s"][0].as_py(), range(8)
        )
        assert list(sums) == [20] * 8
    assert engine.query("SELECT n FROM kept SEMI JOIN given USING (n)")["n"].to_pylist() == [4]
    engine.drop("kept")
    engine.drop("kept")
    with pytest.raises(StorageError, match="kept"):
        engine.query("SELECT * FROM kept")


def test_times_are_utc(engine: Engine) -> None:
    rows = engine.query("SELECT TIMESTAMPTZ '2026-01-01T00:30:00+02:00' AS t, hour(t) AS h")
    assert rows.schema.field("t").type == pa.timestamp("us", tz="UTC")
    assert rows["h"].to_pylist() == [22]


def test_sql_cannot_reach_python_variables(engine: Engine) -> None:
    assert engine.query("SELECT current_setting('python_enable_replacements') AS on")["on"].to_pylist() == [
        False
    ]


def test_it_stays_in_its_directories(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "outside.csv").write_text("a\n1\n")
    (tmp_path / "inside/in.csv").write_text("a\n1\n")
    engine = Engine(tmp_path / "spill", threads=1, allowed=[tmp_path / "inside"])
    assert engine.query(f"SELECT a FROM '{tmp_path / 'inside/in.csv'}'")["a"].to_pylist() == [1]
    for sql in (f"SELECT * FROM '{tmp_path / 'outside.csv'}'", "SET enable_external_access = true"):
        with pytest.raises(StorageError):
            engine.query(sql)
    engine.close()


def test_it_spills_instead_of_failing(tmp_path: Path) -> None:
    engine = Engine(tmp_path / "spill", threads=1, memory_limit="60MB", allowed=[tmp_path])
    engine.create("big", "SELECT range AS n, hash(range)::VARCHAR AS h FROM range(1000000)")
    assert engine.query("SELECT count(*) AS n FROM (SELECT h FROM big ORDER BY h OFFSET 1)")[
        "n"
    ].to_pylist() == [999999]
    engine.close()


def test_a_closed_engine_says_so(tmp_path: Path) -> None:
    engine = Engine(tmp_path / "spill", threads=1)
    engine.close()
    with pytest.raises(StorageError, match="closed"):
        engine.query("SELECT 1")


def test_spark_gets_the_same_steps() -> None:
    import sqlglot

    text = to_spark(Steps().add("a", "SELECT epoch(time) AS e FROM predictions").sql())
    assert sqlglot.parse_one(text, read="spark").find(sqlglot.exp.CTE).alias == "a"
    assert "UNIX_TIMESTAMP" in text


def test_a_named_select_is_computed_when_it_is_asked_for_and_dropped_as_a_table_is(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    engine.create("numbers", "SELECT 1 AS n")
    engine.name("doubled", "SELECT 2 * n AS n FROM numbers")
    engine.create("numbers", "SELECT 5 AS n")
    assert engine.query("FROM doubled")["n"].to_pylist() == [10]
    engine.drop("doubled")
    engine.create("doubled", "SELECT 3 AS n")
    engine.drop("doubled")
    with pytest.raises(StorageError):
        engine.query("FROM doubled")
    engine.close()


def test_rows_are_written_in_their_order_and_counted(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    assert engine.write(path, "SELECT i FROM range(100000) t(i) ORDER BY i DESC") == 100_000
    assert engine.query(f"SELECT i FROM '{path}'")["i"][:3].to_pylist() == [99_999, 99_998, 99_997]
    with pytest.raises(StorageError):
        engine.write(tmp_path / "no such folder" / "rows.parquet", "SELECT 1 AS i")
