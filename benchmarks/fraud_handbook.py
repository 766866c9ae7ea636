"""1.75 million card payments replayed with weekly cycles, beside static, all and random: time and memory."""

import resource
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import duckdb

from report import Figure, data_folder, options, report
from whorl.replay.play import Span
from whorl.replay.replay import replay
from whorl.replay.source import read_files
from whorl.spec import parse_spec

SPEC = """
name = "cards"
task = "binary"

[schema]
id = "TRANSACTION_ID"
time = "TX_DATETIME"
group = "CUSTOMER_ID"
label = "TX_FRAUD"
label_time = "known_at"

[schema.features]
amount = "float"
hour = "int"
payments_24h = "int"
times_usual_amount = "float"

[curate]
initial = 100000
budget = 2000

[[curate.rules]]
name = "missed"
when = "score < 0.1 and label"

[evaluate]
metric = "average_precision"

[[evaluate.gates]]
check = "not_worse"
metric = "log_loss"
margin = 0.005
"""
# What a company's own extract would hold: the raw payment, two looks back over the customer, the label a week later.
EXTRACT = """
COPY (
  SELECT TRANSACTION_ID, TX_DATETIME, CUSTOMER_ID, TX_FRAUD, TX_DATETIME + INTERVAL 7 DAY AS known_at,
    amount_cents / 100 AS amount, hour(TX_DATETIME) AS hour,
    count(*) OVER day AS payments_24h, amount_cents / avg(amount_cents) OVER month AS times_usual_amount
  FROM '{source}'
  WINDOW day AS (PARTITION BY CUSTOMER_ID ORDER BY TX_DATETIME RANGE INTERVAL 1 DAY PRECEDING),
    month AS (PARTITION BY CUSTOMER_ID ORDER BY TX_DATETIME RANGE INTERVAL 30 DAY PRECEDING)
  ORDER BY TX_DATETIME, TRANSACTION_ID
) TO '{extract}' (FORMAT parquet)
"""


def main() -> None:
    chosen = options(__doc__)
    end = datetime(2018, 6, 1, tzinfo=UTC) if chosen.quick else datetime(2018, 10, 1, tzinfo=UTC)
    with TemporaryDirectory() as place:
        extract = Path(place, "payments.parquet")
        source = data_folder("fraud_handbook_simulated") / "transactions.parquet"
        duckdb.sql(EXTRACT.format(source=source, extract=extract))
        began = perf_counter()
        span = Span(datetime(2018, 4, 29, tzinfo=UTC), end, timedelta(days=7))
        found = replay(
            {"flywheel": parse_spec(SPEC)},
            read_files([extract]),
            span,
            progress=lambda arm: print(arm, round(perf_counter() - began), flush=True),
        )
        seconds = perf_counter() - began
    gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(found["meaning"])
    quality = [
        Figure(f"average precision, {name}", arm["overall"]["average_precision"]["value"])
        for name, arm in found["arms"].items()
    ]
    times = [Figure(f"seconds, {name}", arm["seconds"]) for name, arm in found["arms"].items()]
    full = not chosen.quick
    limits = [
        Figure("seconds in all", seconds, target=600 if full else None),
        Figure("peak memory, GiB", gib, target=4 if full else None),
    ]
    report(
        "Replay of 1.75 M payments with weekly cycles ends in 10 minutes and 4 GiB",
        [*limits, *times, *quality],
        chosen.json,
    )


if __name__ == "__main__":
    main()
