"""Small rows for small models: what the tests of every format learn from."""

from typing import Any

import numpy as np
import pyarrow as pa

from whorl.train.rows import TrainingRows

COLORS = ["red", "green", "blue"]


def features(rows: int, seed: int = 0) -> pa.Table:
    """amount (float, some null), color (category, some null), repeat (bool), note (text)."""
    random = np.random.default_rng(seed)
    amount = random.normal(size=rows)
    color = random.choice(COLORS, rows)
    words = np.where(color == "red", "angry letter", "kind regards")
    return pa.table(
        {
            "amount": pa.array(amount, mask=random.random(rows) < 0.1),
            "color": pa.array(color, mask=random.random(rows) < 0.1),
            "repeat": pa.array(random.random(rows) < 0.5),
            "note": pa.array([f"{word} {i % 7}" for i, word in enumerate(words)]),
        }
    )


def training_rows(table: pa.Table, target: Any) -> TrainingRows:
    rows = len(table)
    columns = pa.table(
        {
            "id": [f"r{i}" for i in range(rows)],
            "time": pa.array(np.arange(rows) * 1_000_000, pa.timestamp("us", tz="UTC")),
            "label": pa.array(target),
            **{name: table[name] for name in table.column_names},
        }
    )
    return TrainingRows(columns, np.asarray(target, dtype=np.float64), np.ones(rows))
