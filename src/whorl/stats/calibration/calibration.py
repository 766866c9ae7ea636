"""Choose a recalibrator for a model's probabilities, or none: nothing is changed unless held-out rows say that it helps.

The methods are in `platt.py`, `isotonic.py` (binary) and `temperature.py` (multiclass). A recalibrator is a few numbers,
JSON-able as it is, and keeps the order of scores (isotonic: makes ties), so that AUC has nothing to lose.
"""

from collections.abc import Callable
from math import sqrt
from typing import TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from whorl.stats.arrays import Floats, Indices, groups_that_count, rows_that_count
from whorl.stats.calibration.isotonic import Isotonic, fit_isotonic
from whorl.stats.calibration.platt import Platt, fit_platt
from whorl.stats.calibration.temperature import Temperature, fit_temperature
from whorl.stats.linear import mean_linear, variance
from whorl.stats.metrics.log_loss import log_losses

FOLDS = 5
MINIMUM_ROWS = 200


class Identity(msgspec.Struct, frozen=True, tag="identity"):
    """The probabilities as they are."""

    def apply(self, probability: Floats) -> Floats:
        return probability


Calibrator: TypeAlias = Identity | Platt | Temperature | Isotonic
"""Encode with msgspec.json.encode(it); decode with msgspec.json.decode(data, type=Calibrator)."""

_Fit: TypeAlias = Callable[[Floats, Floats, Floats], Platt | Temperature | Isotonic | None]


def choose(
    truth: npt.ArrayLike,
    probability: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    *,
    group: npt.ArrayLike | None = None,
    minimum_rows: int = MINIMUM_ROWS,
    seed: int = 0,
) -> Calibrator:
    """The recalibrator of least log loss on held-out folds; Identity unless one gains more than its standard error.

    Args:
        truth: (n,) 0 or 1, or the class index. Rows the model was not fitted on, and whose labels are mature.
        probability: (n,) of the positive class, or (n, k).
        weight: (n,); None: all 1.
        group: (n,) any values; a group stays in one fold.
        minimum_rows: Below this, Identity.
        seed: Decides the folds.

    Raises:
        ValueError: Arrays that do not fit, negative weights, nan rows.

    Source: Breiman et al. (1984), Classification and Regression Trees, section 3.4, for the rule of one standard error.

    >>> random = np.random.default_rng(0)
    >>> real = random.random(2000)
    >>> label = random.random(2000) < real
    >>> overconfident = real**2 / (real**2 + (1 - real) ** 2)
    >>> choose(label, real), type(choose(label, overconfident)).__name__
    (Identity(), 'Platt')
    >>> msgspec.json.encode(choose([0, 1], [0.2, 0.7]))
    b'{"type":"identity"}'
    """
    y, p, w = rows_that_count(truth, probability, weight)
    if len(y) < minimum_rows:
        return Identity()
    grouped = groups_that_count(group, weight, len(y))
    unit = np.arange(len(y)) if grouped is None else grouped
    fold = np.random.default_rng(seed).permutation(int(unit.max()) + 1)[unit] % FOLDS
    methods: tuple[_Fit, ...] = (fit_platt, fit_isotonic) if p.ndim == 1 else (fit_temperature,)
    best: Calibrator = Identity()
    most, before = 0.0, log_losses(y, p)
    for method in methods:
        after = _held_out_losses(method, y, p, w, fold)
        fitted = method(y, p, w)
        if after is None or fitted is None:
            continue
        gain = mean_linear(before - after, w)
        if gain.value > max(most, sqrt(variance(gain.terms, grouped))):
            best, most = fitted, gain.value
    return best


def _held_out_losses(
    method: _Fit, truth: Floats, probability: Floats, weight: Floats, fold: Indices
) -> Floats | None:
    """Log loss (n,) of each row, recalibrated by a fit on the other folds; None where one of the fits is not possible."""
    losses = np.empty(len(truth))
    for k in range(FOLDS):
        held, rest = fold == k, fold != k
        fitted = method(truth[rest], probability[rest], weight[rest])
        if fitted is None:
            return None
        losses[held] = log_losses(truth[held], fitted.apply(probability[held]))
    return losses
