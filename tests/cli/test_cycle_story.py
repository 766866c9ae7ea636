"""`whorl cycle show`: each step in words and figures, the verdict, and every note once, on a narrow terminal too."""

import json
from pathlib import Path

import pytest
from shop_cli import SPEC, orders, run

from whorl.flywheel import open_flywheel

NOTE = "The champion is judged by its logged scores."


@pytest.mark.parametrize("columns", [80, 120])
def test_a_cycle_is_told_step_by_step(turned: Path, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    said = run("cycle", "show", "shop-0002", "--spec", turned)
    assert said.exit_code == 0, said.output
    text = said.stdout

    assert "{" not in text
    assert "candidates chosen" in text
    assert "by reason:" in text
    assert "shop/training/2:" in text
    assert "shop/2 by lightgbm" in text
    assert "shop/2 against shop/1 on" in text
    assert "log_loss" in text, "the metrics of both sides"
    assert "champion is shop/2" in text
    assert max(map(len, text.splitlines()[4:])) <= columns


def test_notes_are_said_once(turned: Path) -> None:
    assert run("cycle", "show", "shop-0001", "--spec", turned).stdout.count(NOTE) == 1


def test_the_json_of_a_step_has_all_keys(turned: Path) -> None:
    told = json.loads(run("cycle", "show", "shop-0002", "--spec", turned, "--json").stdout)
    steps = {step["name"]: step["result"] for step in told["steps"]}
    assert steps["curate"]["notes"] == []
    assert steps["datasets"]["left"] == {}
    assert steps["golden"] is None
    assert all(check.keys() >= {"low", "high", "segment"} for check in steps["evaluate"]["checks"])


def test_what_a_composition_left_out_is_shown(tmp_path: Path) -> None:
    spec = tmp_path / "flywheel.toml"
    shares = "{ shop-0 = 0.6, shop-9 = 0.1 }"
    spec.write_text(f'{SPEC}\n[train.composition]\nby = "shop"\nshares = {shares}\n', encoding="utf-8")
    with open_flywheel(spec) as flywheel:
        flywheel.log_predictions(orders().slice(0, 400).to_pylist())
    turn = run("cycle", "run", "--spec", spec)
    assert turn.exit_code == 0, turn.output
    shown = run("dataset", "show", "--spec", spec).stdout
    facts = json.loads(run("dataset", "show", "--spec", spec, "--json").stdout)

    assert turn.stdout.count("'shop-9', which no labelled training row has") == 1
    assert "left out" in shown
    assert "composition" in shown
    assert facts["dataset"]["left"]["composition"] > 0
    assert "left out:" in run("cycle", "show", "--spec", spec).stdout


def test_a_cycle_that_failed_says_what_where_and_what_next(tmp_path: Path) -> None:
    spec = tmp_path / "flywheel.toml"
    spec.write_text(SPEC, encoding="utf-8")
    assert run("cycle", "show", "--spec", spec).exit_code != 0, "there is none"
    with open_flywheel(spec) as flywheel:
        flywheel.log_predictions(orders().drop_columns(["is_fraud", "label_time"]).slice(0, 50).to_pylist())
    failed = run("cycle", "run", "--spec", spec)
    text = run("cycle", "show", "--spec", spec).stdout
    assert str(failed.exception) in text
    assert "stopped at" in text
