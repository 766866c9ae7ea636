"""A whole cycle over a day's 1 M predictions and 100 k labels, with 20 M predictions in the lake and with none.

Rows are those of `curation_growth`; every step is the product's own: curate, settle, dataset, training, judging, monitoring. Cycles
were turned over the full lake at the end of day 2, of every tenth day and of the last one. The other arm is the day after alone, in an empty
lake. Each run has a process of its own and a copy of its workspace (links, which cost nothing), in turns; seconds of each step and
peak memory are taken inside.

Judging and watching look at every holdout row with a truth and at windows of all rows, so not all of a cycle can cost what is new:
what is compared is how much more it costs.

The lake is made once, in $WHORL_SCRATCH (default: a temporary folder): 5 GB, some ten minutes.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from statistics import median

from curation_growth import MIB, ROWS_A_DAY, TIMES_EMPTY, empty_lake, lay_down_days
from curation_lake import scratch
from curation_speed import MEASURE
from report import Figure, options, report

ROUNDS, DAYS = 3, 20
STEPS = ("curate", "settle", "datasets", "train", "evaluate", "monitor")

CYCLE = (
    MEASURE
    + """
import pandas  # pyarrow does so at the first array that it makes
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from curation_lake import day, payments_spec
from whorl.clock import SimulatedClock
from whorl.cycle import start, turn
from whorl.storage.journal import Journal
from whorl.workspace import open_workspace
step = Journal.step
def timed(self, cycle, name, run, kind):
    began = time.perf_counter()
    result = step(self, cycle, name, run, kind)
    print("step", name, f"{time.perf_counter() - began:.4f}", flush=True)
    return result
Journal.step = timed
now = day(int(sys.argv[3]))
with open_workspace(payments_spec(), Path(sys.argv[2]), clock=SimulatedClock(now), mirror=False, holdout_key="ab" * 32) as ws:
    started = time.perf_counter()
    turned = turn(ws, start(ws, "manual"))
    told(started)
    assert turned.verdict is not None, turned
"""
)


def turned_on(days: int) -> list[int]:
    """The days at whose end a cycle was turned."""
    return sorted({2, *range(10, days + 1, 10), days})


def full_lake(days: int) -> Path:
    """The lake with its cycles, and the day after, made where they are not there: a workspace's directory."""
    root = scratch() / f"whole-{days}"
    for number in turned_on(days):
        lay_down_days(root, range(number))
        marker = root / f"turned-{number}"
        if not marker.exists():
            print(f"cycle of day {number}: {cycle(root, number)}", flush=True)
            marker.touch()
    lay_down_days(root, [days])
    return root


def cycle(root: Path, number: int) -> dict[str, float]:
    """Seconds of each step of a cycle as of a day's end, of all of it, and its peak MiB."""
    here = str(Path(__file__).parent)
    command = [sys.executable, "-c", CYCLE, here, str(root), str(number)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\n")
    found: dict[str, float] = {}
    for words in map(str.split, told):
        if words[:1] == ["step"]:
            found[words[1]] = float(words[2])
        elif words[:1] == ["measured"]:
            found |= {"all": float(words[1]), "MiB": float(words[2])}
    return found


def cycle_of_copy(root: Path, number: int) -> dict[str, float]:
    """As `cycle`, leaving the workspace as it is."""
    copy = root.with_name(f"{root.name}.copy")
    shutil.rmtree(copy, ignore_errors=True)
    subprocess.run(["cp", "-al", str(root), str(copy)], check=True)
    for ledger in root.glob("ledger.db*"):
        (copy / ledger.name).unlink()
        shutil.copy(ledger, copy / ledger.name)
    try:
        return cycle(copy, number)
    finally:
        shutil.rmtree(copy)


def main() -> None:
    chosen = options(__doc__)
    days = 4 if chosen.quick else DAYS
    full, alone = full_lake(days), empty_lake(days, "whole")
    runs: dict[str, list[dict[str, float]]] = {"empty": [], "full": []}
    for turn in range(1 if chosen.quick else ROUNDS):
        for arm, root in (("empty", alone), ("full", full)):
            runs[arm].append(cycle_of_copy(root, days + 1))
            print(f"turn {turn}, {arm}: {runs[arm][-1]}", flush=True)
    took = {
        arm: {name: median(run[name] for run in found) for name in (*STEPS, "all")}
        for arm, found in runs.items()
    }
    million = days * ROWS_A_DAY / 1e6
    figures = [
        Figure(
            f"a cycle at {million:.0f} M, times an empty lake",
            took["full"]["all"] / took["empty"]["all"],
            target=TIMES_EMPTY,
        ),
        Figure(f"a cycle at {million:.0f} M, peak MiB", max(run["MiB"] for run in runs["full"]),
               max(run["MiB"] for run in runs["empty"]), target=MIB),
        Figure("a cycle, seconds", took["full"]["all"], took["empty"]["all"]),
        *(Figure(f"{name}, seconds", took["full"][name], took["empty"][name]) for name in STEPS),
    ]  # fmt: skip
    report("A whole cycle, with much stored and with nothing", figures, chosen.json)


if __name__ == "__main__":
    main()
