"""`whorl labels list`: which labels found no prediction, and which found several."""

import json
from pathlib import Path

import pytest
from shop_cli import run

from whorl.flywheel import open_flywheel

SPEC = """
name = "shop"
task = "binary"
[schema.keys]
order = "order"
[schema.features]
amount = "float"
[labels]
on = ["order"]
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "flywheel.toml"
    path.write_text(SPEC, encoding="utf-8")
    with open_flywheel(path) as flywheel:
        for name, order in (("a", "o1"), ("b", "o1"), ("c", "o2")):
            flywheel.log_prediction({"id": name, "order": order, "amount": 1.0})
        for order in ("o1", "o2", "o3", "o4"):
            flywheel.log_label(None, True, keys={"order": order}, source="desk")
        flywheel.flush()
    return path


def test_labels_that_fit_nowhere_are_listed(spec: Path) -> None:
    said = run("labels", "list", "--unmatched", "--spec", spec, "--json")
    assert said.exit_code == 0, said.output
    rows = json.loads(said.stdout)
    assert sorted(row["keys"]["order"] for row in rows) == ["o3", "o4"]
    assert {row["source"] for row in rows} == {"desk"}
    [only] = json.loads(run("labels", "list", "--unmatched", "--limit", "1", "--spec", spec, "--json").stdout)
    assert only in rows
    assert "desk" in run("labels", "list", "--unmatched", "--spec", spec).stdout


def test_labels_that_fit_several_name_them(spec: Path) -> None:
    [row] = json.loads(run("labels", "list", "--ambiguous", "--spec", spec, "--json").stdout)
    assert (row["keys"], row["candidates"]) == ({"order": "o1"}, ["a", "b"])


def test_one_of_the_two_is_asked(spec: Path) -> None:
    assert run("labels", "list", "--spec", spec).exit_code == 2
    assert run("labels", "list", "--unmatched", "--ambiguous", "--spec", spec).exit_code == 2


def test_an_id_and_a_time_stay_on_one_line_of_a_narrow_terminal(
    spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    ids = [f"2026-11-payments-of-the-north/{n:024d}" for n in range(3)]
    with open_flywheel(spec) as flywheel:
        flywheel.log_labels({"prediction_id": one, "value": True, "source": "the desk"} for one in ids)
        flywheel.flush()
    lines = run("labels", "list", "--unmatched", "--spec", spec).stdout.splitlines()
    heading = next(line for line in lines if "prediction_id" in line)
    assert "received_at" in heading
    for one in ids:
        (line,) = [line for line in lines if one in line]
        assert line.count(" UTC") == heading.count("time") + heading.count("_at")


def test_of_many_classes_the_largest_are_shown_and_json_has_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    path = tmp_path / "flywheel.toml"
    path.write_text(
        'name = "intents"\ntask = "multiclass"\n[schema.features]\ndesk = "category"\n[schema]\nsegments = ["desk"]\n',
        encoding="utf-8",
    )
    ids = [f"i{n:04d}" for n in range(600)]
    with open_flywheel(path) as flywheel:
        flywheel.log_predictions({"id": one, "desk": "a"} for one in ids)
        flywheel.log_labels(
            {"prediction_id": one, "value": "common" if n < 100 else f"class-{n}"}
            for n, one in enumerate(ids)
        )
        flywheel.flush()
    said = run("labels", "coverage", "--spec", path)
    found = json.loads(run("labels", "coverage", "--spec", path, "--json").stdout)

    assert said.exit_code == 0, said.output
    rows = said.stdout.splitlines()
    assert len(rows) < 60
    assert next(row for row in rows if row.lstrip().startswith("all")).split()[1] == "common"
    assert sum("491 more" in row for row in rows) == 2, "of all, and of the segment"
    assert len(found["delays"]) == 501
    assert all(row.keys() == found["by_age"][0].keys() for row in found["by_age"])
    assert found["reason"] is None
    assert max(map(len, rows[1:])) <= 80
