"""Accuracy: the share of rows where the likeliest class is the true one."""

import numpy as np
import numpy.typing as npt

from whorl.stats.arrays import Floats, rows_that_count, weighted_mean


def accuracy(truth: npt.ArrayLike, prediction: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> float:
    """Weighted share of hits: probability >= 0.5 taken as 1 (binary), first largest column (multiclass); nan without rows.

    >>> accuracy([1, 0, 1, 0], [0.9, 0.2, 0.4, 0.1])
    0.75
    >>> accuracy([], [])
    nan
    """
    y, p, w = rows_that_count(truth, prediction, weight)
    return weighted_mean(hits(y, p), w)


def hits(truth: Floats, prediction: Floats) -> Floats:
    """1.0 where the likeliest class is the true one, else 0.0; (n,). Of answers (n, 0), which know no class, none is.

    >>> hits(np.array([0.0, 1.0]), np.empty((2, 0))).tolist()
    [0.0, 0.0]
    """
    if prediction.ndim == 2 and not prediction.shape[1]:
        return np.zeros(len(truth))
    said = prediction >= 0.5 if prediction.ndim == 1 else prediction.argmax(axis=1)
    hit: Floats = (said == truth).astype(np.float64)
    return hit
