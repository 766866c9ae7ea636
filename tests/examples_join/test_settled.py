"""What is settled counts only where it was made from this lake and these rules; otherwise all is looked at anew."""

import os
import shutil
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from joined import Story, day, spec_with

from whorl.examples.arrivals import Arrivals
from whorl.examples.settle import settle
from whorl.examples.settled import Settled, settled_by
from whorl.storage.tables import lake_schemas


def _settled(told: Story, folder: Path, number: float, least_rows: int = 0) -> Settled | None:
    before = settled_by(folder, told.lake, told.spec, day(number))
    arrivals = Arrivals(told.lake, told.engine, told.spec, day(number), (), before)
    return settle(told.lake, told.engine, told.spec, folder, arrivals, (), least_rows)


@pytest.fixture
def told(tmp_path: Path) -> Story:
    story = Story(tmp_path, spec_with())
    for number in range(3):
        story.prediction(f"p{number}", number)
        story.label(f"p{number}", True, number + 0.5)
    return story


def test_it_is_gone_on_from(tmp_path: Path, told: Story) -> None:
    assert _settled(told, tmp_path / "kept", 2) is not None
    again = settled_by(tmp_path / "kept", told.lake, told.spec, day(3))
    assert again is not None
    assert again.as_of == day(2)
    found = told.engine.query(
        f"SELECT id FROM {Arrivals(told.lake, told.engine, told.spec, day(3), (), again).labelled}"
    )
    assert sorted(found["id"].to_pylist()) == ["p0", "p1", "p2"], "none was taken, so all may still be"


def test_not_before_its_time(tmp_path: Path, told: Story) -> None:
    _settled(told, tmp_path / "kept", 2)
    assert settled_by(tmp_path / "kept", told.lake, told.spec, day(1.5)) is None


def test_not_under_other_rules_for_labels(tmp_path: Path, told: Story) -> None:
    _settled(told, tmp_path / "kept", 2)
    other = spec_with('window = "3d"')
    assert settled_by(tmp_path / "kept", told.lake, other, day(3)) is None
    assert settled_by(tmp_path / "kept", told.lake, spec_with('lag = "1d"'), day(3)) is not None


def test_not_for_another_lake(tmp_path: Path, told: Story) -> None:
    _settled(told, tmp_path / "kept", 2)
    elsewhere = Story(tmp_path / "elsewhere", told.spec)
    elsewhere.prediction("p0", 0)
    assert settled_by(tmp_path / "kept", elsewhere.lake, told.spec, day(3)) is None


def test_not_for_the_lake_of_a_backup_that_was_gone_on_from(tmp_path: Path, told: Story) -> None:
    """Its tables are of the versions that were read, and hold other rows."""
    tables, backup = Path(told.lake.location), tmp_path / "backup"
    shutil.copytree(tables, backup)
    told.prediction("gone", 1)
    told.label("gone", True, 1.5)
    _settled(told, tmp_path / "kept", 2)
    shutil.rmtree(tables)
    shutil.copytree(backup, tables)
    for number in range(5):
        told.prediction(f"new{number}", 2.5)
        told.label(f"new{number}", True, 2.6)
    assert settled_by(tmp_path / "kept", told.lake, told.spec, day(3)) is None


def test_after_files_were_merged_and_the_log_was_shortened(tmp_path: Path, told: Story) -> None:
    _settled(told, tmp_path / "kept", 2)
    then = told.lake.version("predictions")
    told.prediction("later", 2)
    for _ in range(2):
        told.lake.maintain(timedelta(0))
        for commit in Path(told.lake.location).glob("*/_delta_log/*.json"):
            os.utime(commit, (0, 0))
    log = Path(told.lake.location) / "predictions" / "_delta_log"
    assert all(int(path.stem) > then for path in log.glob("*.json")), "the commits of then are gone"
    told.prediction("last", 2)
    assert settled_by(tmp_path / "kept", told.lake, told.spec, day(3)) is not None


def test_not_where_names_of_traces_have_come(tmp_path: Path, told: Story) -> None:
    """Then everything is joined whole, and what earlier cycles have taken is looked for in the whole lake."""
    considered = {"cycle_id": "c1", "as_of": day(1), "day": day(1).date(), "id": "p0", "label": True}
    schema = lake_schemas(told.spec)["considered"]
    told.lake.append("considered", pa.Table.from_pylist([considered], schema=schema), "c1", 1)
    arrivals = Arrivals(told.lake, told.engine, told.spec, day(2), ["c1"])
    settle(told.lake, told.engine, told.spec, tmp_path / "kept", arrivals, ["c1"], least_rows=0)
    span = {"id": "s", "time": day(2), "received_at": day(2), "day": day(2).date(), "trace_id": "t"}
    told.lake.append(
        "spans", pa.Table.from_pylist([span], schema=lake_schemas(told.spec)["spans"]), "spans", 1
    )
    kept = settled_by(tmp_path / "kept", told.lake, told.spec, day(3))
    again = Arrivals(told.lake, told.engine, told.spec, day(3), ["c1"], kept)
    assert told.engine.query(f"FROM {again.newly_taken()}")["id"].to_pylist() == ["p0"]


@pytest.mark.parametrize("text", ["", "{", '{"as_of": 1}'])
def test_not_when_it_cannot_be_read(tmp_path: Path, told: Story, text: str) -> None:
    _settled(told, tmp_path / "kept", 2)
    (tmp_path / "kept" / "contents.json").write_text(text)
    assert settled_by(tmp_path / "kept", told.lake, told.spec, day(3)) is None
    assert _settled(told, tmp_path / "kept", 3) is not None, "it is made again"


def test_a_small_lake_keeps_nothing_nor_do_business_keys(tmp_path: Path, told: Story) -> None:
    assert _settled(told, tmp_path / "kept", 2, least_rows=4) is None
    told.spec = spec_with('on = ["order"]')
    assert _settled(told, tmp_path / "kept", 2) is None
    assert not (tmp_path / "kept").exists()
