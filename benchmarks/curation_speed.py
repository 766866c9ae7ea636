"""A curate step over 10 M predictions and 1 M labels in the lake, beside plain DuckDB and Polars doing the same job.

All three read the same Parquet files, join the last label received by T, find what two rules say, rank, and choose 5,000
rows. Ours is the step of a cycle as the product runs it, ranking as the plain query does (`strategy = "severity"`); with the
default strategy, which makes clusters of the undecided rows and so does more than the others, it is reported beside. It also merges repeated records,
keeps groups on one side of the holdout, mines its built-in reasons, computes the chance of every row, and writes what was
considered and chosen. Each run has a process of its own, in turns; time and peak memory are taken inside, with what was
imported counted in the memory and not in the time. Polars is not a dependency: install it beside, or name a Python that
has it in $WHORL_PEERS; without, its arm is left out.

The lake is made once, in $WHORL_SCRATCH (default: a temporary folder): 0.5 GB, about a minute.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import median

from curation_lake import day, lay_down, payments_spec, recent_labels, scratch
from report import Figure, options, report

ROUNDS, ROWS_A_DAY, DAYS = 5, 1_000_000, 10
TIMES_PLAIN, MIB = 1.3, 1024

PLAIN = """
WITH last AS (SELECT prediction_id, arg_max(value, (received_at, time)) AS label
              FROM read_parquet({labels}) WHERE received_at <= {now} GROUP BY prediction_id),
joined AS (SELECT p.id, p.time, p.score, p.f_amount, p.f_merchant, p.f_hour, p.f_is_new_merchant, l.label
           FROM read_parquet({predictions}) p JOIN last l ON p.id = l.prediction_id
           WHERE p.received_at <= {now} AND p.split = 'train'),
mined AS (SELECT *, CASE WHEN score < 0.1 AND label THEN 'missed' WHEN score BETWEEN 0.45 AND 0.55 THEN 'unsure'
                         ELSE 'random' END AS reason,
            CASE WHEN score < 0.1 AND label THEN f_amount ELSE 1 END AS severity FROM joined),
ranked AS (SELECT *, row_number() OVER (PARTITION BY reason ORDER BY
             CASE WHEN reason = 'random' THEN hash(id) / 1.8e19 ELSE -severity END, id) AS place FROM mined)
SELECT * FROM ranked WHERE place <= CASE reason WHEN 'random' THEN 1500 ELSE 1750 END
"""

# The kernel's high-water mark of this process alone: that of getrusage begins with what the parent held.
MEASURE = """
import sys, time
def told(started):
    took = time.perf_counter() - started
    with open("/proc/self/status") as status:
        peak = next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))
    print(f"measured {took:.4f} {peak:.1f}")
"""

DUCKDB = (
    MEASURE
    + """
import duckdb, pyarrow
connection = duckdb.connect()
connection.execute("SET TimeZone = 'UTC'")
started = time.perf_counter()
assert connection.sql(sys.argv[1]).to_arrow_table().num_rows == 5000
told(started)
"""
)

POLARS = (
    MEASURE
    + """
from datetime import datetime, timezone
import polars as pl
predictions, labels, now = sys.argv[1].split("|")
now = datetime.fromisoformat(now)
started = time.perf_counter()
last = (pl.scan_parquet(labels.split(",")).filter(pl.col("received_at") <= now)
        .select("prediction_id", "received_at", "time", "value").sort("received_at", "time")
        .group_by("prediction_id").agg(pl.col("value").last().alias("label")))
rows = (pl.scan_parquet(predictions.split(","))
        .filter((pl.col("received_at") <= now) & (pl.col("split") == "train"))
        .select("id", "time", "score", "f_amount", "f_merchant", "f_hour", "f_is_new_merchant")
        .join(last, left_on="id", right_on="prediction_id"))
missed = (pl.col("score") < 0.1) & pl.col("label")
rows = rows.with_columns(
    reason=pl.when(missed).then(pl.lit("missed")).when(pl.col("score").is_between(0.45, 0.55)).then(pl.lit("unsure"))
    .otherwise(pl.lit("random")),
    order=pl.when(missed).then(-pl.col("f_amount")).when(pl.col("score").is_between(0.45, 0.55)).then(-1.0)
    .otherwise(pl.col("id").hash(7) / 2.0**64))
found = rows.with_columns(place=pl.struct("order", "id").rank("ordinal").over("reason")).filter(
    pl.col("place") <= pl.when(pl.col("reason") == "random").then(1500).otherwise(1750)).collect(engine="streaming")
assert found.height == 5000
told(started)
"""
)

OURS = (
    MEASURE
    + """
import pandas  # pyarrow does so at the first array that it makes
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from curation_lake import day, payments_spec
from whorl.clock import SimulatedClock
from whorl.curate.curate import curate
from whorl.workspace import open_workspace
root, now = Path(sys.argv[1]), day(int(sys.argv[2]))
with open_workspace(payments_spec(sys.argv[5]), root, clock=SimulatedClock(now), mirror=False, holdout_key="ab" * 32) as ws:
    started = time.perf_counter()
    cases = curate(ws, sys.argv[4], now, ["payments-0000"])
    told(started)
    assert 0.9 * 5000 < cases.cases <= 5000 and not cases.candidates < 1000
"""
)


def lake_of(days: int) -> Path:
    """The lake, made when it is not there: a workspace's directory."""
    root = scratch() / f"speed-{days}"
    done = root / "made"
    if not done.exists():
        shutil.rmtree(root, ignore_errors=True)
        lake = lake_at(root)
        lay_down(lake, iter(range(days)), ROWS_A_DAY)
        rows = recent_labels(days * ROWS_A_DAY, days * ROWS_A_DAY // 10, day(days))
        lake.append("labels", rows, app="benchmark/labels", version=1)
        done.touch()
    return root


def lake_at(root: Path):  # type: ignore[no-untyped-def]
    from whorl.clock import SimulatedClock
    from whorl.workspace import open_workspace

    with open_workspace(
        payments_spec(), root, clock=SimulatedClock(day(0)), mirror=False, holdout_key="ab" * 32
    ) as ws:
        return ws.lake


def measured(python: str, script: str, *arguments: str) -> list[tuple[float, float]]:
    """(seconds, MiB) of each measurement that a process prints."""
    done = subprocess.run([python, "-c", script, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr[-2000:])
    told = [line.split() for line in done.stdout.splitlines() if line.startswith("measured")]
    return [(float(seconds), float(peak)) for _, seconds, peak in told]


def peer_python() -> str | None:
    """A Python that has Polars."""
    for python in filter(None, (os.environ.get("WHORL_PEERS"), sys.executable)):
        if subprocess.run([python, "-c", "import polars"], capture_output=True, check=False).returncode == 0:
            return python
    return None


def main() -> None:
    chosen = options(__doc__)
    days = 1 if chosen.quick else DAYS
    root = lake_of(days)
    at = root / "lake" / "payments"
    files = {table: sorted(map(str, (at / table).glob("*/*.parquet"))) for table in ("predictions", "labels")}
    now = day(days).isoformat()
    plain = PLAIN.format(**files, now=f"TIMESTAMPTZ '{now}'")
    polars, here = peer_python(), str(Path(__file__).parent)
    runs: dict[str, list[tuple[float, float]]] = {
        "whorl": [],
        "whorl, default strategy": [],
        "duckdb": [],
        "polars": [],
    }
    for turn in range(2 if chosen.quick else ROUNDS):
        runs["duckdb"] += measured(sys.executable, DUCKDB, plain)
        for name, strategy in (("whorl", "severity"), ("whorl, default strategy", "mix")):
            cycle = f"speed-{os.getpid()}-{turn}-{strategy}"
            runs[name] += measured(sys.executable, OURS, str(root), str(days), here, cycle, strategy)
        if polars is not None:
            said = "|".join([",".join(files["predictions"]), ",".join(files["labels"]), now])
            runs["polars"] += measured(polars, POLARS, said)
        print(f"turn {turn}: " + ", ".join(f"{n} {r[-1][0]:.2f} s {r[-1][1]:.0f} MiB" for n, r in runs.items() if r), flush=True)  # fmt: skip
    seconds = {name: median(s for s, _ in run) for name, run in runs.items() if run}
    peak = {name: median(p for _, p in run) for name, run in runs.items() if run}
    figures = [
        Figure(
            "curate, times the plain DuckDB query", seconds["whorl"] / seconds["duckdb"], target=TIMES_PLAIN
        ),
        Figure("curate, peak MiB", peak["whorl"], peak["duckdb"], target=MIB),
        *(Figure(f"{name}, seconds", value) for name, value in seconds.items()),
        *(Figure(f"{name}, peak MiB", value) for name, value in peak.items()),
    ]
    report("A curate step costs what the plain query costs", figures, chosen.json)


if __name__ == "__main__":
    main()
