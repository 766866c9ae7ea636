"""PostgreSQL on every side: the warehouse that rows come from, the ledger, and the table that a dataset goes into."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pyarrow.parquet as pq
import pytest
from payments import BEGIN, payments, spec_text
from typer.testing import CliRunner

from whorl.cli.app import app

PAYMENTS = """SELECT payment AS id, scored_at::timestamptz AS "time", amount, age, shop, score, model, written FROM payments"""
TRUTH = "SELECT payment AS id, is_fraud, known_at, written FROM disputes WHERE note <> 'test: yes'"
ROWS = 400


def schema_of_its_own(postgres: str, name: str) -> str:
    """URL of a fresh schema."""
    with psycopg.connect(postgres, autocommit=True) as conn:
        conn.execute(f"CREATE SCHEMA {name}".encode())
    return f"{postgres}&options=-csearch_path%3D{name}"


@pytest.fixture(scope="module")
def warehouse(postgres: str) -> Iterator[Any]:
    """`warehouse(rows)` inserts payments and what became known of them; `warehouse.url` is where."""
    url = schema_of_its_own(postgres, "warehouse")
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(
            "CREATE TABLE payments (payment text, scored_at timestamptz, amount float8, age float8, shop text, "
            "score float8, model text, written timestamptz)"
        )
        conn.execute(
            "CREATE TABLE disputes (payment text, is_fraud boolean, known_at timestamptz, note text, written timestamptz)"
        )
        yield Warehouse(url, conn)


class Warehouse:
    def __init__(self, url: str, conn: psycopg.Connection) -> None:
        self.url, self._conn = url, conn

    def __call__(self, rows: list[dict[str, Any]]) -> None:
        with self._conn.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO payments VALUES (%(id)s, %(time)s, %(amount)s, %(age)s, %(shop)s, %(score)s, %(model)s, %(written)s)",
                rows,
            )
            cursor.executemany(
                "INSERT INTO disputes VALUES (%(id)s, %(is_fraud)s, %(known_at)s, 'x', %(written)s)", rows
            )

    def select(self, query: str) -> list[tuple[Any, ...]]:
        return self._conn.execute(query.encode()).fetchall()


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "flywheel.toml"
    path.write_text(spec_text())
    return path


def with_time_written(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with the time at which they reach the warehouse: those around the 300th share one instant."""
    return [
        {**row, "written": BEGIN + timedelta(days=100, seconds=290 if 290 <= n < 310 else n)}
        for n, row in enumerate(rows)
    ]


def run(*words: str | Path) -> str:
    said = CliRunner().invoke(app, [str(word) for word in words])
    assert said.exit_code == 0, (said.output, said.exception)
    return said.stdout


def test_from_two_queries_through_a_cycle_into_a_table(
    warehouse: Any, spec: Path, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHORL_LEDGER", schema_of_its_own(postgres, "ledger"))
    monkeypatch.setenv("WHORL_SQL", warehouse.url)
    rows = with_time_written(payments(ROWS))

    def ingested() -> list[int]:
        predictions = ("--query", PAYMENTS, "--watermark", "written")
        labels = ("--query", TRUTH, "--watermark", "written", "--kind", "labels")
        said = [run("ingest", *query, "--spec", spec, "--json") for query in (predictions, labels)]
        return [json.loads(one)[0]["accepted"] for one in said]

    warehouse(rows[:300])
    assert ingested() == [300, 300]
    warehouse(rows[300:])
    assert ingested() == [100, 100]
    assert ingested() == [0, 0]
    report = json.loads(run("cycle", "run", "--spec", spec, "--json"))
    assert report["state"] == "finished"
    found = json.loads(run("labels", "coverage", "--spec", spec, "--json"))
    assert (found["predictions"], found["known"]) == (ROWS, ROWS), "nothing lost, nothing doubled"
    assert not (spec.parent / ".whorl" / "ledger.db").exists()

    said = run(
        "dataset",
        "export",
        "training@1",
        "--sql",
        warehouse.url,
        "--table",
        "fraud_training_1",
        "--spec",
        spec,
    )
    dataset = pq.read_table(report["dataset"]["path"])
    assert f"{dataset.num_rows:,} rows" in said
    names = ", ".join(f'"{name}"' for name in dataset.column_names)
    written = warehouse.select(f"SELECT {names} FROM fraud_training_1 ORDER BY id")
    wanted = [tuple(row.values()) for row in dataset.sort_by("id").to_pylist()]
    assert written == wanted
    twice = CliRunner().invoke(
        app, ["dataset", "export", "training@1", "--sql", warehouse.url, "--table", "fraud_training_1", "--spec", str(spec)]
    )  # fmt: skip
    assert "already exists" in str(twice.exception)
    assert warehouse.select("SELECT count(*) FROM fraud_training_1") == [(len(wanted),)]


def test_replay_from_two_queries(warehouse: Any, spec: Path, tmp_path: Path) -> None:
    if not warehouse.select("SELECT 1 FROM payments LIMIT 1"):
        warehouse(with_time_written(payments(ROWS)))
    report = tmp_path / "report.json"
    run(
        "replay", "--sql", warehouse.url, "--query", PAYMENTS, "--labels-query", TRUTH, "--spec", spec, "--every", "15d",
        "--from", "2025-01-25", "--to", "2025-02-24", "--baselines", "static", "--json", report,
    )  # fmt: skip
    found = json.loads(report.read_text())
    played = sum(period["rows"] for period in found["arms"]["flywheel"]["periods"])
    (truth,) = warehouse.select(
        "SELECT count(*) FROM payments WHERE scored_at >= '2025-01-25Z' AND scored_at < '2025-02-24Z'"
    )
    assert played == truth[0]
    assert datetime.fromisoformat(found["arms"]["flywheel"]["periods"][0]["from"]) > BEGIN
    assert not (spec.parent / ".whorl").exists(), "a replay leaves no workspace behind"
