"""Area under the ROC curve: the chance that a positive is scored above a negative, ties counting half."""

import numpy as np
import numpy.typing as npt

from whorl.stats.arrays import Floats, effective_rows, rows_that_count
from whorl.stats.linear import Linear, macro, small_sample, undefined


def auc(truth: npt.ArrayLike, prediction: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> float:
    """ROC AUC, weighted; ties by mid-ranks. With prediction (n, k): the mean over classes, each against the rest.

    nan when one class is missing (multiclass: classes that are missing are left out of the mean).
    Source: Hanley & McNeil (1982), Radiology 143:29-36; macro one-vs-rest as in Provost & Domingos (2000).

    >>> auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    >>> auc([1, 1], [0.2, 0.9])
    nan
    """
    return auc_linear(*rows_that_count(truth, prediction, weight)).value


def auc_linear(truth: Floats, prediction: Floats, weight: Floats) -> Linear:
    """AUC with DeLong's structural components as terms: their sum of squares is his variance.

    Source: DeLong, DeLong & Clarke-Pearson (1988), Biometrics 44:837-845; in n log n as Sun & Xu (2014).
    """
    if prediction.ndim == 2:
        return macro(auc_linear, truth, prediction, weight)
    positive = truth > 0.5
    if positive.all() or not positive.any():
        return undefined(len(truth))
    weight_1, weight_0 = np.where(positive, weight, 0.0), np.where(positive, 0.0, weight)
    total_1, total_0 = weight_1.sum(), weight_0.sum()
    _, tie = np.unique(prediction, return_inverse=True)
    tied_1, tied_0 = np.bincount(tie, weight_1), np.bincount(tie, weight_0)
    below = (np.cumsum(tied_0) - tied_0 / 2) / total_0
    above = (total_1 - np.cumsum(tied_1) + tied_1 / 2) / total_1
    value = float(np.dot(tied_1, below) / total_1)
    units_1, units_0 = effective_rows(weight_1), effective_rows(weight_0)
    terms = np.where(
        positive,
        weight * (below[tie] - value) / total_1 * small_sample(units_1),
        weight * (above[tie] - value) / total_0 * small_sample(units_0),
    )
    return Linear(value, terms, min(units_1, units_0))
