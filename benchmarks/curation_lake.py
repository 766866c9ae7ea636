"""Payments and their late labels, made in the lake's own layout: what `curation_speed` and `curation_growth` curate.

A day is a million payments by default, in one file a day as compaction leaves them. Everything follows from the seed of
the row's number, so a lake of more days begins with the rows of one of fewer.
"""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import gettempdir

import duckdb
import pyarrow as pa

from whorl.spec import Spec, parse_spec
from whorl.storage.lake import Lake

START = datetime(2026, 1, 1, tzinfo=UTC)
SPEC = """
name = "payments"
task = "binary"
[schema]
id = "transaction_id"
time = "timestamp"
group = "user_id"
segments = ["merchant"]
[schema.features]
amount = "float"
hour = "int"
merchant = "category"
is_new_merchant = "bool"
[curate]
budget = 5000
[[curate.rules]]
name = "missed"
when = "score < 0.1 and label"
severity = "amount"
[[curate.rules]]
name = "unsure"
when = "score between 0.45 and 0.55"
"""
# An odd number: multiplying by it modulo 2^48 gives every row an id of its own, in no order.
_SCATTER = 0x9E3779B97F4B
_USERS, _MERCHANTS = 2_000_000, 400


def payments_spec(strategy: str = "mix") -> Spec:
    """The flywheel; its strategy is the product's default unless another is named."""
    return parse_spec(SPEC.replace("budget = 5000", f'budget = 5000\nstrategy = "{strategy}"'))


def scratch() -> Path:
    """Where lakes are made and kept, so that another run finds them: $WHORL_SCRATCH, else a temporary folder."""
    place = Path(os.environ.get("WHORL_SCRATCH") or Path(gettempdir()) / "whorl-benchmarks")
    place.mkdir(parents=True, exist_ok=True)
    return place


def day(number: float) -> datetime:
    return START + timedelta(days=number)


def predictions(first: int, rows: int, on_day: int, rows_a_day: int) -> pa.Table:
    """Payments number `first` and on, of one day, each received two seconds after it was made."""
    return _made(f"""
        WITH numbered AS (SELECT i, hash(i) AS h, hash(i, 1) AS h1, hash(i, 2) AS h2, hash(i, 3) AS h3
                          FROM range({first}, {first + rows}) t(i)),
        drawn AS (SELECT *, {_id("i")} AS id, h % {_USERS} AS user, (h1 % 1000003) / 1000003 AS u,
                    TIMESTAMPTZ '{day(on_day).isoformat()}' + to_microseconds((i % {rows_a_day}) * 86400000000 // {rows_a_day}) AS time
                  FROM numbered)
        SELECT id, time, time + INTERVAL 2 SECOND AS received_at, time::DATE AS day,
          CASE WHEN hash(user) % 20 = 0 THEN 'holdout' ELSE 'train' END AS split,
          format('user_{{}}', user) AS group_id, u * u AS score, 'payments/1' AS model_version,
          round(-80 * ln(1 - (h2 % 999983) / 1000003), 2) AS f_amount, (h2 % 24)::BIGINT AS f_hour,
          format('merchant_{{}}', h3 % {_MERCHANTS}) AS f_merchant, h3 % 7 = 0 AS f_is_new_merchant
        FROM drawn""")


def labels(numbers: str, at: datetime, tag: str) -> pa.Table:
    """Labels of the payments whose `number` and `delay_s` the relation `numbers` gives, received at a time."""
    return _made(f"""
        SELECT '{tag}_' || row_number() OVER () AS id, told AS time, TIMESTAMPTZ '{at.isoformat()}' AS received_at,
          told::DATE AS day, {_id("number")} AS prediction_id, (hash(number, 9) % 1000) / 1000 < p AS value, 'analyst' AS source
        FROM (SELECT number, told, pow((hash(number, 1) % 1000003) / 1000003, 2) * (0.9 - flipped) + 0.05 AS p FROM ({numbers}))""")


def _id(number: str) -> str:
    return f"format('txn_{{:012x}}', ((({number})::HUGEINT * {_SCATTER}) % 281474976710656)::BIGINT)"


def _made(sql: str) -> pa.Table:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.sql(sql).to_arrow_table()


def lay_down(lake: Lake, days: Iterator[int], rows_a_day: int) -> None:
    """Append the payments of these days, where they are not there."""
    there = lake.appended("predictions", "benchmark/predictions")
    for number in (one for one in days if one >= there):
        rows = predictions(number * rows_a_day, rows_a_day, number, rows_a_day)
        lake.append("predictions", rows, app="benchmark/predictions", version=number + 1)


def recent_labels(of: int, rows: int, at: datetime) -> pa.Table:
    """Labels of payments below number `of`, drawn at random, told within the last hour; some payments have two."""
    numbers = (
        f"SELECT hash(k, 77) % {of} AS number, TIMESTAMPTZ '{at.isoformat()}' - to_seconds(k % 3600) AS told, 0 AS flipped "
        f"FROM range({rows}) t(k)"
    )
    return labels(numbers, at, "l")


def labels_of_day(number: int, rows: int, rows_a_day: int) -> pa.Table:
    """Labels that are received when a day ends, of payments by their age.

    55 % of that day, 25 % of the week before, 12 % of the three weeks before that, 6 % of any earlier day; 1 % correct a
    label that the day before brought, and 1 % are of payments of the next day, which have not come.
    """
    shares = [
        (0.55, 0, 1), (0.80, 1, 7), (0.92, 7, 30), (0.98, 30, 100), (0.99, 0, 0), (1.0, -1, 0)
    ]  # fmt: skip
    ages = " ".join(f"WHEN u < {upto} THEN {least} + v * {most - least}" for upto, least, most in shares)
    first, last = number * rows_a_day, (number + 1) * rows_a_day
    corrected = f"WHEN u >= 0.98 AND u < 0.99 THEN {first} - 1 - (hash(k % {max(rows // 100, 1)}, {number - 1}) % {rows_a_day})"
    numbers = f"""
        SELECT (number % {last} + {last}) % {last} + CASE WHEN number >= {last} THEN {last} ELSE 0 END AS number, told, flipped
        FROM (SELECT CASE {corrected} ELSE {last} - 1 - (age * {rows_a_day})::BIGINT END AS number, told, (u >= 0.98 AND u < 0.99)::INT AS flipped
        FROM (SELECT k, u, CASE {ages} END AS age, TIMESTAMPTZ '{day(number + 1).isoformat()}' - to_seconds(k % 3600) AS told
              FROM (SELECT k, (hash(k, {number}) % 1000003) / 1000003 AS u, (hash(k, {number}, 5) % 1000003) / 1000003 AS v
                    FROM range({rows}) t(k))))"""
    return labels(numbers, day(number + 1), f"l{number}")


def lay_down_labels(lake: Lake, days: Iterator[int], rows: int, rows_a_day: int) -> None:
    """Append the labels that these days bring, where they are not there."""
    there = lake.appended("labels", "benchmark/labels")
    for number in (one for one in days if one >= there):
        lake.append(
            "labels", labels_of_day(number, rows, rows_a_day), app="benchmark/labels", version=number + 1
        )
