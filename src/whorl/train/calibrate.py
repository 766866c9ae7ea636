"""Recalibrate a fit's probabilities on rows that a twin of it has not seen; nothing changes unless it helps, and lasts.

The twin is trained as the model is (with what its searches found), on the older part of the rows less a third drawn at
random. On that third the choice is made (`stats/calibration/calibration.py`): the same weeks, so that it corrects the learner and not
the times. Then it has to lower log loss on the younger rows. Rows of the same weeks are often near copies of each other,
and call for more confidence than the future bears out; the younger rows alone call for what the model, which has seen
them, already knows. Each of the two by itself did harm (docs/experiments.md).
"""

from collections.abc import Callable
from math import sqrt
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from whorl.models.model import Model
from whorl.stats.arrays import Floats
from whorl.stats.calibration.calibration import MINIMUM_ROWS, Calibrator, Identity, choose
from whorl.stats.linear import mean_linear, variance
from whorl.stats.metrics.log_loss import log_losses
from whorl.train.rows import TrainingRows

YOUNGER, CHOSEN_ON = 0.25, 1 / 3
MOST_JUDGED, MOST_LEARNT = 20_000, 200_000
SURE = 2.0
_OWN_STREAM = (
    1  # The trainer draws by the seed as well; which rows it takes must not decide which are judged.
)

Fit: TypeAlias = Callable[[TrainingRows], Model]
"""The model trained on some rows."""


def recalibration(rows: TrainingRows, mature: npt.NDArray[np.bool_], fit: Fit, *, seed: int) -> Calibrator:
    """What to apply to the model's probabilities.

    Args:
        rows: All that the model is trained on.
        mature: (n,) rows whose label is there and would not be another, were it looked at later.
        fit: Trains a twin.
        seed: Decides which rows are drawn: they are in one order, that of their dataset.

    Returns:
        Identity when fewer than 200 mature rows are left to choose on, or to judge by; when one class only is left; when
        nothing lowers log loss by more than its standard error among the older rows, and twice that among the younger.
    """
    if not mature.any():
        return Identity()
    drawn = np.random.default_rng([seed, _OWN_STREAM]).random(len(rows))
    young = rows.seconds > np.quantile(rows.seconds[mature], 1 - YOUNGER)
    chosen_on = ~young & mature & (drawn < CHOSEN_ON)
    learnt = _some(rows, ~young & ~chosen_on, drawn, MOST_LEARNT)
    older, younger = (_some(rows, part & mature, drawn, MOST_JUDGED) for part in (chosen_on, young))
    if min(len(older), len(younger)) < MINIMUM_ROWS or len(np.unique(learnt.target)) < 2:
        return Identity()
    twin = fit(learnt)
    found = choose(older.target, twin.predict(older.columns), older.weight, seed=seed)
    return found if _helps(found, younger, twin.predict(younger.columns)) else Identity()


def _some(rows: TrainingRows, part: npt.NDArray[np.bool_], drawn: Floats, most: int) -> TrainingRows:
    """Rows of a part, at most so many, drawn at random."""
    places = np.flatnonzero(part)
    return rows.take(np.sort(places[np.argsort(drawn[places], kind="stable")[:most]]))


def _helps(found: Calibrator, judges: TrainingRows, answers: Floats) -> bool:
    before, after = (log_losses(judges.target, said) for said in (answers, found.apply(answers)))
    gain = mean_linear(before - after, judges.weight)
    return gain.value > SURE * sqrt(variance(gain.terms))
