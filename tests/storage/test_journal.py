"""The journal: a step runs once, a killed one again, and a resumed cycle sees what an undisturbed one saw."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from whorl.clock import SimulatedClock
from whorl.errors import StorageError
from whorl.records import CaseSet, Finding
from whorl.spec import parse_spec
from whorl.storage import cycles, flywheels
from whorl.storage.journal import Journal
from whorl.storage.ledger.ledger import Ledger

TURN = """
import os, signal, sys
from pathlib import Path
from whorl.clock import RealClock
from whorl.storage.journal import Journal
from whorl.storage.ledger.ledger import Ledger

url, cycle_id, diary, die_in = sys.argv[1:]
journal = Journal(Ledger.open(url, RealClock()))

def step(name):
    def run():
        with Path(diary).open("a") as file:
            file.write(name + " ")
        if name == die_in:
            os.kill(os.getpid(), signal.SIGKILL)
        return {"made by": name}
    return journal.step(cycle_id, name, run, dict)

print([step(name) for name in ("curate", "datasets", "train")])
"""


@pytest.fixture
def cycle_id(ledger: Ledger, clock: SimulatedClock) -> str:
    flywheels.register(ledger, parse_spec('name = "fraud"\ntask = "binary"'))
    return cycles.start(ledger, "fraud", "manual", clock.now(), "")


@pytest.fixture
def journal(ledger: Ledger) -> Journal:
    return Journal(ledger)


def test_a_step_runs_once_and_is_read_afterwards(
    journal: Journal, cycle_id: str, clock: SimulatedClock
) -> None:
    made = CaseSet(
        cycle_id=cycle_id, as_of=clock.now(), cases=3, candidates=9, by_reason={"wrong": 2, "rare": 1}
    )
    assert journal.step(cycle_id, "curate", lambda: made, CaseSet) == made
    assert journal.step(cycle_id, "curate", _never, CaseSet) == made


def test_builtin_results_come_back_as_their_kind(journal: Journal, cycle_id: str) -> None:
    found = [Finding(kind="decay", severity="warning", message="worse")]
    for _ in range(2):
        assert journal.step(cycle_id, "flush", lambda: 7, int) == 7
        assert journal.step(cycle_id, "monitor", lambda: found, list[Finding]) == found
        assert journal.step(cycle_id, "nothing", lambda: None, type(None)) is None
    assert journal.step(cycle_id, "nothing", _never, type(None)) is None


def test_steps_are_listed_in_the_order_in_which_they_ended(
    journal: Journal, cycle_id: str, clock: SimulatedClock
) -> None:
    journal.step(cycle_id, "train", lambda: {"b": 1, "a": 2}, dict)
    journal.step(cycle_id, "curate", lambda: 2, int)
    first, second = journal.done(cycle_id)
    assert (first.position, first.name, list(first.result)) == (1, "train", ["b", "a"])
    assert (second.position, second.name, second.finished_at) == (2, "curate", clock.now())
    assert first.seconds >= 0


def test_a_step_that_raises_records_nothing(journal: Journal, cycle_id: str) -> None:
    with pytest.raises(AssertionError, match="ran"):
        journal.step(cycle_id, "train", _never, int)
    assert journal.done(cycle_id) == []
    assert journal.step(cycle_id, "train", lambda: 1, int) == 1


@pytest.mark.parametrize(
    ("result", "kind", "match"),
    [(object(), dict, "not JSON"), (float("nan"), float, "cannot be read as float"), ("one", int, "as int")],
)
def test_a_result_that_would_not_come_back_is_refused_at_once(
    journal: Journal, cycle_id: str, result: object, kind: type, match: str
) -> None:
    with pytest.raises(StorageError, match=match) as refused:
        journal.step(cycle_id, "train", lambda: result, kind)
    assert cycle_id in str(refused.value)
    assert journal.done(cycle_id) == []


def test_a_result_of_another_version_that_cannot_be_read_is_told(journal: Journal, cycle_id: str) -> None:
    journal.step(cycle_id, "curate", lambda: {"cases": 1}, dict)
    with pytest.raises(StorageError, match="cannot be read as CaseSet") as refused:
        journal.step(cycle_id, "curate", _never, CaseSet)
    assert "start a new one" in refused.value.hint


def test_whoever_recorded_first_is_right(journal: Journal, cycle_id: str) -> None:
    def slow() -> int:
        return journal.step(cycle_id, "train", lambda: 1, int) + 1

    assert journal.step(cycle_id, "train", slow, int) == 1


def test_forget_starts_a_cycle_over_and_leaves_others(journal: Journal, cycle_id: str) -> None:
    journal.step(cycle_id, "curate", lambda: 1, int)
    journal.forget("fraud-0999")
    assert len(journal.done(cycle_id)) == 1
    journal.forget(cycle_id)
    assert journal.step(cycle_id, "curate", lambda: 2, int) == 2


def test_after_kill_9_a_cycle_goes_on_at_the_step_it_was_in(
    ledger: Ledger, cycle_id: str, tmp_path: Path
) -> None:
    diary = tmp_path / "diary"
    command = [sys.executable, "-c", TURN, ledger.url, cycle_id, str(diary)]
    killed = subprocess.run([*command, "datasets"], timeout=60, check=False)
    assert killed.returncode == -signal.SIGKILL
    resumed = subprocess.run([*command, "none"], capture_output=True, text=True, timeout=60, check=True)
    assert resumed.stdout == "[{'made by': 'curate'}, {'made by': 'datasets'}, {'made by': 'train'}]\n"
    assert diary.read_text() == "curate datasets datasets train "


def _never() -> int:
    raise AssertionError("the step ran")
