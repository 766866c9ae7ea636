"""How well one feature alone tells the label, looked at in two halves of time. Pure arithmetic; who objects is in `leak.py`.

A feature is seen as an order (missing below or above all else) and, when it has few values, as levels. Levels are scored
by what they meant in the *other* half, so that an id, each value of which is new, tells nothing.
"""

from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np
from scipy.stats import rankdata

from whorl.records import Task
from whorl.stats.arrays import Floats, Indices
from whorl.stats.metrics.auc import auc

LEAST_PER_CLASS = 20
_MOST_NUMBER_LEVELS = 50

_Agreement: TypeAlias = Callable[[Floats, Floats], float]


def telling(values: Floats, levels: bool, target: Floats, task: Task) -> float:
    """AUC (classes) or |correlation| (regression) that the feature reaches in both halves by itself.

    Args:
        values: (n,) in order of time; numbers, or codes of levels; nan is missing.
        levels: The values are codes: their order means nothing.
        target: (n,) as trainers get it.
        task: Binary: the AUC. Multiclass: the least AUC of a class against the rest. Regression: the greater of
            Pearson's and Spearman's.

    Returns:
        The lower half's figure, at the feature's best view; nan with fewer than 20 rows of a class (regression: 40
        rows) in a half, where perfection can be luck.

    >>> label = np.tile([0.0, 1.0], 100)
    >>> telling(label * 3 + 5, False, label, "binary"), round(telling(np.arange(200.0), True, label, "binary"), 2)
    (1.0, 0.5)
    """
    half = len(values) // 2
    first, second = slice(0, half), slice(half, None)
    if task == "multiclass":
        classes = [c for c in np.unique(target) if _enough(target == c, half)]
        if len(classes) < 2:
            return float("nan")
        return min(_best(values, levels, (target == c).astype(np.float64), half, _rank_auc) for c in classes)
    if task == "binary":
        return _best(values, levels, target, half, _rank_auc) if _enough(target == 1, half) else float("nan")
    if half < 2 * LEAST_PER_CLASS or np.ptp(target[first]) == 0 or np.ptp(target[second]) == 0:
        return float("nan")
    return _best(values, levels, target, half, _correlation)


def _enough(member: np.ndarray, half: int) -> bool:
    parts = (member[:half], member[half:])
    return all(min(int(part.sum()), int((~part).sum())) >= LEAST_PER_CLASS for part in parts)


def _best(values: Floats, levels: bool, target: Floats, half: int, agreement: _Agreement) -> float:
    """The best view's figure: the worse of its two halves, in the better of its two directions."""
    best = 0.0
    for view in _views(values, levels, target, half):
        parts = [agreement(view[:half], target[:half]), agreement(view[half:], target[half:])]
        best = max(best, min(parts), -max(parts))
    return 0.5 + best / 2 if agreement is _rank_auc else best


def _views(values: Floats, levels: bool, target: Floats, half: int) -> Iterator[Floats]:
    if not levels:
        yield np.where(np.isnan(values), -np.inf, values)
        yield np.where(np.isnan(values), np.inf, values)
    known, place = np.unique(values, return_inverse=True)
    if levels or len(known) <= _MOST_NUMBER_LEVELS:
        yield np.concatenate(
            [
                _means(place[half:], target[half:], place[:half]),
                _means(place[:half], target[:half], place[half:]),
            ]
        )


def _means(place: Indices, target: Floats, wanted: Indices) -> Floats:
    """Mean target of each wanted level, learnt on other rows; the plain mean for a level that is new."""
    size = int(max(place.max(), wanted.max())) + 1
    rows = np.bincount(place, minlength=size)
    mean = np.bincount(place, target, minlength=size) / np.maximum(rows, 1)
    means: Floats = np.where(rows > 0, mean, target.mean())[wanted]
    return means


def _rank_auc(score: Floats, target: Floats) -> float:
    """2 AUC - 1: from -1 to 1, 0 for chance."""
    return 2 * auc(target, score) - 1


def _correlation(score: Floats, target: Floats) -> float:
    """The stronger of the correlations of values and of ranks; 0 for a constant."""
    ranks = rankdata(score)
    found = [_pearson(ranks, rankdata(target))]
    if np.isfinite(score).all():
        found.append(_pearson(score, target))
    return max(found, key=abs)


def _pearson(a: Floats, b: Floats) -> float:
    if np.ptp(a) == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])
