"""Bad input, as a user meets it on the command line: said where and why, good neighbours kept, nothing half done.

Each kind of bad record by itself: tests/capture/test_bad_records.py; over HTTP: tests/api; in a spec and its rules:
tests/spec, tests/rules.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from payments import LABEL, only, payments, spec_text
from typer.testing import CliRunner, Result

from whorl.cli.app import app
from whorl.errors import LeakFound, TooFewRows
from whorl.spec import load_spec
from whorl.workspace import open_workspace

GATES = '[{ check = "not_worse", metric = "auc", margin = 0.05, min_rows = 30 }]'


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "flywheel.toml"
    path.write_text(spec_text(gates=GATES))
    return path


@pytest.fixture
def given(tmp_path: Path, spec: Path) -> Callable[..., None]:
    """`given(rows)` ingests rows; with `kind`, as labels."""

    def ingest(rows: list[dict[str, Any]], *words: str) -> None:
        path = tmp_path / f"{rows[0]['id']}-{len(rows)}{''.join(words)}.ndjson"
        path.write_text("\n".join(json.dumps(row) for row in rows))
        assert run("ingest", str(path), *words, spec=spec).exit_code == 0

    return ingest


def run(*words: str | Path, spec: Path) -> Result:
    return CliRunner().invoke(app, [*(str(word) for word in words), "--spec", str(spec)])


def state(spec: Path) -> dict[str, Any]:
    """The newest cycle, the champion, and every version."""
    models = json.loads(run("model", "list", "--json", spec=spec).stdout)
    (cycle, *_) = json.loads(run("cycle", "list", "--json", spec=spec).stdout)
    return {
        "cycle": cycle["state"],
        "error": cycle["error"]["message"] if cycle.get("error") else None,
        "champion": models["champion"],
        "versions": [v["id"] for v in models["versions"]],
    }


def test_a_label_set_of_one_class(spec: Path, given: Callable[..., None]) -> None:
    given([{**row, "is_fraud": False} for row in payments(200)])
    said = run("cycle", "run", spec=spec)
    assert isinstance(said.exception, TooFewRows)
    assert "labelled rows say False: there is nothing to tell apart" in str(said.exception)
    found = state(spec)
    assert (found["cycle"], found["champion"], found["versions"]) == ("failed", None, [])
    assert "nothing to tell apart" in run("status", spec=spec).output


def test_a_feature_that_equals_the_label(spec: Path, given: Callable[..., None]) -> None:
    rows = payments(400)
    given([{**row, "age": float(row["is_fraud"])} for row in rows])
    said = run("cycle", "run", spec=spec)
    assert isinstance(said.exception, LeakFound)
    assert "'age'" in str(said.exception)
    found = state(spec)
    assert (found["cycle"], found["versions"]) == ("failed", [])
    assert "'age'" in found["error"]


def test_poisoned_labels_are_held_by_the_gates(spec: Path, given: Callable[..., None]) -> None:
    given(payments(600))
    assert run("cycle", "run", spec=spec).exit_code == 0
    with open_workspace(load_spec(spec), spec.parent / ".whorl", mirror=False) as ws:
        rows = ws.engine.query(f"SELECT id FROM {ws.lake.relation('predictions')} WHERE split = 'train'")
        trained = set(rows["id"].to_pylist())
    # Whoever poisons labels cannot tell which rows judge; here every row that is trained on is turned round.
    lies = [
        {**row, "is_fraud": not row["is_fraud"]} for row in only(payments(600), LABEL) if row["id"] in trained
    ]
    given(lies, "--kind", "labels")
    said = run("cycle", "run", "--json", spec=spec)
    assert said.exit_code == 0, said.output
    report = json.loads(said.stdout)
    assert report["state"] == "rejected"
    assert "auc" in report["verdict"]["reason"]
    found = state(spec)
    assert (found["champion"], found["versions"]) == ("fraud/1", ["fraud/2", "fraud/1"])  # fmt: skip


def test_a_class_never_seen_in_training(spec: Path, given: Callable[..., None]) -> None:
    text = spec_text(gates='[{ check = "minimum", metric = "accuracy", value = 0.3, min_rows = 30 }]')
    text = text.replace('"binary"', '"multiclass"').replace('score = "score"\n', "")
    spec.write_text(text)
    rows = [{**row, "is_fraud": row["shop"]} for row in payments(400)]
    for row in rows:
        row["amount"] += {"books": -3, "games": 0, "shoes": 3}[row["shop"]]
        row["shop"] = "one"
    given(only(rows, tuple(name for name in rows[0] if name not in ("is_fraud", "known_at"))))
    with open_workspace(load_spec(spec), spec.parent / ".whorl", mirror=False) as ws:
        held = ws.engine.query(
            f"SELECT id FROM {ws.lake.relation('predictions')} WHERE split = 'holdout' ORDER BY id"
        )
        unseen = held["id"].to_pylist()[:10]
    truth = [
        {**row, "is_fraud": "tools" if row["id"] in unseen else row["is_fraud"]} for row in only(rows, LABEL)
    ]
    given(truth, "--kind", "labels")
    said = run("cycle", "run", "--json", spec=spec)
    assert said.exit_code == 0, (said.output, said.exception)
    report = json.loads(said.stdout)
    assert report["state"] == "finished"
    (note,) = [note for note in report["verdict"]["notes"] if "not among the training rows" in note]
    assert note.startswith(f"{len(unseen)} judged rows are of a class")
    assert "'tools'" in note
    accuracy = report["verdict"]["metrics"]["accuracy"]["challenger"]
    assert accuracy["value"] <= 1 - len(unseen) / accuracy["n"], "what it cannot know counts as wrong"
    log_loss = report["verdict"]["metrics"]["log_loss"]["challenger"]
    assert np.isfinite(log_loss["value"])
    assert log_loss["value"] > 0.5, "and costs what a probability of zero costs"


def test_files_of_every_kind_beside_a_good_one(spec: Path, tmp_path: Path) -> None:
    rows = payments(60)
    good, empty, cut, csv, large = (
        tmp_path / name for name in ("good.parquet", "empty.csv", "cut.parquet", "half.csv", "large.ndjson")
    )
    pq.write_table(pa.Table.from_pylist(rows[:20]), good)
    empty.write_bytes(b"")
    cut.write_bytes(good.read_bytes()[:-100])
    lines = [",".join(rows[0]), *(",".join(str(value) for value in row.values()) for row in rows[20:40])]
    lines[11] = lines[11].replace(lines[11].split(",")[2], "a lot")
    csv.write_text("\n".join(lines))
    huge = {**rows[40], "note": "x" * 50_000_000}
    large.write_text("\n".join(json.dumps(row) for row in (rows[41], huge, rows[42])))
    said = run("ingest", empty, good, cut, csv, large, spec=spec)
    assert said.exit_code == 3, "some could not be read"
    for place in ("empty.csv", "cut.parquet"):
        assert place in said.stderr
    assert "good.parquet: 20 accepted" in said.stdout
    assert "half.csv: 19 accepted" in said.stdout
    assert "line 12: amount" in said.stdout
    assert "'a lot'" in said.stdout
    assert "large.ndjson: 2 accepted" in said.stdout
    assert "line 2:" in said.stdout
    assert "16,000,000" in said.stdout
    with open_workspace(load_spec(spec), spec.parent / ".whorl", mirror=False) as ws:
        kept = ws.engine.query(f"SELECT id FROM {ws.lake.relation('predictions')} ORDER BY id")[
            "id"
        ].to_pylist()
    wanted = [row["id"] for row in (*rows[:30], *rows[31:40], *rows[41:43])]
    assert kept == wanted
