"""Recalibrate a fit's probabilities on mature rows that a twin of it has not seen; nothing changes unless it helps.

A quarter of the mature rows, drawn at random, is kept from the twin, which is otherwise trained as the model is. What is
chosen on its answers (`stats/calibration.py`) is applied to the model. Drawn at random, not the youngest: a twin that
has not seen the youngest rows errs in its own way about them, and correcting the model for that did harm. And as the past
may call for what the present does not, the choice has to help the youngest of the rows when it is made on the others.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from whorl.models.model import Model
from whorl.stats.arrays import Floats
from whorl.stats.calibration import MINIMUM_ROWS, Calibrator, Identity, choose
from whorl.stats.hashed_uniform import hashed_uniform
from whorl.stats.log_loss import log_loss
from whorl.train.rows import TrainingRows

HELD_OUT, MOST_HELD, MOST_LEARNT = 0.25, 20_000, 200_000

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
        Identity when fewer than 200 mature rows can be held out, when one class only is left, when nothing lowers
        log loss by more than chance, or when it does not last.
    """
    drawn = hashed_uniform(rows.columns["id"].to_pylist(), f"calibrate/{seed}")
    order = np.argsort(drawn, kind="stable")
    kept = mature & (drawn < HELD_OUT)
    learnt = rows.take(np.sort(order[~kept[order]][:MOST_LEARNT]))
    held = order[kept[order]][:MOST_HELD]
    judged = rows.take(held[np.isin(rows.target[held], learnt.target)])
    if len(judged) < MINIMUM_ROWS or len(np.unique(learnt.target)) < 2:
        return Identity()
    answers = fit(learnt, "twin").predict(judged.columns)
    if not _lasts(judged, answers, seed):
        return Identity()
    return choose(judged.target, answers, judged.weight, seed=seed)


def _lasts(judged: TrainingRows, answers: Floats, seed: int) -> bool:
    """Whether what the older two thirds of the rows call for lowers the log loss of the youngest third."""
    order = np.argsort(judged.seconds, kind="stable")
    older, youngest = np.split(order, [2 * len(order) // 3])
    minimum = MINIMUM_ROWS // 2
    found = choose(
        judged.target[older], answers[older], judged.weight[older], minimum_rows=minimum, seed=seed
    )
    truth, weight = judged.target[youngest], judged.weight[youngest]
    return log_loss(truth, found.apply(answers[youngest]), weight) < log_loss(
        truth, answers[youngest], weight
    )
