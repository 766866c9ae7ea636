"""A workspace and its spec are copied to another folder and the first one is deleted: everything goes on from there."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from payments import payments, spec_text
from typer.testing import CliRunner

from whorl.capture.accept import accept
from whorl.cli.app import app
from whorl.clock import SimulatedClock
from whorl.cycle import start, turn
from whorl.datasets.export import export_file
from whorl.flywheel import Flywheel
from whorl.spec import load_spec
from whorl.storage import cycles
from whorl.workspace import Workspace, open_workspace

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FEATURES = {"amount": 2.0, "age": 0.1, "shop": "books"}


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock(NOW)


def opened(folder: Path, clock: SimulatedClock) -> Workspace:
    path = folder / "flywheel.toml"
    return open_workspace(load_spec(path), folder / ".whorl", clock=clock, mirror=False, beside=folder)


def begun(folder: Path, clock: SimulatedClock, **spec: str) -> Path:
    """A flywheel of 500 rows in a folder of its own."""
    folder.mkdir()
    (folder / "flywheel.toml").write_text(spec_text(**spec))
    with opened(folder, clock) as ws:
        accept(ws, "predictions", payments(500))
    return folder


def moved(folder: Path) -> Path:
    to = folder.with_name("elsewhere")
    shutil.copytree(folder, to)
    shutil.rmtree(folder)
    return to


def asked(folder: Path, *words: str) -> Any:
    said = CliRunner().invoke(app, [*words, "--spec", str(folder / "flywheel.toml"), "--json"])
    assert said.exit_code == 0, said.output
    return json.loads(said.stdout)


def test_it_goes_on_where_it_is_now(tmp_path: Path, clock: SimulatedClock) -> None:
    first = begun(tmp_path / "first", clock)
    with opened(first, clock) as ws:
        turn(ws, start(ws, "manual"))
        clock.advance(timedelta(hours=1))
        accept(ws, "predictions", payments(500, seed=1, first=500))
        turn(ws, start(ws, "manual"))
        before = Flywheel(ws).predict(FEATURES)
    assert before["model_version"] == "fraud/2"

    folder = moved(first)
    assert asked(folder, "status")["champion"] == "fraud/2"
    shown = asked(folder, "dataset", "show", "training@1", "--rebuild")
    assert shown["rebuilt_hash"] == shown["dataset"]["content_hash"]
    assert shown["dataset"]["path"] == str(folder / ".whorl/datasets/fraud/training/1.parquet")
    assert pq.read_metadata(shown["dataset"]["path"]).num_rows == shown["dataset"]["rows"]
    steps = {step["name"]: step["result"] for step in asked(folder, "cycle", "show", "fraud-0002")["steps"]}
    assert steps["train"]["uri"] == str(folder / ".whorl/models/fraud/2")
    with opened(folder, clock) as ws:
        assert Flywheel(ws).predict(FEATURES) == before
        clock.advance(timedelta(hours=1))
        accept(ws, "predictions", payments(500, seed=2, first=1000))
        report = turn(ws, start(ws, "manual"))
        assert (report.state, report.verdict and report.verdict.champion) == ("finished", "fraud/2")
        Flywheel(ws).rollback()
        assert Flywheel(ws).predict(FEATURES) == before
        assert report.dataset is not None
        assert export_file(ws, "training", folder / "rows.csv") == report.dataset.rows


def test_a_cycle_that_waits_for_approval_ends_where_it_is_now(tmp_path: Path, clock: SimulatedClock) -> None:
    first = begun(tmp_path / "first", clock, automation="approval")
    with opened(first, clock) as ws:
        waiting = turn(ws, start(ws, "manual"))
        assert waiting.state == "waiting"
    folder = moved(first)
    with opened(folder, clock) as ws:
        cycles.decide(ws.ledger, ws.name, waiting.id, "approve", "ann", "")
        report = turn(ws, waiting.id)
        assert report.state == "finished"
        assert report.challenger == ws.registry.champion()
        assert Flywheel(ws).predict(FEATURES)["model_version"] == "fraud/1"


def test_a_dataset_that_was_handed_out_is_offered_where_it_is_now(
    tmp_path: Path, clock: SimulatedClock
) -> None:
    first = begun(tmp_path / "first", clock, train='trainer = "external"')
    with opened(first, clock) as ws:
        waiting = turn(ws, start(ws, "manual"))
    folder = moved(first)
    wheel = asked(folder, "status")
    offered = Path(wheel["waiting"]["where"])
    assert offered == folder / ".whorl/datasets/fraud/training/1.parquet"
    scores = folder / "scores.parquet"
    pq.write_table(
        pq.read_table(folder / ".whorl/datasets/fraud/training/1.parquet", columns=["id"]).append_column(
            "score", [[0.5] * pq.read_metadata(offered).num_rows]
        ),
        scores,
    )
    with opened(folder, clock) as ws:
        Flywheel(ws).submit("scores", str(scores), waiting.id, by="trainer")
        report = turn(ws, waiting.id)
        assert report.dataset is not None
        assert report.challenger is not None
        assert Path(report.dataset.path) == offered
        assert Path(report.challenger.uri) == folder / f".whorl/scores/fraud/{waiting.id}.parquet"
