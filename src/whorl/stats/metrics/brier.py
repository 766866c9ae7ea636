"""Brier score: squared error of probabilities. Bounded, so that no single row decides it as it can log loss."""

import numpy as np
import numpy.typing as npt

from whorl.stats.arrays import Floats, rows_that_count, truth_probability, weighted_mean


def brier(truth: npt.ArrayLike, prediction: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> float:
    """Weighted mean squared error of the probabilities, in [0, 1]; nan without rows.

    Multiclass: half the sum over classes, so that two columns give the binary figure.
    Source: Brier (1950), Monthly Weather Review 78:1-3.

    >>> round(brier([1, 0], [0.9, 0.2]), 4), round(brier([1, 0], [[0.1, 0.9], [0.8, 0.2]]), 4)
    (0.025, 0.025)
    """
    y, p, w = rows_that_count(truth, prediction, weight)
    return weighted_mean(brier_losses(y, p), w)


def brier_losses(truth: Floats, prediction: Floats) -> Floats:
    """The loss of each row (n,)."""
    if prediction.ndim == 1:
        return np.square(prediction - truth)
    true = truth_probability(truth, prediction)
    loss: Floats = (np.square(prediction).sum(axis=1) - 2 * true + 1) / 2
    return loss
