"""An old dataset version is made again, row for row, after all that comes later: new rows, corrections, compaction."""

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from deltalake import DeltaTable
from payments import LABEL, only, payments, spec_text
from typer.testing import CliRunner, Result

from whorl.capture.accept import accept
from whorl.capture.flush import flush
from whorl.cli.app import app
from whorl.clock import SimulatedClock
from whorl.cycle import start, turn
from whorl.datasets.build import rebuild
from whorl.records import DatasetVersion
from whorl.spec import load_spec
from whorl.storage import dataset_versions
from whorl.workspace import Workspace, open_workspace

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 1 (its features are in no alphabetical order), and after it more predictions, labels for what was open,
    and labels that correct the earlier ones."""
    folder, clock = tmp_path_factory.mktemp("prepared"), SimulatedClock(NOW)
    (folder / "flywheel.toml").write_text(spec_text('[labels]\ndelay = "survival"'))
    rows = payments(800)
    open_first = [{**row, "is_fraud": None} if n % 5 == 0 else row for n, row in enumerate(rows[:500])]
    with opened(folder, clock) as ws:
        accept(ws, "predictions", open_first)
        turn(ws, start(ws, "manual"))
        for part in range(3):
            clock.advance(timedelta(hours=1))
            accept(ws, "predictions", rows[500 + 100 * part : 600 + 100 * part])
            turned = [{**row, "is_fraud": not row["is_fraud"]} for row in only(rows[part:400:7], LABEL)]
            accept(ws, "labels", only(rows[:500:5], LABEL) if part == 1 else turned)
            turn(ws, start(ws, "manual"))
    return folder


@pytest.fixture
def spec(prepared: Path, tmp_path: Path) -> Path:
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    return tmp_path / "flywheel.toml"


@pytest.fixture
def ws(spec: Path) -> Iterator[Workspace]:
    with opened(spec.parent, SimulatedClock(NOW + timedelta(days=1))) as workspace:
        yield workspace


@pytest.fixture
def first(ws: Workspace) -> DatasetVersion:
    return dataset_versions.get(ws.ledger, ws.name, "training@1")[0]


def opened(folder: Path, clock: SimulatedClock) -> Workspace:
    return open_workspace(load_spec(folder / "flywheel.toml"), folder / ".whorl", clock=clock, mirror=False)


def test_after_corrections_cycles_and_compaction_it_has_the_same_rows(
    ws: Workspace, first: DatasetVersion, spec: Path
) -> None:
    newest, _ = dataset_versions.get(ws.ledger, ws.name, "training")
    assert newest.version == 4
    assert newest.content_hash != first.content_hash
    before = ws.lake.files("members")
    merged = ws.lake.maintain(keep=timedelta(0))
    assert min(merged["members"], merged["labels"]) > 1
    assert not any(Path(file).exists() for file in before), "the files of then are gone"
    assert rebuild(ws, first.id) == first.content_hash
    assert rebuild(ws, newest.id) == newest.content_hash
    said = _show("training@1", spec)
    assert said.exit_code == 0, said.output
    assert json.loads(said.stdout)["rebuilt_hash"] == first.content_hash
    assert "the same rows" in _show("training@1", spec, json=False).stdout


@pytest.mark.parametrize("table", ["labels", "predictions", "members"])
def test_a_row_that_is_gone_is_noticed(ws: Workspace, first: DatasetVersion, spec: Path, table: str) -> None:
    """The check can fail: one row less in the lake is another dataset, and the command says so."""
    column = "prediction_id" if table == "labels" else "id"
    (lost,) = ws.engine.query(
        f"SELECT id FROM {ws.lake.relation('members')} WHERE version = 1 AND role <> 'open' ORDER BY id LIMIT 1"
    )["id"].to_pylist()
    DeltaTable(f"{ws.lake.location}/{table}").delete(f"{column} = '{lost}'")
    assert rebuild(ws, first.id) != first.content_hash
    said = _show("training@1", spec, json=False)
    assert said.exit_code == 1
    assert "DIFFERENT" in said.stdout


def test_a_label_that_is_received_later_never_reaches_the_old_version(
    ws: Workspace, first: DatasetVersion
) -> None:
    wrong = [{**row, "is_fraud": not row["is_fraud"]} for row in only(payments(800)[:500], LABEL)]
    accept(ws, "labels", wrong)
    flush(ws)
    assert rebuild(ws, first.id) == first.content_hash


def _show(ref: str, spec: Path, *, json: bool = True) -> Result:
    words = ["dataset", "show", ref, "--rebuild", "--spec", str(spec)]
    return CliRunner().invoke(app, [*words, "--json"] if json else words)
