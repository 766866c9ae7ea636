"""What picked rows say about all rows, when the chance of each pick is known; and when they say too little."""

from math import nan, sqrt

import numpy as np
import numpy.typing as npt

from whorl.stats.arrays import effective_rows
from whorl.stats.estimate import Estimate, from_standard_error, student_quantile
from whorl.stats.linear import mean_linear, variance

MINIMUM_EFFECTIVE = 30
"""Below this many effective rows an estimate is refused: it would hang on a few rows with large weights."""


def weighted_back(
    value: npt.ArrayLike,
    probability: npt.ArrayLike,
    *,
    level: float = 0.95,
    minimum: float = MINIMUM_EFFECTIVE,
) -> Estimate:
    """Mean over all rows from which these were picked, each weighted by 1 / probability (Hajek's ratio form).

    For a metric other than a mean, give `1 / probability` as weight to `interval`, and ask `effective_rows` first.

    Args:
        value: (n,) of the picked rows.
        probability: (n,) in (0, 1], the chance with which each was picked. Rows that could not be picked (0) are not
            spoken for: the estimate holds for the others.
        level: Confidence.
        minimum: Effective rows asked for.

    Returns:
        All nan when there are fewer effective rows than `minimum`; n is the number of picked rows. The variance is that
        of picks with replacement: a little too wide where many rows have a probability near 1.

    Raises:
        ValueError: A probability lies outside (0, 1], or lengths differ.

    Source: Horvitz & Thompson (1952), JASA 47:663-685; Hajek (1971).

    >>> value, probability = [1.0] * 50 + [0.0] * 50, [0.5] * 50 + [0.1] * 50
    >>> estimate = weighted_back(value, probability)
    >>> round(estimate.value, 4), round(estimate.low, 3), round(estimate.high, 3)
    (0.1667, 0.111, 0.222)
    >>> weighted_back([1.0, 0.0], [0.5, 0.5])
    Estimate(value=nan, low=nan, high=nan, n=2)
    """
    picked = np.asarray(value, dtype=np.float64)
    chance = np.asarray(probability, dtype=np.float64)
    if picked.shape != chance.shape or not ((chance > 0) & (chance <= 1)).all():
        raise ValueError("Each picked row needs its probability, above 0 and at most 1.")
    weight = 1 / chance
    effective = effective_rows(weight)
    if effective < minimum or not effective:
        return Estimate(nan, nan, nan, len(picked))
    mean = mean_linear(picked, weight)
    error = sqrt(variance(mean.terms))
    return from_standard_error(mean.value, error, len(picked), quantile=student_quantile(level, effective))
