"""A mean from labels asked for where the prediction is unsure (active inference): each row is asked for by its own coin.

What `few_labels.py` is measured against. Source: Zrnic & Candes (2024), Active Statistical Inference, ICML, arXiv:2403.03208.
"""

from math import nan, sqrt

import numpy as np
import numpy.typing as npt

from whorl.stats.arrays import Floats
from whorl.stats.intervals.estimate import Estimate, from_standard_error, normal_quantile
from whorl.stats.sampling.inclusion import inclusion_probabilities


def active_chances(variance: npt.ArrayLike, budget: float, *, floor: float = 0.1) -> Floats:
    """The chance (n,) of each row to be asked for: in proportion to the root of its variance, mixed with even chances.

    Args:
        variance: (n,) conditional variance of the truth, as it is believed to be; all 0 counts as equal.
        budget: Labels expected.
        floor: Share of the budget that is spread evenly, so that no weight explodes.

    Raises:
        ValueError: A variance is negative or not finite, the floor lies outside (0, 1].

    >>> active_chances([0.25, 0.01, 0.0, 0.0], 2, floor=0.2).round(2).tolist()
    [1.0, 0.65, 0.18, 0.18]
    """
    spread = np.sqrt(np.asarray(variance, dtype=np.float64))
    if not 0 < floor <= 1:
        raise ValueError(f"A floor of {floor:g} does not lie in (0, 1].")
    if not spread.any():
        return inclusion_probabilities(np.ones(len(spread)), budget)
    return inclusion_probabilities((1 - floor) * spread / spread.mean() + floor, budget)


def active_mean(
    value: npt.ArrayLike,
    asked: npt.ArrayLike,
    predicted: npt.ArrayLike,
    probability: npt.ArrayLike,
    *,
    level: float = 0.95,
) -> Estimate:
    """The mean over n rows, each of which was asked for independently with its probability; Wald interval.

    Args:
        value: (n,) the truth where it was asked for; what stands elsewhere is not looked at.
        asked: (n,) whether it was.
        predicted: (n,) the truth as predicted.
        probability: (n,) in (0, 1].

    Returns:
        All nan without rows; n is the number that was asked for.

    Raises:
        ValueError: A probability outside (0, 1].

    >>> found = active_mean([1, 0, 9, 9], [True, True, False, False], [0.8, 0.4, 0.9, 0.7], [0.5, 0.5, 0.5, 0.5])
    >>> round(found.value, 3), found.n
    (0.6, 2)
    """
    y, f, p = (np.asarray(x, dtype=np.float64) for x in (value, predicted, probability))
    was = np.asarray(asked, dtype=bool)
    if not ((p > 0) & (p <= 1)).all():
        raise ValueError("A probability lies outside (0, 1].")
    if not len(p):
        return Estimate(nan, nan, nan, 0)
    terms = f + np.where(was, y - f, 0.0) / p
    error = sqrt(float(np.var(terms)) / len(terms))
    return from_standard_error(float(terms.mean()), error, int(was.sum()), quantile=normal_quantile(level))
