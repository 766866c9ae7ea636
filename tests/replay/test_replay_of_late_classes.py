"""A history that ends while paid loans are still open: its last weeks hold defaults only, and judge nobody."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from shop import shop_spec
from whorl.replay.play import Span
from whorl.replay.replay import replay
from whorl.replay.source import read_tables

START, DAYS, LOANS = datetime(2026, 1, 1, tzinfo=UTC), 160.0, 1500
SPEC = shop_spec(
    "[curate]\nbudget = 300\n[train]\nparams = { trees = 10 }\ncalibrate = false\n[evaluate]\nmetric = 'accuracy'\ngates = []\n",
    schema='label = "bad"\nlabel_time = "known_at"',
    head='automation = "full"',
)


def day(number: float) -> datetime:
    return START + timedelta(days=float(number))


def loans() -> pa.Table:
    random = np.random.default_rng(0)
    at, bad = np.sort(random.uniform(0, DAYS, LOANS)), random.random(LOANS) < 0.35
    known = at + np.where(bad, random.uniform(5, 40, LOANS), random.uniform(25, 60, LOANS))
    came = known <= DAYS
    return pa.table({
        "id": [f"loan-{n:04d}" for n in range(LOANS)], "time": [day(t) for t in at], "amount": bad + random.normal(size=LOANS),
        "age": random.normal(size=LOANS), "place": ["p"] * LOANS,
        "bad": [bool(b) if c else None for b, c in zip(bad, came, strict=True)],
        "known_at": [day(k) if c else None for k, c in zip(known, came, strict=True)],
    })  # fmt: skip


def test_rows_of_which_one_class_is_still_to_come_judge_nobody() -> None:
    span = Span(day(60), day(DAYS), timedelta(days=20))
    report = replay({"flywheel": SPEC}, read_tables(loans()), span, baselines=("static",))
    rows = [period["rows"] for period in report["arms"]["flywheel"]["periods"]]
    assert min(rows[:2]) > 150
    assert rows[-2:] == [0, 0]
    assert any("not judged" in note for note in report["notes"])
