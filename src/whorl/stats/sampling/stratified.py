"""A mean from a sample drawn stratum by stratum, and how many rows to draw in each (Neyman's allocation).

What `few_labels.py` is measured against. Source: Neyman (1934), JRSS 97:558-625; Wright (2012), The American Statistician
66:217-224, for whole numbers; Cochran (1977), Sampling Techniques, ch. 5.
"""

from math import nan, sqrt

import numpy as np
import numpy.typing as npt

from whorl.stats.arrays import Floats, Indices
from whorl.stats.intervals.estimate import Estimate, from_standard_error, normal_quantile


def neyman_allocation(size: npt.ArrayLike, spread: npt.ArrayLike, budget: int, *, least: int = 2) -> Indices:
    """How many rows to draw in each stratum (h,): in proportion to size x spread, none more than it has.

    Args:
        size: (h,) rows in each stratum.
        spread: (h,) standard deviation expected there; all 0 counts as equal.
        budget: Rows to draw in all; fewer come where the strata hold fewer.
        least: Drawn in each stratum first, as far as rows and budget reach; two are what a variance takes.

    Raises:
        ValueError: A size, a spread or the budget is negative or not finite.

    >>> neyman_allocation([100, 100, 3], [0.1, 0.3, 0.2], 40).tolist()
    [10, 28, 2]
    """
    rows, spreads = np.asarray(size, dtype=np.float64), np.asarray(spread, dtype=np.float64)
    if not (np.isfinite(rows) & np.isfinite(spreads) & (rows >= 0) & (spreads >= 0)).all() or budget < 0:
        raise ValueError("Sizes, spreads and the budget have to be finite and not negative.")
    drawn = np.minimum(rows, min(least, budget // max(len(rows), 1)))
    wanted = rows * (spreads if spreads.any() else 1.0)
    for _ in range(int(min(budget, rows.sum()) - drawn.sum())):
        # The next label goes where it lowers the variance most.
        lowered = np.where(drawn < rows, wanted**2 / np.maximum(drawn * (drawn + 1), 0.5), -1.0)
        drawn[np.argmax(lowered)] += 1
    counts: Indices = drawn.astype(np.intp)
    return counts


def smoothed_spread(errors: npt.ArrayLike, trials: npt.ArrayLike) -> Floats:
    """Standard deviation (h,) of a 0/1 value per stratum, half an error and half a hit added: never 0.

    Source: Jeffreys (1946), Proc. Roy. Soc. A 186:453-461, for the halves.

    >>> smoothed_spread([0, 5], [10, 10]).round(3).tolist()
    [0.208, 0.5]
    """
    rate = (np.asarray(errors, dtype=np.float64) + 0.5) / (np.asarray(trials, dtype=np.float64) + 1)
    spread: Floats = np.sqrt(rate * (1 - rate))
    return spread


def stratified_mean(
    value: npt.ArrayLike, stratum: npt.ArrayLike, size: npt.ArrayLike, *, level: float = 0.95
) -> Estimate:
    """The mean over all rows of a value in [0, 1], from rows drawn at random within each stratum; Wald interval.

    Args:
        value: (n,) in [0, 1]; its variance within a stratum is smoothed as `smoothed_spread`.
        stratum: (n,) index of each row's stratum, 0..h-1.
        size: (h,) rows in each.

    Returns:
        All nan where a stratum that has rows was not drawn from.

    Raises:
        ValueError: A value outside [0, 1].

    >>> found = stratified_mean([1, 1, 0, 1, 0, 1], [0, 0, 0, 1, 1, 1], [100, 300])
    >>> round(found.value, 3), found.n
    (0.667, 6)
    """
    v, h, rows = np.asarray(value, dtype=np.float64), np.asarray(stratum), np.asarray(size, dtype=np.float64)
    if not ((v >= 0) & (v <= 1)).all():
        raise ValueError("A value lies outside [0, 1].")
    drawn = np.bincount(h, minlength=len(rows))
    if not drawn[rows > 0].all() or not rows.sum():
        return Estimate(nan, nan, nan, len(v))
    share, total = rows / rows.sum(), np.bincount(h, weights=v, minlength=len(rows))
    count = np.maximum(drawn, 1)
    variance = smoothed_spread(total, drawn) ** 2 / count * (1 - drawn / np.maximum(rows, 1))
    return from_standard_error(
        float(np.dot(share, total / count)),
        sqrt(float(np.dot(share**2, variance))),
        len(v),
        quantile=normal_quantile(level),
    )
