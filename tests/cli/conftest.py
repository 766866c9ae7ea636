"""A shop's extract and a workspace in which the wheel has turned twice, made once for all tests here."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
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


@pytest.fixture(scope="session")
def extract(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("extract") / "orders.csv"
    pyarrow.csv.write_csv(orders(), path)
    return path


@pytest.fixture(scope="session")
def turned(tmp_path_factory: pytest.TempPathFactory, extract: Path) -> Path:
    """A spec beside a workspace that took the extract in and turned twice, the second time with more orders."""
    spec = tmp_path_factory.mktemp("shop") / "flywheel.toml"
    spec.write_text(SPEC, encoding="utf-8")
    lines = extract.read_text(encoding="utf-8").splitlines(keepends=True)
    for number, part in enumerate((lines[:801], [lines[0], *lines[801:]])):
        path = spec.parent / f"part-{number}.csv"
        path.write_text("".join(part), encoding="utf-8")
        assert run("ingest", path, "--spec", spec).exit_code == 0
        turn = run("cycle", "run", "--spec", spec)
        assert turn.exit_code == 0, turn.output
    return spec
