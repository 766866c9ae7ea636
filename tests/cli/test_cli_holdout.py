"""`whorl holdout`: plan, ask once, list what waits, and the quality that the answers tell."""

import csv
import json
from pathlib import Path

import pytest
from shop_cli import run

from whorl.flywheel import open_flywheel
from whorl.storage import audit

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
    said = run("holdout", "plan", "--precision", "0.08", "--spec", spec, "--json")
    assert said.exit_code == 0, said.output
    facts = json.loads(said.stdout)

    assert facts["precision"] <= 0.08
    assert 20 < facts["labels"] < facts["rows"]
    assert facts["cost"] == 0.25 * facts["labels"]
    assert facts["reason"] is None
    assert "USD" in run("holdout", "plan", "--precision", "0.08", "--spec", spec).stdout
    assert json.loads(run("holdout", "list", "--spec", spec, "--json").stdout) == []


def test_a_precision_out_of_reach_is_said(spec: Path) -> None:
    facts = json.loads(run("holdout", "plan", "--precision", "0.01", "--spec", spec, "--json").stdout)
    assert facts["labels"] == facts["rows"]
    assert "A precision of 0.01 is out of reach: all " in facts["warning"]
    assert "is out of reach" in run("holdout", "plan", "--precision", "0.01", "--spec", spec).output


def test_without_a_price_it_is_said_why_there_is_no_cost(spec: Path) -> None:
    spec.write_text(SPEC.replace("label_cost = 0.25\n", ""), encoding="utf-8")
    facts = json.loads(run("holdout", "plan", "--labels", "5", "--spec", spec, "--json").stdout)
    assert facts["cost"] is None
    assert "label_cost is not set" in facts["reason"]
    assert "label_cost is not set" in run("holdout", "plan", "--labels", "5", "--spec", spec).stdout


def test_what_is_asked_once_waits_is_answered_and_tells_the_quality(spec: Path, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    said = run(
        "holdout", "ask", "--labels", "40", "--out", file, "--with-prediction", "--spec", spec, "--json"
    )
    assert said.exit_code == 0, said.output
    with file.open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    again = run("holdout", "ask", "--labels", "40", "--spec", spec)
    waiting = json.loads(
        run("holdout", "list", "--waiting", "--limit", "100", "--spec", spec, "--json").stdout
    )

    assert len(rows) == 40
    assert all(0 < row["probability"] <= 1 for row in waiting)
    assert again.exit_code != 0
    assert "when labels were last asked for" in str(again.exception)
    assert {row["id"] for row in waiting} == {row["id"] for row in rows}

    with open_flywheel(spec) as flywheel:
        for row in rows:
            flywheel.log_label(row["id"], float(row["score"]) >= 0.5)
        flywheel.flush()
    told = json.loads(run("holdout", "quality", "--spec", spec, "--json").stdout)
    (period,), (draw,) = told["periods"], told["draws"]
    assert (period["method"], period["rows"], period["value"], period["high"]) == ("asked", 40, 1.0, 1.0)
    assert period["contradicted"] is True
    assert (draw["asked"], draw["answered"], draw["value"]) == (40, 40, 1.0)
    assert draw["rows"] > 150
    assert draw["low"] < 1
    assert "No row waits" in run("holdout", "list", "--waiting", "--spec", spec).stdout


def test_python_says_what_the_commands_say(spec: Path) -> None:
    run("holdout", "ask", "--labels", "40", "--by", "ann", "--spec", spec)
    with open_flywheel(spec) as flywheel:
        (first, *_) = flywheel.asked(limit=1)
        flywheel.log_label(first["id"], True)
        flywheel.flush()
        listed = json.loads(run("holdout", "list", "--spec", spec, "--json").stdout)
        assert [row["id"] for row in flywheel.asked(purpose="judge")] == [row["id"] for row in listed]
        assert len(flywheel.asked(waiting=True)) == 39
        assert flywheel.asked(purpose="train") == []
        place = (first["asked_at"], first["draw"], first["id"])
        assert [row["id"] for row in flywheel.asked(after=place)] == [row["id"] for row in listed[1:]]

        quality = json.loads(run("holdout", "quality", "--spec", spec, "--json").stdout)
        told = flywheel.quality()
        assert (told.metric, told.greater_is_better) == (quality["metric"], True)
        assert [one.reason for one in told.periods] == [one["reason"] for one in quality["periods"]]
        assert [one.draw for one in told.draws] == [one["draw"] for one in quality["draws"]] == ["judge-0001"]

        coverage = json.loads(run("labels", "coverage", "--spec", spec, "--json").stdout)
        assert flywheel.coverage() | {"as_of": ""} == coverage | {"as_of": ""}
        (deed,) = audit.entries(flywheel.workspace.ledger, "shop")
        assert (deed.by, deed.action, deed.body) == (
            "ann",
            "holdout.ask",
            {"draw": "judge-0001", "labels": 40},
        )


def test_who_answers_gets_the_inputs_and_not_what_the_model_said(spec: Path, tmp_path: Path) -> None:
    asked, listed = tmp_path / "asked.csv", tmp_path / "listed.ndjson"
    run("holdout", "ask", "--labels", "30", "--out", asked, "--spec", spec)
    blind = json.loads(run("holdout", "list", "--spec", spec, "--out", listed, "--json").stdout)
    seen = json.loads(run("holdout", "list", "--spec", spec, "--with-prediction", "--json").stdout)
    with asked.open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))

    assert set(rows[0]) == {"id", "time", "amount"}
    assert {row["id"] for row in rows} == {json.loads(line)["id"] for line in listed.read_text().splitlines()}
    assert all(row["inputs"] == {"amount": 1.0} and row["prediction"] is None for row in blind)
    assert all(0 <= row["prediction"] <= 1 for row in seen)
    assert "amount = 1" in run("holdout", "list", "--spec", spec).stdout
    assert "10 more" in run("holdout", "list", "--spec", spec).stdout


def test_the_sheet_comes_back_as_labels(spec: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.csv"
    run("holdout", "ask", "--labels", "30", "--out", sheet, "--spec", spec)
    with sheet.open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    answers = tmp_path / "answers.ndjson"
    answers.write_text("\n".join(json.dumps({"prediction_id": one["id"], "value": True}) for one in rows))
    taken = run("ingest", answers, "--kind", "labels", "--spec", spec)
    assert taken.exit_code == 0, taken.output
    assert "No row waits" in run("holdout", "list", "--waiting", "--spec", spec).stdout


def test_messages_are_inputs_too(tmp_path: Path) -> None:
    path = tmp_path / "flywheel.toml"
    path.write_text(
        'name = "tickets"\ntask = "multiclass"\n[curate]\nholdout_share = 0.5\n[train]\ntrainer = "external"\n',
        encoding="utf-8",
    )
    with open_flywheel(path) as flywheel:
        flywheel.log_predictions(
            {"id": f"t{n}", "time": "2026-01-02T00:00:00Z", "scores": {"refund": 0.5 + n / 200, "other": 0.5 - n / 200},
             "messages": [{"role": "user", "content": f"Where is order {n}?"}]}
            for n in range(60)
        )  # fmt: skip
    sheet = tmp_path / "sheet.csv"
    said = run("holdout", "ask", "--labels", "5", "--out", sheet, "--spec", path)
    assert said.exit_code == 0, said.output
    with sheet.open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    assert all(json.loads(row["messages"])[0]["content"].startswith("Where is order") for row in rows)
    assert all("scores" not in row for row in rows)


def test_the_figure_names_its_metric_and_why_it_is_missing(
    spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with open_flywheel(spec) as flywheel:
        for n in range(400):
            flywheel.log_label(f"p{n:03d}", n >= 200)
        flywheel.log_prediction({"id": "late", "time": "2026-03-02T00:00:00Z", "score": 0.9, "amount": 1.0})
        flywheel.log_label("late", True)
        flywheel.flush()
    told = json.loads(run("holdout", "quality", "--spec", spec, "--json").stdout)
    text = run("holdout", "quality", "--spec", spec).stdout

    periods = told["periods"]
    assert all(set(periods[0]) == set(one) for one in periods)
    assert (told["metric"], told["draws"]) == ("accuracy", [])
    assert periods[0]["reason"] is None
    assert all((one["value"] is None) == (one["reason"] is not None) for one in periods)
    assert "accuracy" in text
    assert "[" in text
    assert max(len(line) for line in text.splitlines() if "figure" not in line) <= 80


def test_a_precision_and_a_number_are_not_given_both(spec: Path) -> None:
    assert run("holdout", "plan", "--precision", "0.01", "--labels", "5", "--spec", spec).exit_code == 2
    assert run("holdout", "ask", "--labels", "0", "--spec", spec).exit_code == 2


def test_a_draw_by_mistake_is_taken_back(spec: Path) -> None:
    assert run("holdout", "ask", "--labels", "4", "--spec", spec).exit_code == 0
    said = run("holdout", "ask", "--withdraw", "judge-0001", "--spec", spec)
    assert (said.exit_code, said.stdout.split()) == (0, ["withdrawn", "judge-0001", "labels", "4"])
    assert json.loads(run("holdout", "list", "--spec", spec, "--json").stdout) == []
    again = json.loads(run("holdout", "ask", "--labels", "40", "--spec", spec, "--json").stdout)
    assert (again["draw"], again["labels"]) == ("judge-0002", 40)
