"""What every figure here is computed on: truth, prediction and weight as aligned float arrays.

Binary: truth 0 or 1, prediction (n,) the probability of 1. Multiclass: truth the class index, prediction (n, k); a truth
outside 0..k-1 is a class the model does not know, to which it gave probability 0. Regression: both (n,) numbers.
"""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Indices: TypeAlias = npt.NDArray[np.intp]


def rows_that_count(
    truth: npt.ArrayLike, prediction: npt.ArrayLike, weight: npt.ArrayLike | None = None
) -> tuple[Floats, Floats, Floats]:
    """Truth (n,), prediction (n,) or (n, k) and weight (n,) as float64, without the rows of weight 0.

    Raises:
        ValueError: Lengths differ, a weight is negative or not finite, or a truth or prediction that counts is nan.
            Missing is not undefined: who leaves rows out has to count them.

    >>> [a.tolist() for a in rows_that_count([1, 0, 1], [0.9, 0.2, float("nan")], [1, 2, 0])]
    [[1.0, 0.0], [0.9, 0.2], [1.0, 2.0]]
    """
    y = np.asarray(truth, dtype=np.float64)
    p = np.asarray(prediction, dtype=np.float64)
    w = np.ones(len(y)) if weight is None else np.asarray(weight, dtype=np.float64)
    if y.ndim != 1 or w.ndim != 1 or p.ndim not in (1, 2) or not len(y) == len(p) == len(w):
        raise ValueError(f"Truth, prediction and weight do not fit: shapes {y.shape}, {p.shape}, {w.shape}.")
    if not (np.isfinite(w).all() and (w >= 0).all()):
        raise ValueError("A weight is negative or not finite.")
    if not w.all():
        counts = w > 0
        y, p, w = y[counts], p[counts], w[counts]
    missing = int(np.isnan(y).sum() + np.isnan(p).sum())
    if missing:
        raise ValueError(
            f"{missing} values of truth or prediction are nan. Leave those rows out, and count them."
        )
    return y, p, w


def weighted_mean(value: Floats, weight: Floats) -> float:
    """Sum of weight x value over sum of weight; nan without rows or weight.

    >>> weighted_mean(np.array([1.0, 4.0]), np.array([2.0, 1.0]))
    2.0
    """
    total = float(weight.sum())
    return float(np.dot(weight, value) / total) if total > 0 else float("nan")


def effective_rows(weight: Floats) -> float:
    """How many equally weighted rows tell as much: (sum w)^2 / sum w^2; 0 without weight. Source: Kish (1965).

    >>> effective_rows(np.array([1.0, 1.0, 1.0, 1.0])), round(effective_rows(np.array([9.0, 1.0, 1.0, 1.0])), 2)
    (4.0, 1.71)
    """
    square = float(np.dot(weight, weight))
    return float(weight.sum()) ** 2 / square if square > 0 else 0.0


def truth_probability(truth: Floats, prediction: Floats) -> Floats:
    """The probability (n,) that each row's prediction gave to what came true; 0 for a class the model does not know.

    >>> truth_probability(np.array([1.0, 0.0]), np.array([0.9, 0.2])).tolist()
    [0.9, 0.8]
    >>> truth_probability(np.array([2.0, 3.0]), np.array([[0.1, 0.2, 0.7], [0.3, 0.3, 0.4]])).tolist()
    [0.7, 0.0]
    """
    if prediction.ndim == 1:
        return np.where(truth > 0.5, prediction, 1.0 - prediction)
    classes = prediction.shape[1]
    known = (truth >= 0) & (truth < classes)
    chosen = prediction[np.arange(len(truth)), np.where(known, truth, 0).astype(np.intp)]
    return np.where(known, chosen, 0.0)


def codes(group: npt.ArrayLike) -> Indices:
    """Groups as whole numbers 0, 1, ...: whole numbers in their own order, other hashable values as they first appear.

    >>> codes(["u7", "u2", "u7"]).tolist(), codes([30, 10, 30]).tolist()
    ([0, 1, 0], [1, 0, 1])
    """
    values = np.asarray(group)
    if values.dtype.kind in "iu":
        numbers: Indices = np.unique(values, return_inverse=True)[1]
        return numbers
    seen: dict[object, int] = {}
    return np.fromiter(
        (seen.setdefault(value, len(seen)) for value in values.tolist()), dtype=np.intp, count=len(values)
    )


def groups_that_count(group: npt.ArrayLike | None, weight: npt.ArrayLike | None, rows: int) -> Indices | None:
    """Group numbers of the rows of positive weight. Raises ValueError when there are not as many as rows.

    >>> groups_that_count(["u7", "u2", "u7"], [1, 0, 2], 2).tolist()
    [0, 0]
    """
    if group is None:
        return None
    values = np.asarray(group)
    numbers = codes(values if weight is None else values[np.asarray(weight) > 0])
    if len(numbers) != rows:
        raise ValueError(f"Group has {len(numbers)} rows that count, truth has {rows}.")
    return numbers
