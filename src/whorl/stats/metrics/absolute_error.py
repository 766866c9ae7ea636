"""Mean absolute error (MAE), in the target's unit."""

import numpy as np
import numpy.typing as npt

from whorl.stats.arrays import Floats, rows_that_count, weighted_mean


def mae(truth: npt.ArrayLike, prediction: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> float:
    """Weighted mean of |prediction - truth|; nan without rows.

    >>> mae([3.0, 5.0], [2.0, 8.0])
    2.0
    """
    y, p, w = rows_that_count(truth, prediction, weight)
    return weighted_mean(absolute_errors(y, p), w)


def absolute_errors(truth: Floats, prediction: Floats) -> Floats:
    """The error of each row (n,)."""
    return np.abs(prediction - truth)
