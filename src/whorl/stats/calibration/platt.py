"""Platt scaling: recalibrate a binary probability by a straight line on its logit. Two parameters; keeps the order."""

import msgspec
import numpy as np

from whorl.stats.arrays import Floats
from whorl.stats.calibration.logistic_line import logistic_line, sigmoid


class Platt(msgspec.Struct, frozen=True, tag="platt"):
    """sigmoid(slope * logit(p) + intercept)."""

    slope: float
    intercept: float

    def apply(self, probability: Floats) -> Floats:
        """Recalibrated probabilities (n,).

        >>> Platt(slope=0.5, intercept=0.0).apply(np.array([0.5, 0.9])).round(3).tolist()
        [0.5, 0.75]
        """
        return sigmoid(self.slope * logit(probability) + self.intercept)


def fit_platt(truth: Floats, probability: Floats, weight: Floats) -> Platt | None:
    """The line that minimises log loss against Platt's softened targets, (n1 + 1)/(n1 + 2) and 1/(n0 + 2).

    None where no rising line can be found: one class, one probability, or an order worse than chance.
    Source: Platt (1999), Advances in Large Margin Classifiers 61-74.

    >>> fit = fit_platt(np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.1, 0.2, 0.4, 0.6]), np.ones(4))
    >>> fit is not None and fit.slope > 0
    True
    >>> fit_platt(np.ones(4), np.array([0.1, 0.2, 0.4, 0.6]), np.ones(4)) is None
    True
    """
    positive = truth > 0.5
    if positive.all() or not positive.any():
        return None
    weight_1, weight_0 = float(weight[positive].sum()), float(weight[~positive].sum())
    target = np.where(positive, (weight_1 + 1) / (weight_1 + 2), 1 / (weight_0 + 2))
    slope, intercept = logistic_line(logit(probability), target, weight)
    return Platt(slope, intercept) if slope > 0 else None


def logit(probability: Floats) -> Floats:
    """log(p / (1 - p)), p clipped to [1e-15, 1 - 1e-15]."""
    p = np.clip(probability, 1e-15, 1 - 1e-15)
    odds: Floats = np.log(p) - np.log1p(-p)
    return odds
