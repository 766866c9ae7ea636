"""Truth and scores as they should not be: the whole cycle, insights, status and reports say what is wrong, and no nan gets out.

Bad records, files and rules: test_bad_input.py; single parts: the tests of each stage.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from payments import only, payments, spec_text
from typer.testing import CliRunner, Result

from whorl.cli.app import app
from whorl.errors import StateError, TooFewRows
from whorl.spec import load_spec
from whorl.storage.ledger.ledger import Ledger
from whorl.workspace import open_ledger, open_workspace

GATES = """[
  { check = "not_worse", metric = "auc", margin = 0.2, min_rows = 20 },
  { check = "no_segment_worse", metric = "log_loss", margin = 0.5, min_rows = 20 },
  { check = "calibrated", value = 0.5, min_rows = 20 },
]"""
NOT_A_NUMBER = re.compile(r"(?<![\w-])[-+]?(?:nan|inf|infinity)(?![\w-])", re.IGNORECASE)
READS = (
    ("status",),
    ("insights", "--why"),
    ("insights", "--why", "--json"),
    ("cycle", "list", "--json"),
    ("cycle", "show"),
    ("cycle", "show", "--json"),
    ("cases", "reasons"),
    ("dataset", "list", "--json"),
    ("holdout", "quality"),
    ("holdout", "quality", "--json"),
    ("labels", "coverage"),
    ("labels", "coverage", "--json"),
)


class Bad:
    """A flywheel on disk, and what its commands say."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.spec = folder, folder / "flywheel.toml"

    def declares(self, text: str) -> None:
        self.spec.write_text(text)

    def takes(self, rows: list[dict[str, Any]], *words: str) -> Result:
        path = self.folder / f"{len(list(self.folder.iterdir()))}.ndjson"
        path.write_text("\n".join(json.dumps(row) for row in rows))
        return self.says("ingest", path, *words)

    def says(self, *words: str | Path) -> Result:
        said = CliRunner().invoke(app, [*(str(word) for word in words), "--spec", str(self.spec)])
        assert not NOT_A_NUMBER.search(said.output), said.output
        return said

    def turns(self) -> dict[str, Any]:
        """One cycle that ends."""
        said = self.says("cycle", "run", "--json")
        assert said.exit_code == 0, (said.output, said.exception)
        report: dict[str, Any] = json.loads(said.stdout)
        return report

    def reads(self) -> None:
        """Every report is read, and the ledger is looked through."""
        for words in READS:
            said = self.says(*words)
            assert said.exit_code == 0, (words, said.output, said.exception)
        with open_ledger(self.folder / ".whorl") as ledger:
            _looked_through(ledger)

    def insights(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.says("insights", "--why", "--json").stdout)
        return found


def _looked_through(ledger: Ledger) -> None:
    with ledger.read() as connection:
        for table in sa.inspect(connection).get_table_names():
            if table.startswith("inbox"):
                continue
            for row in connection.execute(sa.text(f"SELECT * FROM {table}")):
                for value in row:
                    text = value if isinstance(value, str) else repr(value)
                    assert not NOT_A_NUMBER.search(text), (table, text)


@pytest.fixture
def bad(tmp_path: Path) -> Iterator[Bad]:
    one = Bad(tmp_path)
    one.declares(
        spec_text(gates=GATES).replace("[schema.features]", 'segments = ["shop"]\n[schema.features]')
    )
    yield one
    one.reads()


def checks(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {check["check"]: check for check in report["verdict"]["checks"]}


def test_a_label_set_of_one_class(bad: Bad) -> None:
    bad.takes([{**row, "is_fraud": False} for row in payments(300)])
    said = bad.says("cycle", "run")
    assert isinstance(said.exception, TooFewRows)
    assert "labelled rows say False: there is nothing to tell apart" in str(said.exception)
    assert "nothing to tell apart" in bad.says("status").output
    found = bad.insights()
    assert found["rows"] > 50
    assert found["why"]["verdict"] == "too few rows"


def test_a_label_set_that_becomes_one_class(bad: Bad) -> None:
    bad.takes(payments(400))
    assert bad.turns()["state"] == "finished"
    bad.takes([{**row, "is_fraud": True} for row in payments(400)], "--kind", "labels")
    said = bad.says("cycle", "run")
    assert isinstance(said.exception, TooFewRows)
    assert "nothing to tell apart" in bad.says("status").output


def test_a_class_seen_in_production_but_never_in_training(bad: Bad) -> None:
    text = spec_text(gates='[{ check = "not_worse", metric = "log_loss", margin = 9.0, min_rows = 20 }]')
    bad.declares(text.replace('"binary"', '"multiclass"').replace('score = "score"\n', ""))
    rows = [{**row, "is_fraud": "yes" if row["is_fraud"] else "no"} for row in payments(400)]
    bad.takes(only(rows, tuple(name for name in rows[0] if name not in ("is_fraud", "known_at"))))
    with open_workspace(load_spec(bad.spec), bad.folder / ".whorl", mirror=False) as ws:
        held = ws.engine.query(f"SELECT id FROM {ws.lake.relation('predictions')} WHERE split = 'holdout'")
        unseen = set(held["id"].to_pylist()[:12])
    truth = [{**row, "is_fraud": "maybe" if row["id"] in unseen else row["is_fraud"]} for row in rows]
    bad.takes(only(truth, ("id", "is_fraud", "known_at")), "--kind", "labels")
    report = bad.turns()
    assert report["state"] == "finished"
    (note,) = [note for note in report["verdict"]["notes"] if "not among the training rows" in note]
    assert note.startswith("12 judged rows are of a class")
    assert bad.insights()["mean"]["value"] > 0
    bad.takes(only(truth, ("id", "is_fraud", "known_at")), "--kind", "labels")
    assert bad.turns()["state"] in ("finished", "held", "rejected")


def test_a_score_outside_of_0_to_1(bad: Bad) -> None:
    rows = payments(300)
    rows[5]["score"], rows[6]["score"], rows[7]["score"] = 1.7, -0.2, 17.0
    said = bad.takes(rows)
    assert "297 accepted" in said.output
    assert "3 refused" in said.output
    assert "1.7" in said.output
    report = bad.turns()
    assert report["state"] == "finished"


def test_all_scores_equal(bad: Bad) -> None:
    bad.takes([{**row, "score": 0.5, "amount": 1.0, "age": 1.0, "shop": "one"} for row in payments(400)])
    report = bad.turns()
    assert report["state"] in ("finished", "held", "rejected")
    auc = report["verdict"]["metrics"]["auc"]
    assert auc["challenger"]["value"] == 0.5
    found = bad.insights()
    assert found["slices"] == []
    report = bad.turns()
    assert checks(report)["not_worse"]["message"]
    plan = json.loads(bad.says("holdout", "plan", "--labels", "20", "--json").stdout)
    assert (plan["labels"], plan["strategy"]) == (20, "doubt")
    sheet = bad.folder / "sheet.ndjson"
    assert bad.says("holdout", "ask", "--labels", "20", "--out", sheet).exit_code == 0
    asked = json.loads(bad.says("holdout", "list", "--json").stdout)
    assert len({row["probability"] for row in asked}) == 1, "equal scores, equal chances"


def test_a_segment_with_three_rows(bad: Bad) -> None:
    rows = payments(500)
    for row in rows[250:253]:
        row["shop"] = "corner"
    bad.takes(rows)
    bad.turns()
    report = bad.turns()
    assert report["state"] in ("finished", "held", "rejected")
    assert all(
        "corner" not in (check.get("segment") or "") or check["rows"] <= 3
        for check in report["verdict"]["checks"]
    )
    assert all("corner" not in one["text"] for one in bad.insights()["slices"])


@pytest.mark.parametrize(("when", "hit"), [("true", True), ("amount > 1e300", False)])
def test_a_rule_that_matches_everything_or_nothing(bad: Bad, when: str, hit: bool) -> None:
    rule = f'\n[[curate.rules]]\nname = "odd"\nwhen = "{when}"\n'
    bad.declares(spec_text(rule, gates=GATES))
    bad.takes(payments(300))
    bad.turns()
    bad.takes(payments(120, seed=1, first=300, days=60.0))
    report = bad.turns()
    assert report["state"] in ("finished", "held", "rejected")
    assert (report["cases"]["by_reason"].get("odd", 0) > 0) == hit
    said = f"Rule 'odd' matches {'all' if hit else 'none'} of {report['cases']['candidates']} candidates"
    assert any(note.startswith(said) for note in report["cases"]["notes"])
    assert said in " ".join(bad.says("cycle", "show").output.split())


def test_an_empty_budget(bad: Bad) -> None:
    bad.declares(spec_text(gates=GATES).replace("budget = 200", "budget = 0"))
    bad.takes(payments(300))
    report = bad.turns()
    assert report["state"] == "finished"
    assert report["cases"]["cases"] == report["cases"]["candidates"], "0 is no bound"
    for verb in ("plan", "ask"):
        asked = bad.says("holdout", verb)
        assert isinstance(asked.exception, StateError)
        assert "A budget of 0 labels asks for nothing. Give --labels or --precision" in str(asked.exception)


def test_contradictory_labels_of_the_same_second(bad: Bad) -> None:
    rows = payments(400)
    bad.takes(rows)
    again = [
        {**row, "is_fraud": not row["is_fraud"]} for row in only(rows[:40], ("id", "is_fraud", "known_at"))
    ]
    bad.takes([*again, *only(rows[:40], ("id", "is_fraud", "known_at"))], "--kind", "labels")
    first = bad.turns()
    assert first["state"] == "finished"
    with open_workspace(load_spec(bad.spec), bad.folder / ".whorl", mirror=False) as ws:
        examples = ws.examples(ws.clock.now())
        said = {row["id"]: row for row in examples.select("id, split, label, corrected").to_pylist()}
        assert examples.counts()["labels.corrected"] == 40
        assert examples.counts()["labels.contradictory"] == 40
    assert all(said[row["id"]]["corrected"] for row in again)
    labels = [said[row["id"]]["label"] for row in again]
    with open_workspace(load_spec(bad.spec), bad.folder / ".whorl", mirror=False) as ws:
        later = {
            row["id"]: row["label"] for row in ws.examples(ws.clock.now()).select("id, label").to_pylist()
        }
    assert [later[row["id"]] for row in again] == labels, "whichever counts, it is the same one each time"
    assert 8 <= sum(labels) <= 32, "neither value is preferred"
    training = [row["id"] for row in again if said[row["id"]]["split"] == "train"]
    (note,) = [note for note in first["cases"]["notes"] if "of the same moment" in note]
    assert note.startswith(f"{len(training)} of {first['cases']['candidates']} candidates have labels")
    assert "Send the right label once more: the last received counts." in note
    told = bad.says("labels", "coverage").output
    assert "40 predictions have labels that said different things: the last received counts." in told
    assert "40 of them have labels of the same moment" in told
    bad.takes(only(rows[:40], ("id", "is_fraud", "known_at")), "--kind", "labels")
    bad.turns()
    with open_workspace(load_spec(bad.spec), bad.folder / ".whorl", mirror=False) as ws:
        examples = ws.examples(ws.clock.now())
        assert examples.counts()["labels.contradictory"] == 0
        now = {row["id"]: row["label"] for row in examples.select("id, label").to_pylist()}
    assert [now[row["id"]] for row in rows[:40]] == [row["is_fraud"] for row in rows[:40]]
