"""Rows that are found by the hashes of their keys, over many runs and merged indexes."""

import errno
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from whorl.storage import keyed_rows
from whorl.storage.keyed_rows import KeyedRows, Made

RUNS, ROWS = 40, 300


@pytest.fixture
def filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[KeyedRows, list[np.ndarray]]:
    """Runs of rows that know their hash; every run has five rows of hash 7, and every other one no text."""
    monkeypatch.setattr(keyed_rows, "STRETCH", 1_000)
    random, kept = np.random.default_rng(0), KeyedRows(tmp_path / "rows", Made())
    written = []
    for run in range(RUNS):
        hashes = random.integers(8, 2**64, ROWS, dtype=np.uint64)
        hashes[:5] = 7
        text = [None if run % 2 else f"x{row % 3}" for row in range(ROWS)]
        kept.add(hashes, pa.table({"hash": hashes, "run": [run] * ROWS, "text": text}))
        written.append(hashes)
    return kept, written


def test_what_was_written_is_found_and_nothing_else(filled: tuple[KeyedRows, list[np.ndarray]]) -> None:
    kept, written = filled
    wanted = np.concatenate([written[3][5:50], written[20][10:20], np.array([1], np.uint64)])
    found = kept.find(wanted)
    assert found is not None
    assert sorted(found["hash"].to_pylist()) == sorted(wanted[:-1].tolist())
    assert set(found["run"].to_pylist()) == {3, 20}
    of_run_20 = [row["text"] for row in found.to_pylist() if row["run"] == 20]
    assert of_run_20 == [f"x{row % 3}" for row in range(10, 20)]


def test_rows_of_one_hash_are_all_found(filled: tuple[KeyedRows, list[np.ndarray]]) -> None:
    found = filled[0].find(np.array([7], np.uint64))
    assert found is not None
    assert found.num_rows == 5 * RUNS


def test_nothing_is_found_in_nothing(tmp_path: Path, filled: tuple[KeyedRows, list[np.ndarray]]) -> None:
    assert KeyedRows(tmp_path / "none", Made()).find(np.array([7], np.uint64)) is None
    assert filled[0].find(np.array([1], np.uint64)) is None
    assert filled[0].find(np.array([], np.uint64)) is None


def test_indexes_are_merged_and_what_no_longer_counts_is_removed(
    tmp_path: Path, filled: tuple[KeyedRows, list[np.ndarray]]
) -> None:
    kept, written = filled
    assert len(kept.made.indexes) < 10
    assert sum(entries for _, _, entries in kept.made.indexes) == RUNS * ROWS
    before = kept.made
    kept.add(np.array([5], np.uint64), pa.table({"hash": np.array([5], np.uint64)}))
    again = KeyedRows(tmp_path / "rows", before)
    again.sweep(Made())
    assert again.find(np.array([5], np.uint64)) is None, "its writer did not say that it counts"
    found = again.find(written[-1][-1:])
    assert found is not None
    assert found["run"].to_pylist() == [RUNS - 1]
    assert len(list((tmp_path / "rows").iterdir())) == RUNS + len(before.indexes)


def test_nothing_is_written_through_a_map(
    filled: tuple[KeyedRows, list[np.ndarray]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page of a map that finds no room on the disk ends the process."""
    mapped = np.memmap

    def only_read(*args: Any, mode: str, **others: Any) -> Any:
        assert mode == "r"
        return mapped(*args, mode=mode, **others)

    monkeypatch.setattr(np, "memmap", only_read)
    monkeypatch.setattr(keyed_rows, "FANOUT", 2)
    more = np.arange(10_000, 12_400, dtype=np.uint64)
    filled[0].add(more, pa.table({"hash": more}))
    assert len(filled[0].made.indexes) == 1, "merged with all that came before"
    found = filled[0].find(np.concatenate([written[-1:] for written in [*filled[1], more]]))
    assert found is not None
    assert found.num_rows == RUNS + 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is always full is a thing of Linux")
def test_a_full_disk_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "000000-000001.index").symlink_to("/dev/full")
    kept, hashes = KeyedRows(tmp_path, Made()), np.arange(100_000, dtype=np.uint64)
    with pytest.raises(OSError) as raised:  # noqa: PT011 - which of them is looked at below
        kept.add(hashes, pa.table({"hash": hashes}))
    assert raised.value.errno == errno.ENOSPC
    assert kept.made == Made()
