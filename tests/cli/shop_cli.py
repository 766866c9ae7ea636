"""A shop to try the commands on: its spec, its orders, and how a command is run."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from typer.testing import CliRunner, Result

from whorl.cli.app import app

SPEC = """
name = "shop"
task = "binary"
automation = "full"

[schema]
id = "order_id"
time = "created_at"
score = "score"
label = "is_fraud"
label_time = "label_time"

[schema.features]
amount = "float"
age = "float"
shop = "category"

[curate]
holdout_share = 0.2
budget = 50
[[curate.rules]]
name = "missed"
when = "score < 0.5 and label"

[train]
params = { num_iterations = 20 }
calibrate = false

[evaluate]
window = "36500d"
gates = []
"""
ROWS = 1500


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def orders() -> pa.Table:
    """A hundred days of orders from 2025-01-01 on; fraud becomes known after a day, its absence after ten."""
    rng = np.random.default_rng(7)
    days = np.sort(rng.uniform(0, 100, ROWS))
    amount, age = rng.normal(size=ROWS), rng.normal(size=ROWS)
    fraud = rng.random(ROWS) < 1 / (1 + np.exp(-2 * amount - age))
    start = np.datetime64("2025-01-01", "us")

    def times(at: np.ndarray) -> pa.Array:
        return pa.array(start + (at * 86_400e6).astype("timedelta64[us]"), pa.timestamp("us", tz="UTC"))

    return pa.table(
        {
            "order_id": [f"order-{n:05d}" for n in range(ROWS)],
            "created_at": times(days),
            "amount": amount,
            "age": age,
            "shop": [f"shop-{n % 3}" for n in range(ROWS)],
            "score": pa.array(np.round(1 / (1 + np.exp(-amount)), 4)),
            "is_fraud": fraud,
            "label_time": times(days + np.where(fraud, 1, 10)),
        }
    )
