"""Root mean squared error (RMSE), in the target's unit. Large errors weigh more than in MAE."""

import numpy as np
import numpy.typing as npt

from whorl.stats.arrays import Floats, rows_that_count
from whorl.stats.linear import Linear, mean_linear


def rmse(truth: npt.ArrayLike, prediction: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> float:
    """Square root of the weighted mean of (prediction - truth)^2; nan without rows.

    >>> round(rmse([3.0, 5.0], [2.0, 8.0]), 4)
    2.2361
    """
    return rmse_linear(*rows_that_count(truth, prediction, weight)).value


def rmse_linear(truth: Floats, prediction: Floats, weight: Floats) -> Linear:
    """RMSE with its terms, by the delta method: those of the mean square over twice the root."""
    square = mean_linear(np.square(prediction - truth), weight)
    root = float(np.sqrt(square.value))
    return Linear(root, square.terms / (2 * root) if root > 0 else square.terms, square.units)
