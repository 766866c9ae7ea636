"""Which of five features have drifted, a million rows against a million: beside Evidently, on the same rows.

Three pairs of samples: nothing has changed; a number has moved by half its spread and a category's shares have; a number has spread
by half and a new value of a category has come. Ours reads Parquet files; Evidently 0.7 is given its data frames in memory, and
runs in an environment of its own (pandas < 3): $WHORL_EVIDENTLY names its Python; else one is made by `uv`.

False discoveries: 40 features of 4,000 rows, of which 8 have drifted a little, by significance alone (floor 0), and by the
defaults; 100 times.

Few rows: ten features of all kinds, 60 rows against 60 and against 10,000, by the defaults: how often any is said to have drifted when
none has, and what is found when a number has moved by its spread, another has spread threefold, and all values of a category are new.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import fmean, median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np

FEATURES = {"amount": "float", "age": "float", "items": "int", "channel": "category", "merchant": "category"}
CHANNELS = ["web", "app", "shop", "phone", "mail"]
USUAL, OTHER, NEW = [0.4, 0.3, 0.1, 0.1, 0.1], [0.2, 0.3, 0.3, 0.1, 0.1], [0.32, 0.24, 0.08, 0.08, 0.28]
# What is planted in the current sample, and so the right answer.
PLANTED: dict[str, set[str]] = {
    "nothing": set(),
    "moved": {"amount", "channel"},
    "spread": {"age", "channel"},
}
REPEATS, WIDE, SHIFTED, NARROW_ROWS = 100, 40, 8, 4_000
FEW, FEW_REFERENCE, FEW_REPEATS = 60, (60, 10_000), 1_000
# The first three drift where drift is planted.
FEW_FEATURES = {
    "moved by its spread": "float", "spread threefold": "float", "all values new": "category", "heavy-tailed": "float", "skew": "float",
    "many ties": "int", "fewer ties": "int", "400 values": "category", "five values": "category", "yes or no": "bool",
}  # fmt: skip


def sample(rows: int, seed: int, planted: str) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    names = [*CHANNELS[:4], "chat"] if planted == "spread" else CHANNELS
    shares = {"nothing": USUAL, "moved": OTHER, "spread": NEW}[planted]
    return {
        "id": np.arange(rows) + seed * rows,
        "amount": random.lognormal(3.0 + 0.5 * (planted == "moved"), 1.0, rows),
        "age": random.normal(40.0, 12.0 * (1.5 if planted == "spread" else 1.0), rows),
        "items": random.poisson(3.0, rows),
        "channel": np.array(names)[random.choice(5, rows, p=shares)],
        "merchant": np.array([f"m{i}" for i in range(50)])[random.integers(0, 50, rows)],
    }


def as_peer(folder: Path) -> None:
    """Evidently's half: verdicts and seconds of each pair, as JSON. Runs in its own environment."""
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    numbers = [name for name, kind in FEATURES.items() if kind != "category"]
    definition = DataDefinition(
        numerical_columns=numbers, categorical_columns=[n for n in FEATURES if n not in numbers]
    )
    answers: dict[str, Any] = {}
    reference = pd.read_parquet(folder / "reference.parquet")[list(FEATURES)]
    for planted in PLANTED:
        current = pd.read_parquet(folder / f"{planted}.parquet")[list(FEATURES)]
        began = perf_counter()
        run = Report([DataDriftPreset()]).run(
            Dataset.from_pandas(current, data_definition=definition),
            Dataset.from_pandas(reference, data_definition=definition),
        )
        metrics = run.dict()["metrics"]
        seconds = perf_counter() - began
        drifted = [
            m["config"]["column"]
            for m in metrics
            if "column" in m["config"] and m["value"] > m["config"]["threshold"]
        ]
        answers[planted] = {"seconds": seconds, "drifted": drifted}
    (folder / "answers.json").write_text(json.dumps(answers), encoding="utf-8")


def of_evidently(folder: Path) -> dict[str, Any]:
    python = os.environ.get("WHORL_EVIDENTLY")
    if python is None:
        home = folder / "environment"
        subprocess.run(["uv", "venv", "-q", str(home)], check=True)
        python = str(home / "bin" / "python")
        wanted = ["evidently==0.7.*", "pandas<3", "pyarrow"]
        subprocess.run(["uv", "pip", "install", "-q", "--python", python, *wanted], check=True)
    subprocess.run([python, __file__, "--peer", str(folder)], check=True)
    found: dict[str, Any] = json.loads((folder / "answers.json").read_text(encoding="utf-8"))
    return found


def scans(folder: Path, drift: Callable[..., Any], engine: Any, defaults: dict[str, float]) -> dict[str, Any]:
    """Ours: the verdicts on each pair, and the median of the seconds of three runs."""
    answers = {}
    for planted in PLANTED:
        rows = (
            f"(SELECT *, false AS is_current FROM read_parquet('{folder}/reference.parquet') UNION ALL "
            f"SELECT *, true FROM read_parquet('{folder}/{planted}.parquet'))"
        )
        took = []
        for _ in range(3):
            began = perf_counter()
            found = drift(engine, rows, FEATURES, current="is_current", **defaults)
            took.append(perf_counter() - began)
        answers[planted] = {"seconds": median(took), "drifted": [one.feature for one in found if one.drifted]}
    return answers


def discoveries(
    drift: Callable[..., Any], engine: Any, repeats: int, fdr: float, floor: float, shifted: int
) -> Iterator[tuple[int, int]]:
    """How many features without shift, and how many with one, were said to have drifted, in each repeat."""
    import pyarrow as pa

    kinds = {f"x{i}": "float" if i % 2 else "category" for i in range(WIDE)}
    for seed in range(repeats):
        random = np.random.default_rng([3, seed])
        now = np.arange(NARROW_ROWS) >= NARROW_ROWS // 2
        columns: dict[str, Any] = {"id": np.arange(NARROW_ROWS), "is_current": now}
        for place, (name, kind) in enumerate(kinds.items()):
            values = random.normal(size=NARROW_ROWS) + 0.2 * now * (place < shifted)
            columns[name] = values if kind == "float" else np.floor(values * 2).astype(int).astype(str)
        engine.register("narrow", pa.table(columns))
        said = drift(engine, "narrow", kinds, current="is_current", fdr=fdr, floor=floor)
        engine.drop("narrow")
        drifted = [place for place, one in enumerate(said) if one.drifted]
        yield sum(place >= shifted for place in drifted), sum(place < shifted for place in drifted)


def few(random: np.random.Generator, rows: int, planted: bool) -> list[Any]:
    """A column for each of FEW_FEATURES."""
    rank = 1 / np.arange(1, 401)
    return [
        random.normal(size=rows) + planted,
        random.normal(size=rows) * (3 if planted else 1),
        (random.integers(0, 300, rows) + 1_000 * planted).astype(str),
        random.standard_cauchy(rows),
        random.lognormal(sigma=2.0, size=rows),
        random.poisson(1.0, rows),
        random.geometric(0.05, rows),
        random.choice(400, rows, p=rank / rank.sum()).astype(str),
        random.choice(5, rows, p=[0.6, 0.3, 0.05, 0.04, 0.01]).astype(str),
        random.random(rows) < 0.1,
    ]


def few_drifted(scan: Callable[..., Any], engine: Any, reference: int, repeats: int, planted: bool) -> Iterator[set[str]]:  # fmt: skip
    """The features said to have drifted, in each repeat."""
    import pyarrow as pa

    now = np.arange(reference + FEW) >= reference
    for seed in range(repeats):
        random = np.random.default_rng([4, reference, seed])
        sides = zip(few(random, reference, False), few(random, FEW, planted), strict=True)
        columns = dict(zip(FEW_FEATURES, map(np.concatenate, sides), strict=True))
        engine.register("few", pa.table({"id": np.arange(len(now)), "is_current": now, **columns}))
        yield {one.feature for one in scan(engine, "few", FEW_FEATURES, current="is_current") if one.drifted}
        engine.drop("few")


def with_few_rows(scan: Callable[..., Any], engine: Any, repeats: int) -> Iterator[Any]:
    from report import Figure

    for reference in FEW_REFERENCE:
        sides = f"{reference:,} against {FEW} rows"
        false = [bool(found) for found in few_drifted(scan, engine, reference, repeats, False)]
        yield Figure(f"runs without a shift with a discovery, {sides}", fmean(false), target=0.05)
        found = list(few_drifted(scan, engine, reference, repeats // 10, True))
        for planted in list(FEW_FEATURES)[:3]:
            yield Figure(f"found, {planted}, {sides}", fmean(planted in one for one in found))


def main() -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from report import Figure, options, report
    from whorl.monitor.drift import drift
    from whorl.spec.knobs.monitor import MonitorSpec
    from whorl.storage.engine import Engine

    chosen = options(__doc__)
    rows, repeats, few_repeats = (100_000, 20, 400) if chosen.quick else (1_000_000, REPEATS, FEW_REPEATS)
    monitor = MonitorSpec()
    defaults = {"fdr": monitor.drift_fdr, "floor": monitor.drift_floor}
    with TemporaryDirectory(prefix="whorl-drift-") as place:
        folder = Path(place)
        pq.write_table(pa.table(sample(rows, 1, "nothing")), folder / "reference.parquet")
        for number, planted in enumerate(PLANTED, start=2):
            pq.write_table(pa.table(sample(rows, number, planted)), folder / f"{planted}.parquet")
        engine = Engine(folder / "scratch", allowed=[folder])
        ours, theirs = scans(folder, drift, engine, defaults), of_evidently(folder)
        alone = list(discoveries(drift, engine, repeats, monitor.drift_fdr, 0.0, SHIFTED))
        quiet = list(discoveries(drift, engine, repeats, monitor.drift_fdr, 0.0, 0))
        default = list(discoveries(drift, engine, repeats, **defaults, shifted=0))
        few_rows = list(with_few_rows(partial(drift, **defaults), engine, few_repeats))
        engine.close()
    for planted, right in PLANTED.items():
        print(f"{planted}: right {sorted(right)}, ours {sorted(ours[planted]['drifted'])}, "
              f"Evidently {sorted(theirs[planted]['drifted'])}")  # fmt: skip
    seconds = [median(one[planted]["seconds"] for planted in PLANTED) for one in (ours, theirs)]
    wrong = [
        sum(len(set(one[p]["drifted"]) ^ right) for p, right in PLANTED.items()) for one in (ours, theirs)
    ]
    figures = [
        Figure(f"seconds, {rows:,} against {rows:,} rows", seconds[0], other=seconds[1]),
        Figure("times as fast", seconds[1] / seconds[0], target=40.0, at_most=False),
        Figure("wrong verdicts of 15", wrong[0], other=wrong[1], target=0.0),
        Figure("false share of discoveries, significance alone", fmean(f / max(f + t, 1) for f, t in alone), target=0.05),
        Figure("small shifts found, significance alone", fmean(t / SHIFTED for _, t in alone)),
        Figure("runs without a shift with a discovery, alone", fmean(f > 0 for f, _ in quiet)),
        Figure("runs without a shift with a discovery, default", fmean(f > 0 for f, _ in default), target=0.05),
        *few_rows,
    ]  # fmt: skip
    report("A drift scan is quick, and true", figures, chosen.json)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peer"]:
        as_peer(Path(sys.argv[2]))
    else:
        main()
