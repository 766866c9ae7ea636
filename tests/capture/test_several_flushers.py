"""Flushers that work at once: each its own batches, none lost, none doubled; and whoever flushed can rely on it."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from whorl.capture import flush as module
from whorl.capture.accept import accept
from whorl.capture.flush import Moved, flush, settled
from whorl.clock import SimulatedClock
from whorl.errors import StorageError
from whorl.spec import Spec
from whorl.workspace import Workspace, open_workspace

WAIT_S = 30.0
Opened = Callable[[], Workspace]


@pytest.fixture
def opened(spec: Spec, tmp_path: Path, ledger_url: str, clock: SimulatedClock) -> Iterator[Opened]:
    """Opens the same workspace as another process would."""
    open_ones: list[Workspace] = []

    def one() -> Workspace:
        open_ones.append(
            open_workspace(spec, tmp_path / "ws", ledger_url=ledger_url, clock=clock, holdout_key="ab" * 32)
        )
        return open_ones[-1]

    yield one
    for ws in open_ones:
        ws.close()


# One process flushes where the ledger is a file: there, appends follow each other.
@pytest.mark.parametrize("ledger_url", ["postgres"], indirect=True)
def test_one_that_is_slow_does_not_hold_up_another(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    slow, quick = opened(), opened()
    appending, go_on = _held_append(slow, monkeypatch)
    with ThreadPoolExecutor(2) as pool:
        _log(slow, "a")
        first = pool.submit(flush, slow)
        assert appending.wait(WAIT_S)
        _log(slow, "b")
        second = pool.submit(flush, quick)
        _until(lambda: _ids(quick) == ["b"])
        assert not second.done(), "what was claimed before it began is not in the lake yet"
        go_on.set()
        assert (first.result(WAIT_S), second.result(WAIT_S)) == (1, 1)
    assert _ids(quick) == ["a", "b"]


def test_what_a_flusher_left_behind_is_moved_by_the_next_one(opened: Opened) -> None:
    ws = opened()
    for slot, name in ((3, "a"), (0, "b")):
        _log(ws, name)
        assert ws.inbox.claim(ws.name, "predictions", 10, slot=slot) is not None
    _log(ws, "c")
    assert flush(opened()) == 3
    assert _ids(ws) == ["a", "b", "c"]
    assert ws.inbox.depth(ws.name).rows == 0


def test_each_slot_counts_for_itself(opened: Opened) -> None:
    ws = opened()
    for slot, name in ((0, "a"), (1, "b"), (0, "c"), (1, "d")):
        _log(ws, name)
        batch = ws.inbox.claim(ws.name, "predictions", 10, slot=slot)
        assert batch is not None
        module._Mover(ws, ws.lake, ws.spec, "predictions", slot, None)._move(batch)
    assert _ids(ws) == ["a", "b", "c", "d"]


def test_many_at_once_move_everything_once(opened: Opened) -> None:
    flushers, done, names = [opened() for _ in range(3)], threading.Event(), [f"{n:03d}" for n in range(120)]

    def flushing(ws: Workspace) -> None:
        while not done.is_set():
            flush(ws)
        flush(ws)

    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(flushing, ws) for ws in flushers]
        for name in names:
            _log(flushers[0], name)
        done.set()
        for one in running:
            one.result(WAIT_S)
    assert _ids(flushers[0]) == names


def test_a_flush_under_load_ends(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """It moves what was there when it was called, not what came meanwhile."""
    ws = opened()
    append = ws.lake.append

    def more_comes(*args: Any, **kwargs: Any) -> bool:
        _log(ws, f"later-{ws.inbox.newest(ws.name)}")
        return append(*args, **kwargs)

    monkeypatch.setattr(ws.lake, "append", more_comes)
    _log(ws, "a")
    assert flush(ws) == 1


def test_no_row_is_received_by_a_time_that_was_given_out_whatever_the_clock_says(
    opened: Opened, clock: SimulatedClock
) -> None:
    ws = opened()
    clock.advance(timedelta(hours=1))
    told = settled(ws)
    behind = SimulatedClock(told - timedelta(minutes=5))
    other = opened()
    other.clock = behind
    _log(other, "a")
    flush(other)
    rows = ws.engine.query(f"SELECT received_at FROM {ws.lake.relation('predictions')}")
    assert rows["received_at"][0].as_py() > told


def test_one_kind_that_cannot_be_moved_does_not_hold_up_the_others(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    ws = opened()
    append = ws.lake.append

    def broken(table: Any, *args: Any, **kwargs: Any) -> bool:
        if table == "predictions":
            raise module.WhorlError("broken")
        return append(table, *args, **kwargs)

    monkeypatch.setattr(ws.lake, "append", broken)
    _log(ws, "a")
    accept(ws, "labels", [{"prediction_id": "a", "value": True, "time": "2025-12-01T00:00:00Z"}], native=True)
    with pytest.raises(module.WhorlError, match="broken"):
        flush(ws)
    assert ws.inbox.depth(ws.name).rows == 1


def test_it_tells_what_it_moved_and_how_old_it_was(opened: Opened, clock: SimulatedClock) -> None:
    ws, told = opened(), list[Moved]()
    _log(ws, "a")
    clock.advance(timedelta(seconds=7))
    _log(ws, "b")
    _log(ws, "b")
    flush(ws, told.append)
    (moved,) = told
    assert (moved.flywheel, moved.kind, moved.rows, moved.doubles) == ("fraud", "predictions", 2, 1)
    assert moved.waited == [(1, 7.0), (1, 0.0), (1, 0.0)]
    assert moved.seconds > 0


def test_what_could_not_be_finished_is_told_of_once(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    ws, told = opened(), list[Moved]()
    _log(ws, "a")

    def away(_: Any) -> None:
        raise StorageError("The ledger is away.")

    with monkeypatch.context() as broken:
        broken.setattr(ws.inbox, "finish", away)
        with pytest.raises(StorageError):
            flush(ws, told.append)
    assert flush(ws, told.append) == 0
    assert [moved.rows for moved in told] == [1], "when it was moved, not when it came again"
    assert _ids(ws) == ["a"]


def _log(ws: Workspace, name: str) -> None:
    accept(ws, "predictions", [{"transaction_id": name, "timestamp": "2025-12-01T00:00:00Z"}])


def _ids(ws: Workspace) -> list[str]:
    found: list[str] = ws.engine.query(f"SELECT id FROM {ws.lake.relation('predictions')} ORDER BY id")[
        "id"
    ].to_pylist()
    return found


def _held_append(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Event]:
    """The lake's append waits: the first event says that it has begun, the second one lets it go on."""
    began, go_on, append = threading.Event(), threading.Event(), ws.lake.append

    def held(*args: Any, **kwargs: Any) -> bool:
        began.set()
        assert go_on.wait(WAIT_S)
        return append(*args, **kwargs)

    monkeypatch.setattr(ws.lake, "append", held)
    return began, go_on


def _until(condition: Callable[[], bool]) -> None:
    assert any(condition() or threading.Event().wait(0.01) for _ in range(3000))
