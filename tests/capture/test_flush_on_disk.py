"""What a flush deletes from the inbox has been synced in the lake: the deletion itself outlives a power cut."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from whorl.capture.accept import accept
from whorl.capture.flush import flush
from whorl.clock import SimulatedClock
from whorl.errors import StorageError
from whorl.spec import Spec
from whorl.workspace import Workspace, open_workspace


class Disk:
    """What would be there after a power cut: files and folders as they were when they were synced."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._kept: set[tuple[int, int, int]] = set()
        real = os.fsync

        def fsync(opened: int) -> None:
            real(opened)
            self._kept.add(_state(os.fstat(opened)))

        patch.setattr(os, "fsync", fsync)

    def lacks(self, folder: Path) -> list[Path]:
        return [path for path in (folder, *folder.rglob("*")) if _state(path.stat()) not in self._kept]


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


@pytest.fixture
def lacking(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> Callable[[Workspace], list[Path]]:
    """What the disk lacked of the lake when the inbox began to delete."""

    def during(ws: Workspace) -> list[Path]:
        found, finish = list[list[Path]](), ws.inbox.finish

        def looks(batch: Any) -> None:
            found.append(disk.lacks(ws.root / "lake"))
            finish(batch)

        with monkeypatch.context() as patch:
            patch.setattr(ws.inbox, "finish", looks)
            flush(ws)
        (only,) = found
        return only

    return during


def test_all_of_a_table_that_was_just_made_and_then_what_is_added(
    ws: Workspace, lacking: Callable[[Workspace], list[Path]]
) -> None:
    for day in (1, 2, 2):
        log(ws, [day])
        assert lacking(ws) == []
    log(ws, list(range(1, 29)))
    assert lacking(ws) == []
    assert len(ws.lake.files("predictions")) == 31


def test_what_another_one_has_committed_before(
    ws: Workspace, spec: Spec, lacking: Callable[[Workspace], list[Path]]
) -> None:
    """A commit that is missing in the midst of the log would make the table unreadable."""
    log(ws, [1])
    flush(ws)
    rows = ws.engine.query(f"SELECT * FROM {ws.lake.relation('predictions')}")
    ws.lake_of(spec).append("predictions", rows, "another", 1)
    log(ws, [3])
    assert lacking(ws) == []


def test_a_batch_that_comes_again_in_another_process(
    ws: Workspace,
    spec: Spec,
    clock: SimulatedClock,
    lacking: Callable[[Workspace], list[Path]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log(ws, [1])
    flush(ws)

    def fails(_: Any) -> None:
        raise StorageError("Killed before it was synced.")

    with monkeypatch.context() as broken:
        broken.setattr(ws.lake, "sync", fails)
        log(ws, [1, 2])
        with pytest.raises(StorageError):
            flush(ws)
    assert ws.inbox.depth(ws.name).rows == 2
    with open_workspace(spec, ws.root, clock=clock, holdout_key="ab" * 32) as after:
        assert lacking(after) == []
        assert after.inbox.depth(ws.name).rows == 0


def test_merging_syncs_what_it_merged_before_the_log_is_shortened(ws: Workspace, disk: Disk) -> None:
    for _ in range(3):
        log(ws, [1])
        flush(ws)
    assert ws.lake.maintain()["predictions"] == 3
    assert disk.lacks(ws.root / "lake") == []
    log(ws, [2])
    flush(ws)
    assert disk.lacks(ws.root / "lake") == []


def test_a_log_that_no_longer_goes_back_to_what_was_synced(ws: Workspace, disk: Disk) -> None:
    log(ws, [1])
    flush(ws)
    rows = ws.engine.query(f"SELECT * FROM {ws.lake.relation('predictions')}")
    ws.lake_of(ws.spec).append("predictions", rows, "another", 1)
    table = ws.root / "lake" / ws.name / "predictions"
    DeltaTable(table).create_checkpoint()
    *former, _ = sorted((table / "_delta_log").glob("*.json"))
    for commit in former:
        commit.unlink()
    log(ws, [2])
    flush(ws)
    assert disk.lacks(ws.root / "lake") == []


def log(ws: Workspace, days: list[int]) -> None:
    for day in days:
        payment = {"transaction_id": f"t{day}", "timestamp": f"2025-12-{day:02}T00:00:00Z"}
        assert accept(ws, "predictions", [payment]).accepted == 1


def _state(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_ino, found.st_size, found.st_mtime_ns
