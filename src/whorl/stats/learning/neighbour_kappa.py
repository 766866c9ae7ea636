"""Whether what is bought can be learnt: how far rows' classes agree with those of their nearest neighbours, beyond chance.

Sources: Cohen (1960), "A coefficient of agreement for nominal scales", Educational and Psychological Measurement 20:37-46,
with its standard error; Cover & Hart (1967), IEEE Trans. Inf. Theory 13:21-27, for what the nearest neighbour tells of noise.
"""

from math import nan, sqrt

import numpy as np

from whorl.stats.arrays import Floats, Indices
from whorl.stats.intervals.estimate import Estimate, from_standard_error, normal_quantile

_AT_ONCE = 1024


def neighbour_kappa(place: Floats, truth: Indices, *, level: float = 0.95) -> Estimate:
    """Cohen's kappa of each row's class and that of its nearest other row: 1 without noise, 0 where classes are chance.

    Args:
        place: (n, d) finite; near rows are alike. Of equally near ones the first counts.
        truth: (n,) classes as whole numbers.

    Returns:
        All nan below two rows, and where there is one class only.

    >>> two_heaps = np.array([[0.0], [0.1], [5.0], [5.1]])
    >>> neighbour_kappa(two_heaps, np.array([0, 0, 1, 1])).value, neighbour_kappa(two_heaps, np.array([0, 1, 0, 1])).value
    (1.0, -1.0)
    """
    n = len(truth)
    if n < 2 or (truth == truth[0]).all():
        return Estimate(nan, nan, nan, n)
    said = truth[_nearest(place)]
    agreed = float((said == truth).mean())
    of_chance = sum(float((said == one).mean() * (truth == one).mean()) for one in np.unique(truth))
    value = (agreed - of_chance) / (1 - of_chance)
    error = sqrt(agreed * (1 - agreed) / n) / (1 - of_chance)
    return from_standard_error(value, error, n, quantile=normal_quantile(level))


def _nearest(place: Floats) -> Indices:
    """The nearest other row (n,) of each, in pieces that fit into memory."""
    nearest = np.empty(len(place), dtype=np.intp)
    squares = (place**2).sum(axis=1)
    for start in range(0, len(place), _AT_ONCE):
        part = place[start : start + _AT_ONCE]
        squared = squares - 2 * part @ place.T
        squared[np.arange(len(part)), start + np.arange(len(part))] = np.inf
        nearest[start : start + _AT_ONCE] = squared.argmin(axis=1)
    return nearest
