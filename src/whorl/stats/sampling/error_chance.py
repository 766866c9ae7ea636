"""A working model of where a classifier errs: the chance of an error, given how much doubt the classifier has.

A logistic curve over two views of doubt: its logit (right for a calibrated model) and its rank (right for one whose
numbers mean nothing but whose order does). The prior says that errors rise with doubt, and keeps a fit possible from few
labels, or from labels that are all right or all wrong. An estimate that leans on it for its variance stays unbiased where
it is wrong.
"""

from typing import NamedTuple

import numpy as np

from whorl.stats.arrays import Floats, weighted_mean
from whorl.stats.calibration.logistic_line import sigmoid

# Standard normal around a slope of 1 per standard deviation of either view; the level is left to the data.
PRIOR_SLOPE = 1.0
PRIOR_PRECISION = 1.0
LEVEL_PRECISION = 0.01
CERTAIN = 1e-4
# Logits beyond this are chances that no sum can tell from 0 or 1.
FURTHEST_LOGIT = 60.0


class ErrorCurve(NamedTuple):
    """Logit of the chance of an error: level + slopes x views of doubt."""

    level: float
    slopes: tuple[float, float]

    def logit(self, view: Floats) -> Floats:
        """Logits (n,) for views (n, 2)."""
        logit: Floats = self.level + view @ np.asarray(self.slopes)
        return logit


def views_of_doubt(doubt: Floats, weight: Floats) -> Floats:
    """Both views (n, 2), centred and scaled over the rows that the weights stand for; ties share their rank.

    Args:
        doubt: (n,) in [0, 0.5].
        weight: (n,) positive: how many rows each stands for.

    >>> views_of_doubt(np.array([0.1, 0.1, 0.4]), np.ones(3)).round(2).tolist()
    [[-0.71, -0.58], [-0.71, -0.58], [1.41, 1.15]]
    """
    safe = np.clip(doubt, CERTAIN, 1 - CERTAIN)
    logit = np.log(safe / (1 - safe))
    logit = logit - weighted_mean(logit, weight)
    spread = np.sqrt(weighted_mean(logit**2, weight))
    # Ranks of a uniform have a standard deviation of 1 / sqrt(12).
    rank = (rank_share(doubt, weight) - 0.5) * np.sqrt(12)
    return np.column_stack([logit / spread if spread > 1e-9 else np.zeros(len(doubt)), rank])


def rank_share(value: Floats, weight: Floats) -> Floats:
    """Share (n,) of the weight that lies below each value, ties half below.

    >>> rank_share(np.array([3.0, 1.0, 1.0, 2.0]), np.ones(4)).tolist()
    [0.875, 0.25, 0.25, 0.625]
    """
    inverse = np.unique(value, return_inverse=True)[1]
    of_value = np.bincount(inverse, weights=weight)
    middle: Floats = ((np.cumsum(of_value) - of_value / 2) / weight.sum())[inverse]
    return middle


def fit_error_curve(error: Floats, view: Floats) -> ErrorCurve:
    """The curve of greatest posterior density, by Newton's method.

    Args:
        error: (n,) 1 where the classifier was wrong, else 0; n may be 0, the prior is the answer then.
        view: (n, 2) from `views_of_doubt`.

    >>> curve = fit_error_curve(np.array([0.0, 0.0, 1.0]), views_of_doubt(np.array([0.1, 0.2, 0.4]), np.ones(3)))
    >>> curve.slopes[0] > 1
    True
    """
    columns = np.column_stack([np.ones(len(view)), view])
    precision = np.array([LEVEL_PRECISION, PRIOR_PRECISION, PRIOR_PRECISION])
    middle = np.array([0.0, PRIOR_SLOPE, PRIOR_SLOPE])
    found = middle.copy()

    def loss(at: Floats) -> float:
        logit = columns @ at
        return float(
            np.sum(np.logaddexp(0.0, logit) - error * logit) + np.dot(precision, (at - middle) ** 2) / 2
        )

    for _ in range(100):
        chance = sigmoid(columns @ found)
        gradient = columns.T @ (error - chance) - precision * (found - middle)
        curvature = (columns * (chance * (1 - chance))[:, None]).T @ columns + np.diag(precision)
        step = np.linalg.solve(curvature, gradient)
        while np.abs(step).max() >= 1e-8 and loss(found + step) > loss(found):
            step = step / 2
        found = found + step
        if np.abs(step).max() < 1e-8:
            break
    return ErrorCurve(float(found[0]), (float(found[1]), float(found[2])))


def at_rate(curve: ErrorCurve, view: Floats, weight: Floats, rate: float) -> Floats:
    """Chances (n,) of the curve, its level moved so that their weighted mean is the rate.

    >>> view = views_of_doubt(np.array([0.1, 0.2, 0.4]), np.ones(3))
    >>> round(float(at_rate(ErrorCurve(0.0, (1.0, 1.0)), view, np.ones(3), 0.2).mean()), 6)
    0.2
    """
    logit, low, high = curve.logit(view), -2 * FURTHEST_LOGIT, 2 * FURTHEST_LOGIT
    for _ in range(50):
        shift = (low + high) / 2
        below = weighted_mean(sigmoid(logit + shift), weight) < rate
        low, high = (shift, high) if below else (low, shift)
    return sigmoid(logit + (low + high) / 2)
