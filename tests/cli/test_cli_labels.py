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
