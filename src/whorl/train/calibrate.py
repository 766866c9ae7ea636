"""Recalibrate a fit's probabilities on mature rows that a twin of it has not seen; nothing changes unless it helps.

The youngest quarter of the mature rows is kept from the twin, which is otherwise trained as the model is. What is chosen
on its answers is applied to the model. The choice itself is in `stats/calibration.py`.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from whorl.models.model import Model
from whorl.stats.calibration import MINIMUM_ROWS, Calibrator, Identity, choose
from whorl.stats.hashed_uniform import hashed_uniform
from whorl.train.rows import TrainingRows

HELD_OUT = 0.25

Fit: TypeAlias = Callable[[TrainingRows, str], Model]
"""(rows, name of the scratch folder) -> the model trained on them."""


def recalibration(rows: TrainingRows, mature: npt.NDArray[np.bool_], fit: Fit, *, seed: int) -> Calibrator:
    """What to apply to the model's probabilities.

    Args:
        rows: All that the model is trained on.
        mature: (n,) rows whose label is there and would not be another, were it looked at later.
        fit: Trains a twin.
        seed: Decides the folds of the choice.

    Returns:
        Identity when fewer than 200 mature rows can be held out, when a class is missing on one side, or when
        nothing lowers log loss.
    """
    held = mature & (hashed_uniform(rows.columns["id"].to_pylist(), f"calibrate/{seed}") < HELD_OUT)
    if held.sum() < MINIMUM_ROWS:
        return Identity()
    if not set(np.unique(rows.target[held])) <= set(np.unique(rows.target[~held])) or _one_class(rows, held):
        return Identity()
    twin = fit(rows.take(~held), "twin")
    judged = rows.take(held)
    return choose(judged.target, twin.predict(judged.columns), judged.weight, seed=seed)


def _one_class(rows: TrainingRows, held: npt.NDArray[np.bool_]) -> bool:
    return len(np.unique(rows.target[held])) < 2
