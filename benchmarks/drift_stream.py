"""Electricity prices, up or down, half-hour after half-hour; each truth is known one day, 48 rows, after its row.

Prequential: every row is predicted before any label younger than 48 rows is used. All arms see the same seven columns (not
`date`, which falls back in five places), begin after the first 28 days, and are judged on all later rows. Ours is a replay
with the product's defaults: a declared schema, a cadence, and findings that may start a cycle between. Beside it: no-change
(the label of 48 rows ago), LightGBM fitted anew on sliding windows, and river's learners that learn from each row as its
label arrives. Intervals are of means of weeks, drawn anew in blocks of four: neighbouring rows err together.

Retrainings count the first fit; what learns row by row has none to count. river is looked for in the environment that runs
this; without it those arms are left out, and the claim is not judged.
"""

from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv

from report import Figure, data_folder, options, report
from whorl.replay.play import Played, Span, play
from whorl.replay.policies import policy_spec
from whorl.replay.source import read_tables
from whorl.spec import Spec, parse_spec

Floats = npt.NDArray[np.float64]
COLUMNS = ("day", "period", "nswprice", "nswdemand", "vicprice", "vicdemand", "transfer")
DAY, DELAY, WARM = 48, 48, 28 * 48
MOST_RETRAINS = 30
BEGIN = datetime(1996, 5, 7, tzinfo=UTC)
WEEK, BLOCK, DRAWS = 7 * DAY, 4, 2000
WINDOWS = (1000, 2500, 5000, 10_000, None)

SCHEMA = """
name = "elec2"
task = "binary"
[schema]
id = "id"
time = "time"
label = "up"
label_time = "known_at"
[schema.features]
weekday = { type = "float", path = "day" }
period = "float"
nswprice = "float"
nswdemand = "float"
vicprice = "float"
vicdemand = "float"
transfer = "float"
"""
# Every label comes, chosen by nobody: all rows may be watched, none need be held out, and nothing is gained by waiting.
EVERY_LABEL_COMES = """
[curate]
holdout_share = 0.0
[evaluate]
metric = "accuracy"
gates = []
[monitor]
errors_of = "all"
"""
# By cadence only: one first model and a retraining every 32 days. With findings: every 62 days, and one between at most.
ARMS: dict[str, tuple[str, timedelta]] = {
    "flywheel, by cadence": (SCHEMA + EVERY_LABEL_COMES, timedelta(days=32)),
    "flywheel, by findings": (
        SCHEMA + EVERY_LABEL_COMES + 'start_cycle = true\nstart_at_most = 1\nstart_within = "62d"\n',
        timedelta(days=62),
    ),
    "flywheel, default gates": (SCHEMA, timedelta(days=32)),
}


def stream(rows: int | None) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Columns (n, 7) and whether the price went up (n,), in the order of the file."""
    table = pyarrow.csv.read_csv(data_folder("elec2_electricity") / "electricity.csv.gz").slice(0, rows)
    return np.column_stack([table[name].to_numpy() for name in COLUMNS]), table["class"].to_numpy() == "UP"


def flywheel(text: str, every: timedelta, x: Floats, up: npt.NDArray[np.bool_]) -> tuple[Floats, int]:
    """Chances of the rows after the warm start (n - WARM,), by a replay; how many models it tried to train."""
    spec: Spec = policy_spec(parse_spec(text), "flywheel")
    time = [BEGIN + timedelta(days=place / DAY) for place in range(len(x))]
    table = pa.table(
        {"id": [f"{place:05d}" for place in range(len(x))], "time": time, "up": up,
         "known_at": [at + timedelta(days=DELAY / DAY) for at in time]}
        | {name: x[:, place] for place, name in enumerate(COLUMNS)}
    )  # fmt: skip
    span = Span(time[WARM], time[-1] + timedelta(minutes=30), every)
    with TemporaryDirectory() as place:
        played: Played = play(
            spec, read_tables(table)(spec, "replay-0"), span, Path(place), classes=(), seed=0
        )
    return played.predicted, len(played.cycles) + len(played.failures)


def windows(x: Floats, up: npt.NDArray[np.bool_], window: int | None, every: int) -> tuple[Floats, int]:
    """LightGBM, fitted anew every so many rows on the youngest rows whose label is known."""
    params = {"objective": "binary", "learning_rate": 0.05, "num_leaves": 15, "verbosity": -1, "num_threads": 1,
              "deterministic": True, "force_col_wise": True, "seed": 0}  # fmt: skip
    chances, begins = [], range(WARM, len(x), every)
    for begin in begins:
        known = slice(max(0, begin - DELAY - window) if window else 0, begin - DELAY)
        rows = lightgbm.Dataset(x[known], up[known], params={"verbosity": -1})
        chances.append(lightgbm.train(params, rows, 150).predict(x[begin : begin + every]))
    return np.concatenate(chances), len(begins)


def one_by_one(model: Any, x: Floats, up: npt.NDArray[np.bool_]) -> Floats:
    """A river classifier that learns each row when its label arrives."""
    waiting: deque[tuple[dict[str, float], bool]] = deque()
    chances = np.full(len(x), 0.5)
    for place, (values, truth) in enumerate(zip(x.tolist(), up.tolist(), strict=True)):
        if len(waiting) == DELAY:
            model.learn_one(*waiting.popleft())
        row = dict(zip(COLUMNS, values, strict=True))
        if place >= WARM:
            chances[place] = model.predict_proba_one(row).get(True, 0.0)
        waiting.append((row, truth))
    return chances[WARM:]


def river_models(quick: bool) -> Iterator[tuple[str, Any]]:
    """Learners with river's defaults; none where it is not installed."""
    try:
        from river import ensemble, forest, linear_model, preprocessing, tree
    except ImportError:
        return
    yield "river, adaptive random forest", forest.ARFClassifier(seed=0)
    yield "river, Hoeffding adaptive tree", tree.HoeffdingAdaptiveTreeClassifier(seed=0)
    yield "river, logistic regression", preprocessing.StandardScaler() | linear_model.LogisticRegression()
    if not quick:
        bagged = ensemble.LeveragingBaggingClassifier(tree.HoeffdingTreeClassifier(), seed=0)
        yield "river, leveraging bagging", bagged
        yield "river, streaming random patches", ensemble.SRPClassifier(seed=0)


def in_blocks(right: Floats, level: float = 0.95) -> tuple[float, float]:
    """Bounds of a mean over a stream (n,): moving blocks of four weeks (Künsch 1989, Ann. Stat. 17:1217-1241)."""
    weeks = right[: len(right) // WEEK * WEEK].reshape(-1, WEEK).mean(axis=1)
    block = min(BLOCK, len(weeks))
    starts = np.random.default_rng(0).integers(
        0, len(weeks) - block + 1, size=(DRAWS, -(-len(weeks) // block))
    )
    drawn = weeks[(starts[..., None] + np.arange(block)).reshape(DRAWS, -1)].mean(axis=1)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def main() -> None:
    chosen = options(__doc__)
    x, up = stream(6000 if chosen.quick else None)
    truth = up[WARM:]
    found: dict[str, tuple[Floats, int | None]] = {}

    def arm(name: str, chances: Floats, retrains: int | None = None) -> None:
        found[name] = (chances, retrains)
        print(f"{name:<34} {np.mean((chances > 0.5) == truth):.4f}  retrains: {retrains}", flush=True)

    arm("no change", up[WARM - DELAY : len(up) - DELAY].astype(np.float64))
    arm("no change, label known at once", up[WARM - 1 : -1].astype(np.float64))
    every = -(-(len(x) - WARM) // MOST_RETRAINS)
    for window in WINDOWS:
        arm(f"LightGBM, {window or 'all'} rows", *windows(x, up, window, every))
    arm("LightGBM, 2500 rows, daily", *windows(x, up, 2500, DAY))
    for name, model in river_models(chosen.quick):
        arm(name, one_by_one(model, x, up))
    for name, (text, cadence) in ARMS.items():
        arm(name, *flywheel(text, cadence, x, up))
    report("Best under one day's delay, with 30 retrains", figures(found, truth), chosen.json)


def figures(found: dict[str, tuple[Floats, int | None]], truth: npt.NDArray[np.bool_]) -> list[Figure]:
    """Accuracy of each arm with its bounds; ours, by findings, beside the best of the others."""
    right = {name: ((chances > 0.5) == truth).astype(np.float64) for name, (chances, _) in found.items()}
    ours = "flywheel, by findings"
    others = {
        name: float(one.mean())
        for name, one in right.items()
        if "flywheel" not in name and "at once" not in name
    }
    best = max(others, key=lambda name: others[name])
    low, high = in_blocks(right[ours] - right[best])
    judged = any("river" in name for name in others)
    listed = [
        Figure("accuracy, ours by findings", float(right[ours].mean()), others[best],
               target=others[best] if judged else None, at_most=False),
        Figure("retrains, ours by findings", float(found[ours][1] or 0), target=MOST_RETRAINS),
        Figure(f"ours less {best}", float(right[ours].mean()) - others[best]),
        Figure("  lower bound", low),
        Figure("  upper bound", high),
    ]  # fmt: skip
    for name, one in right.items():
        low, high = in_blocks(one)
        retrains = found[name][1]
        said = f"{name} [{low:.4f}, {high:.4f}]" + (f", {retrains} retrains" if retrains else "")
        listed.append(Figure(said, float(one.mean())))
    return listed


if __name__ == "__main__":
    main()
