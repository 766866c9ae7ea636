"""Which labels are probably wrong: rows that a model which never saw them is sure belong to another class.

Source: Northcutt, Jiang & Chuang (2021), "Confident Learning", JAIR 70:1373-1411, off-diagonal rows of the confident joint.
"""

import numpy as np
import numpy.typing as npt

from whorl.stats.arrays import Floats, Indices


def class_thresholds(label: Indices, probability: Floats, weight: Floats | None = None) -> Floats:
    """How sure (k,) the model is on average, by weight (n,), of each class where it is the label; infinite where it never is.

    >>> class_thresholds(np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])).round(2).tolist()
    [0.9, 0.6]
    """
    classes = probability.shape[1]
    w = np.ones(len(label)) if weight is None else weight
    n = np.bincount(label, w, minlength=classes)
    total = np.bincount(label, w * probability[np.arange(len(label)), label], minlength=classes)
    threshold: Floats = np.where(n > 0, total / np.where(n > 0, n, 1.0), np.inf)
    return threshold


def label_errors(label: Indices, probability: Floats, threshold: Floats) -> npt.NDArray[np.bool_]:
    """Rows (n,) whose likeliest class among those that reach their threshold is not the label.

    Args:
        label: (n,) class of each row.
        probability: (n, k) by a model that was not fitted on the row.
        threshold: (k,) from `class_thresholds`; those of one period serve to compare another with it.

    >>> label_errors(np.array([0, 1]), np.array([[0.1, 0.9], [0.2, 0.8]]), np.array([0.6, 0.7])).tolist()
    [True, False]
    """
    sure = np.where(probability >= threshold, probability, -1.0)
    wrong: npt.NDArray[np.bool_] = (sure.max(axis=1) >= 0) & (sure.argmax(axis=1) != label)
    return wrong
