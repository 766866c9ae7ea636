"""A company's payments in its own shape, and the spec of a flywheel for them. Small, seeded, made on the spot."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

BEGIN = datetime(2025, 1, 1, tzinfo=UTC)
SHOPS = ("books", "games", "shoes")


def spec_text(*sections: str, automation: str = "full", gates: str = "[]", train: str = "") -> str:
    """A flywheel.toml; `train` and `gates` are TOML, `sections` are appended."""
    more = "\n".join(sections)
    return f"""
name = "fraud"
task = "binary"
automation = "{automation}"

[schema]
id = "id"
time = "time"
score = "score"
model_version = "model"
label = "is_fraud"
label_time = "known_at"

[schema.features]
amount = "float"
age = "float"
shop = "category"

[curate]
holdout_share = 0.3
budget = 200

[train]
{train or "params = { num_iterations = 20 }"}
calibrate = false

[evaluate]
window = "36500d"
gates = {gates}

{more}
"""


def payments(
    rows: int, *, seed: int = 0, first: int = 0, begin: datetime = BEGIN, days: float = 60.0
) -> list[dict[str, Any]]:
    """Payments with their truth, in order of time: fraud is known after a day, its absence after three.

    Whoever scored them looked at the age only, and so is easily beaten: fraud goes by the amount.
    """
    random = np.random.default_rng(seed)
    amount, age = random.normal(size=rows), random.normal(size=rows)
    fraud = random.random(rows) < 1 / (1 + np.exp(-3 * amount - 0.5 * age))
    shop = random.choice(SHOPS, rows)
    at = np.sort(random.uniform(0, days, rows))
    return [
        {
            "id": f"p{first + n:05d}",
            "time": (begin + timedelta(days=float(at[n]))).isoformat(),
            "amount": float(amount[n]),
            "age": float(age[n]),
            "shop": str(shop[n]),
            "score": float(1 / (1 + np.exp(-age[n]))),
            "model": "scorecard-7",
            "is_fraud": bool(fraud[n]),
            "known_at": (begin + timedelta(days=float(at[n]) + (1 if fraud[n] else 3))).isoformat(),
        }
        for n in range(rows)
    ]


PREDICTION = ("id", "time", "amount", "age", "shop", "score", "model")
LABEL = ("id", "is_fraud", "known_at")


def only(rows: list[dict[str, Any]], fields: tuple[str, ...]) -> list[dict[str, Any]]:
    """The rows as far as these fields go: predictions, or the truth about them."""
    return [{name: row[name] for name in fields} for row in rows]
