"""kill -9 in each step of a cycle, and in the middle of what it does: started again, it ends as an undisturbed one."""

import shutil
import signal
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from dying import NOW, Death, Inside, cycle_in_its_own_process, end_of, opened
from payments import payments, spec_text

from whorl.capture.accept import accept
from whorl.capture.flush import flush
from whorl.cycle import start, turn

# Easily beaten.
FIRST = spec_text(train="params = { num_iterations = 1, num_leaves = 2 }")
EASY = "(amount > 1.2 and label) or (amount < -1.2 and not label)"
# The cycle that is killed also makes a golden set, judges by it, and finds labels of nobody to tell of.
SECOND = spec_text(
    "[monitor]\nwebhook = 'http://127.0.0.1:9/'",
    gates='[{ check = "better" }, { check = "golden" }]',
).replace("budget = 200", f"budget = 200\ngolden = {{ rows = 30, when = '{EASY}' }}")
STRAYS = 300
STEPS = ("flush", "golden", "curate", "datasets", "train", "evaluate", "release", "monitor")
LAKE = "whorl.storage.lake:Lake"
INSIDE = {
    "flush, claimed": Inside("whorl.storage.inbox:Inbox", "claim"),
    "flush, predictions appended": Inside(LAKE, "append"),
    "flush, predictions moved": Inside("whorl.storage.inbox:Inbox", "finish"),
    "golden, members appended": Inside(LAKE, "append", 3),
    "golden, recorded": Inside("whorl.storage.dataset_versions", "record"),
    "curate, considered appended": Inside(LAKE, "append", 4),
    "curate, cases appended": Inside(LAKE, "append", 5),
    "datasets, members appended": Inside(LAKE, "append", 6),
    "datasets, file written": Inside("whorl.datasets.build", "write_atomically", 2),
    "datasets, recorded": Inside("whorl.storage.dataset_versions", "record", 2),
    "train, files in place": Inside("whorl.storage.registry:Registry", "_keep"),
    "train, registered": Inside("whorl.storage.registry:Registry", "register"),
    "evaluate, recorded": Inside("whorl.storage.verdicts", "record"),
    "release, challenger named": Inside("whorl.storage.registry:Registry", "point"),
    "release, champion moved": Inside("whorl.storage.registry:Registry", "point", 2),
    "monitor, finding raised": Inside("whorl.monitor.watch", "_raise"),
}
DEATHS: dict[str, Death] = {
    "flush, not begun": ("flush", "before"),
    **{f"{step}, not journalled": (step, "after") for step in STEPS},
    **INSIDE,
    "monitor, journalled": ("monitor", "kept"),
}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a champion, and new payments in the inbox that no cycle has seen."""
    folder = tmp_path_factory.mktemp("prepared")
    (folder / "flywheel.toml").write_text(FIRST)
    rows = payments(900)
    with opened(folder, NOW - timedelta(days=1)) as ws:
        accept(ws, "predictions", rows[:500])
        turn(ws, start(ws, "manual"))
    with opened(folder) as ws:
        accept(ws, "predictions", rows[500:])
        accept(ws, "labels", [{"id": f"nobody-{i}", "is_fraud": True} for i in range(STRAYS)])
    (folder / "flywheel.toml").write_text(SECOND)
    return folder


@pytest.fixture(scope="module")
def undisturbed(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = _copy(prepared, tmp_path_factory.mktemp("undisturbed"))
    assert cycle_in_its_own_process(folder) == 0
    return end_of(folder)


def test_the_undisturbed_cycle_does_something_in_each_step(undisturbed: dict[str, Any]) -> None:
    assert undisturbed["cycle"][:2] == ("fraud-0002", "finished")
    assert undisturbed["waiting"] == 0
    assert (undisturbed["rows"]["predictions"], undisturbed["rows"]["labels"]) == (900, 900 + STRAYS)
    assert [id for id, _, _ in undisturbed["datasets"]] == [
        "fraud/golden/1",
        "fraud/training/1",
        "fraud/training/2",
    ]
    assert (undisturbed["champion"], undisturbed["challenger"]) == ("fraud/2", None)
    assert undisturbed["release"] == {"version": "fraud/2", "previous": "fraud/1", "state": "released"}
    assert undisturbed["ledger"] == {"verdicts": 2, "findings": 1, "outbox": 1}


@pytest.mark.parametrize("death", DEATHS.values(), ids=DEATHS.keys())
def test_killed_and_started_again_it_ends_the_same(
    prepared: Path, undisturbed: dict[str, Any], tmp_path: Path, death: Death
) -> None:
    folder = _copy(prepared, tmp_path / "killed")
    assert cycle_in_its_own_process(folder, death) == -signal.SIGKILL
    assert cycle_in_its_own_process(folder) == 0
    assert end_of(folder) == undisturbed


def test_the_comparison_sees_a_step_that_is_not_safe_to_repeat(
    prepared: Path, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    """The same check on a workspace in which a batch was moved twice: it is told apart."""
    folder = _copy(prepared, tmp_path / "doubled")
    with opened(folder) as ws:
        # Moved by a flush of its own: what comes twice within one is kept once.
        flush(ws)
        accept(ws, "predictions", payments(900)[500:501])
    assert cycle_in_its_own_process(folder) == 0
    found = end_of(folder)
    assert found["cycle"][:2] == undisturbed["cycle"][:2]
    assert found != undisturbed


def _copy(prepared: Path, place: Path) -> Path:
    """The ledger goes on naming the first cycle's files where they were: they are only read."""
    shutil.copytree(prepared, place, dirs_exist_ok=True)
    return place
