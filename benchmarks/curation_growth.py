"""A curate step over a day's 1 M predictions and 100 k labels, with 100 M predictions in the lake and with none.

The lake holds 100 days of 1 M payments, each day with 100 k labels: 55 % of that day's payments, 25 % of the week before,
12 % of the three weeks before that, 6 % of any earlier day, 1 % that correct a label of the day before, 1 % of payments that
have not come. Cycles were turned over it by the product itself: every ten days, then on each of the last nine. Then
comes one more day. The same day's rows alone, in an empty lake, are the other arm (there the labels of older payments wait). Each
run has a process of its own, in turns; time and peak memory are taken inside, with imports in the memory and not in the time.
Bringing the index up to date (`settle`), the step after it, is reported beside.

The lake is made once, in $WHORL_SCRATCH (default: a temporary folder): 15 GB, some twenty minutes.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from statistics import median

from curation_lake import day, lay_down, lay_down_labels, payments_spec, scratch
from curation_speed import MEASURE, measured
from report import Figure, options, report

ROUNDS, DAYS, ROWS_A_DAY, LABELS_A_DAY = 5, 100, 1_000_000, 100_000
TIMES_EMPTY, MIB = 1.5, 4096
# A strategy that ranks, as the plain query of `curation_speed` does; the default makes clusters, which cost the same in both arms.
RANKED, DEFAULT = "severity", "mix"

CYCLE = (
    MEASURE
    + """
import pandas  # pyarrow does so at the first array that it makes
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from curation_lake import day, payments_spec
from whorl.clock import SimulatedClock
from whorl.curate.curate import curate
from whorl.workspace import open_workspace
root, number, cycle, earlier = Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5].split(",")
with open_workspace(payments_spec(sys.argv[6]), root, clock=SimulatedClock(day(number)), mirror=False, holdout_key="ab" * 32) as ws:
    started = time.perf_counter()
    cases = curate(ws, cycle, day(number), earlier)
    told(started)
    assert cases.cases > 0.9 * 5000, cases
    started = time.perf_counter()
    ws.settle(day(number), earlier)
    told(started)
"""
)


def turned_on(days: int) -> list[int]:
    """The days at whose end a cycle was turned: every tenth, and the last nine."""
    return sorted({*range(10, days + 1, 10), *range(max(days - 9, 1), days + 1)})


def full_lake(days: int) -> Path:
    """The lake with its cycles, and the day after, made where they are not there: a workspace's directory."""
    root = scratch() / f"growth-{days}"
    lay_down_days(root, range(days))
    earlier = ["payments-0000"]
    for number in turned_on(days):
        marker = root / f"turned-{number}"
        if not marker.exists():
            print(
                f"cycle of day {number}: {cycle(root, number, f'payments-{number:04d}', earlier)}", flush=True
            )
            marker.touch()
        earlier.append(f"payments-{number:04d}")
    lay_down_days(root, [days])
    return root


def empty_lake(days: int, name: str = "growth") -> Path:
    """The last day alone: a workspace's directory."""
    root = scratch() / f"{name}-{days}-alone"
    lay_down_days(root, [days])
    return root


def lay_down_days(root: Path, days: Iterable[int]) -> None:
    """Append the payments of these days and the labels that each brought, where they are not there."""
    from whorl.clock import SimulatedClock
    from whorl.workspace import open_workspace

    with open_workspace(
        payments_spec(), root, clock=SimulatedClock(day(0)), mirror=False, holdout_key="ab" * 32
    ) as ws:
        for number in days:
            lay_down(ws.lake, iter([number]), ROWS_A_DAY)
            lay_down_labels(ws.lake, iter([number]), LABELS_A_DAY, ROWS_A_DAY)


def cycle(
    root: Path, number: int, name: str, earlier: list[str], strategy: str = RANKED
) -> list[tuple[float, float]]:
    """(seconds, MiB) of the curate step, and of the settle step after it."""
    here = str(Path(__file__).parent)
    return measured(sys.executable, CYCLE, here, str(root), str(number), name, ",".join(earlier), strategy)


def main() -> None:
    chosen = options(__doc__)
    days = 4 if chosen.quick else DAYS
    full, alone = full_lake(days), empty_lake(days)
    earlier = ["payments-0000", *(f"payments-{number:04d}" for number in turned_on(days))]
    runs: dict[tuple[str, str], list[list[tuple[float, float]]]] = {}
    for turn in range(2 if chosen.quick else ROUNDS):
        for strategy in (RANKED, DEFAULT):
            name = f"growth-{os.getpid()}-{turn}-{strategy}"
            on_empty = cycle(alone, days + 1, name, ["payments-0000"], strategy)
            runs.setdefault(("empty", strategy), []).append(on_empty)
            # What is settled is put back, so that the next turn finds what this one found: links cost nothing.
            kept = full / "settled.kept"
            subprocess.run(["cp", "-al", str(full / "settled"), str(kept)], check=True)
            on_full = cycle(full, days + 1, name, earlier, strategy)
            runs.setdefault(("full", strategy), []).append(on_full)
            shutil.rmtree(full / "settled")
            kept.rename(full / "settled")
            print(f"turn {turn}, {strategy}: empty {on_empty}, full {on_full}", flush=True)
    curate = {arm: median(steps[0][0] for steps in run) for arm, run in runs.items()}
    peak = max(step[1] for (arm, _), run in runs.items() if arm == "full" for steps in run for step in steps)
    settled = median(steps[1][0] for steps in runs["full", RANKED])
    million = days * ROWS_A_DAY / 1e6
    figures = [
        Figure(f"curate at {million:.0f} M, {strategy}, times an empty lake",
               curate["full", strategy] / curate["empty", strategy], target=TIMES_EMPTY)
        for strategy in (RANKED, DEFAULT)
    ]  # fmt: skip
    figures += [
        Figure(f"curate, {strategy}, seconds", curate["full", strategy], curate["empty", strategy])
        for strategy in (RANKED, DEFAULT)
    ]
    figures += [
        Figure(f"curate and settle at {million:.0f} M, peak MiB", peak, target=MIB),
        Figure("settle, seconds", settled),
    ]
    report("A cycle costs what is new, not what is stored", figures, chosen.json)


if __name__ == "__main__":
    main()
