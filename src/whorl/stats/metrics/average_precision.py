"""Average precision: the mean, over positives, of the precision at their score. The metric for rare positives."""

import numpy as np
import numpy.typing as npt

from whorl.stats.arrays import Floats, effective_rows, rows_that_count
from whorl.stats.linear import Linear, macro, small_sample, undefined


def average_precision(
    truth: npt.ArrayLike, prediction: npt.ArrayLike, weight: npt.ArrayLike | None = None
) -> float:
    """Area under the precision-recall curve by steps (no interpolation), tied scores taken together, weighted.

    With prediction (n, k): the mean over classes, each against the rest. nan when there is no positive or no negative
    (with no negative it is 1 whatever the scores say; multiclass: such classes are left out of the mean).
    Source: Davis & Goadrich (2006), ICML, on why not to interpolate.

    >>> round(average_precision([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]), 4)
    0.8333
    >>> average_precision([0, 0], [0.2, 0.9])
    nan
    """
    return average_precision_linear(*rows_that_count(truth, prediction, weight)).value


def average_precision_linear(truth: Floats, prediction: Floats, weight: Floats) -> Linear:
    """Average precision with its terms.

    With T(s), N(s) the weight of positives and of all rows scored >= s, and P of all positives, AP is the sum over
    positives i of w_i T_i/N_i / P. Counting row j more changes P if j is positive, and T and N of every positive
    scored no higher than j; `gain` and `loss` are those two sums, kept as running sums from the lowest score up.
    """
    if prediction.ndim == 2:
        return macro(average_precision_linear, truth, prediction, weight)
    positive = truth > 0.5
    if positive.all() or not positive.any():
        return undefined(len(truth))
    weight_1 = np.where(positive, weight, 0.0)
    total_1 = weight_1.sum()
    _, tie = np.unique(prediction, return_inverse=True)
    tied_1 = np.bincount(tie, weight_1)
    reached_1 = np.cumsum(tied_1[::-1])[::-1]
    reached = np.cumsum(np.bincount(tie, weight)[::-1])[::-1]
    precision = reached_1 / reached
    value = float(np.dot(tied_1, precision) / total_1)
    gain, loss = np.cumsum(tied_1 / reached), np.cumsum(tied_1 * precision / reached)
    units = min(effective_rows(weight_1), effective_rows(weight - weight_1))
    slope = np.where(positive, precision[tie] - value + gain[tie], 0.0) - loss[tie]
    return Linear(value, weight * slope / total_1 * small_sample(units), units)
