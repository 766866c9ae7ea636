"""`whorl holdout`: plan, ask once, list what waits, and the quality that the answers tell."""

import csv
import json
from pathlib import Path

import pytest
from shop_cli import run

from whorl.flywheel import open_flywheel

SPEC = """
name = "shop"
task = "binary"
[schema.features]
amount = "float"
[curate]
holdout_share = 0.5
[monitor]
metric = "accuracy"
min_rows = 20
[evaluate]
label_cost = 0.25
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "flywheel.toml"
    path.write_text(SPEC, encoding="utf-8")
    with open_flywheel(path) as flywheel:
        flywheel.log_predictions(
            {"id": f"p{n:03d}", "time": "2026-01-02T00:00:00Z", "score": n / 400, "features": {"amount": 1.0}}
            for n in range(400)
        )
    return path


def test_a_plan_says_how_many_labels_and_what_they_cost_and_asks_nothing(spec: Path) -> None:
    said = run("holdout", "plan", "--precision", "0.05", "--spec", spec, "--json")
    assert said.exit_code == 0, said.output
    facts = json.loads(said.stdout)

    assert facts["precision"] <= 0.05
    assert 20 < facts["labels"] < facts["rows"]
    assert facts["cost"] == 0.25 * facts["labels"]
    assert "USD" in run("holdout", "plan", "--precision", "0.05", "--spec", spec).stdout
    assert json.loads(run("holdout", "list", "--spec", spec, "--json").stdout) == []


def test_what_is_asked_once_waits_is_answered_and_tells_the_quality(spec: Path, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    said = run("holdout", "ask", "--labels", "40", "--out", file, "--spec", spec, "--json")
    assert said.exit_code == 0, said.output
    with file.open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    again = run("holdout", "ask", "--labels", "40", "--spec", spec)
    waiting = json.loads(
        run("holdout", "list", "--waiting", "--limit", "100", "--spec", spec, "--json").stdout
    )

    assert len(rows) == 40
    assert all(0 < float(row["probability"]) <= 1 for row in rows)
    assert again.exit_code != 0
    assert "when labels were last asked for" in str(again.exception)
    assert {row["id"] for row in waiting} == {row["id"] for row in rows}

    with open_flywheel(spec) as flywheel:
        for row in rows:
            flywheel.log_label(row["id"], float(row["score"]) >= 0.5)
        flywheel.flush()
    (period,) = json.loads(run("holdout", "quality", "--spec", spec, "--json").stdout)
    assert (period["method"], period["rows"], period["value"], period["high"]) == ("asked", 40, 1.0, 1.0)
    assert period["contradicted"] is True
    assert "No row waits" in run("holdout", "list", "--waiting", "--spec", spec).stdout


def test_a_precision_and_a_number_are_not_given_both(spec: Path) -> None:
    assert run("holdout", "plan", "--precision", "0.01", "--labels", "5", "--spec", spec).exit_code == 2
    assert run("holdout", "ask", "--labels", "0", "--spec", spec).exit_code == 2
