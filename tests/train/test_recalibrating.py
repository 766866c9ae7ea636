"""A model that exaggerates is recalibrated on rows its twin has not seen; one that does not is left alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from whorl.models.model import load_model
from whorl.records import ModelVersion
from whorl.stats.calibration.calibration import Identity
from whorl.train.calibrate import recalibration
from whorl.train.fit import fit
from whorl.train.rows import TrainingRows

ROWS = 6000


def rows_and_truth(seed: int = 0) -> tuple[TrainingRows, np.ndarray]:
    random = np.random.default_rng(seed)
    chance = random.beta(2, 3, ROWS)
    label = (random.random(ROWS) < chance).astype(float)
    columns = pa.table(
        {
            "id": [f"r{i}" for i in range(ROWS)],
            "time": pa.array(np.arange(ROWS), pa.timestamp("us", tz="UTC")),
            "label": pa.array(label > 0),
            "chance": chance,
        }
    )
    return TrainingRows(columns, label, np.ones(ROWS)), chance


class Says:
    """Answers with the true chance, or with an exaggeration of it."""

    def __init__(self, power: float) -> None:
        self.power = power
        self.learnt: list[TrainingRows] = []

    def fit(self, rows: TrainingRows) -> Any:
        self.learnt.append(rows)
        return self

    def predict(self, features: pa.Table) -> np.ndarray:
        odds = features["chance"].to_numpy() / (1 - features["chance"].to_numpy())
        return odds**self.power / (1 + odds**self.power)


def test_exaggeration_is_taken_back() -> None:
    rows, chance = rows_and_truth()
    model = Says(4.0)
    found = recalibration(rows, np.ones(ROWS, bool), model.fit, seed=0)
    fixed = found.apply(model.predict(rows.columns))
    assert np.abs(fixed - chance).mean() < 0.03 < np.abs(model.predict(rows.columns) - chance).mean()


def test_good_probabilities_are_left_alone() -> None:
    changed = 0
    for seed in range(10):
        rows, _ = rows_and_truth(seed)
        changed += recalibration(rows, np.ones(ROWS, bool), Says(1.0).fit, seed=seed) != Identity()
    assert changed <= 2


def test_the_twin_sees_none_of_the_rows_that_judge_it() -> None:
    rows, _ = rows_and_truth()
    mature = np.arange(ROWS) < 4000
    model = Says(4.0)
    assert recalibration(rows, mature, model.fit, seed=0) != Identity()
    learnt = {int(one[1:]) for one in model.learnt[0].columns["id"].to_pylist()}
    assert max(learnt) < 3000, "the younger quarter of the mature rows, and all after it, are kept away"
    assert 1900 < len(learnt) < 2100


def test_what_the_younger_rows_do_not_bear_out_is_left() -> None:
    """The past calls for less confidence, the present for none of it: a correction that came too late."""
    rows, chance = rows_and_truth()
    exaggerated = chance**4 / (chance**4 + (1 - chance) ** 4)
    now = np.random.default_rng(1).random(ROWS) < exaggerated
    label = np.where(np.arange(ROWS) < 4500, rows.target, now)
    changed = TrainingRows(rows.columns, label, rows.weight)
    assert recalibration(changed, np.ones(ROWS, bool), Says(4.0).fit, seed=0) == Identity()


@pytest.mark.parametrize("mature", [0, 700])
def test_too_few_mature_rows_change_nothing(mature: int) -> None:
    rows, _ = rows_and_truth()
    assert recalibration(rows, np.arange(ROWS) < mature, Says(4.0).fit, seed=0) == Identity()


EXAGGERATES = """
import numpy as np

def train(rows, out, *, seed, params):
    (out / "nothing.txt").write_text("")

class Model:
    def predict(self, table):
        x = 4 * table["x"].to_numpy()
        return 1 / (1 + np.exp(-x))

def load(folder):
    return Model()
"""


@pytest.mark.parametrize("calibrate", [True, False])
def test_through_a_whole_fit(bench: Callable[[str], Any], tmp_path: Path, calibrate: bool) -> None:
    name = f"exaggerates_{calibrate}".lower()
    (tmp_path / f"{name}.py").write_text(EXAGGERATES)
    random = np.random.default_rng(0)
    x = random.normal(size=4000)
    label = random.random(4000) < 1 / (1 + np.exp(-x))
    ws = bench(
        'name = "toy"\ntask = "binary"\n[schema.features]\nx = "float"\n[train]\n'
        f'trainer = "{name}:train"\nload = "{name}:load"\ncalibrate = {str(calibrate).lower()}\n'
    )
    version = fit(ws, ws.dataset({"x": x}, label.tolist()), "c", beside=tmp_path)
    assert isinstance(version, ModelVersion)
    told = load_model(version.uri, version.digest, ws.spec, beside=tmp_path).predict_row({"x": 1.0})[0]
    assert told == pytest.approx(0.731 if calibrate else 0.982, abs=0.03)
    assert any("recalibrated" in note for note in version.notes) == calibrate
