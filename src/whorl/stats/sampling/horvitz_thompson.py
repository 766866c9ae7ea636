"""Means over all rows from rows picked with unequal, known chances: Horvitz-Thompson's and Hajek's.

Horvitz-Thompson is unbiased and needs the number of all rows; Hajek divides by the weights instead, which is nearly always
nearer, and stays within the values' range. For a difference of two models, the value is the row's difference: what is
hard for both cancels out. Rows are taken as picked independently, which overstates the error of a sample that was spread.

Source: Horvitz & Thompson (1952), JASA 47:663-685; Sarndal, Swensson & Wretman (1992), Model Assisted Survey Sampling, 5.7.
"""

from math import nan, sqrt

import numpy as np
import numpy.typing as npt

from whorl.stats.arrays import Floats
from whorl.stats.intervals.estimate import Estimate, from_standard_error, student_quantile


def horvitz_thompson(
    value: npt.ArrayLike, probability: npt.ArrayLike, population: int, *, level: float = 0.95
) -> Estimate:
    """The mean over `population` rows; bounds nan below two picked rows, unless every row was certain.

    Args:
        value: (n,) finite, of the picked rows.
        probability: (n,) in (0, 1], the chance that each had.
        population: Rows that could have been picked.

    Raises:
        ValueError: A value is not finite, a probability outside (0, 1], or the population smaller than n.

    >>> found = horvitz_thompson([1.0, 0.0, 1.0], [0.5, 0.5, 0.25], 8)
    >>> found.value, found.n
    (0.75, 3)
    """
    v, p = _picked(value, probability)
    if population < len(v):
        raise ValueError(f"{len(v)} rows were picked of {population}.")
    if not population or not len(v):
        return Estimate(nan, nan, nan, 0)
    error = sqrt(float(np.sum((v / p) ** 2 * (1 - p)))) / population
    return _with_error(float(np.sum(v / p)) / population, error, p, level)


def hajek(value: npt.ArrayLike, probability: npt.ArrayLike, *, level: float = 0.95) -> Estimate:
    """The weighted mean; args, bounds and errors as `horvitz_thompson`.

    >>> found = hajek([1.0, 0.0, 1.0], [0.5, 0.5, 0.25])
    >>> found.value, found.n
    (0.75, 3)
    """
    v, p = _picked(value, probability)
    if not len(v):
        return Estimate(nan, nan, nan, 0)
    total = float(np.sum(1 / p))
    mean = float(np.sum(v / p)) / total
    small = len(v) / (len(v) - 1) if len(v) > 1 else 1.0
    error = sqrt(small * float(np.sum(((v - mean) / p) ** 2 * (1 - p)))) / total
    return _with_error(mean, error, p, level)


def _with_error(value: float, error: float, probability: Floats, level: float) -> Estimate:
    if (probability == 1).all():
        return Estimate(value, value, value, len(probability))
    return from_standard_error(
        value, error, len(probability), quantile=student_quantile(level, len(probability))
    )


def _picked(value: npt.ArrayLike, probability: npt.ArrayLike) -> tuple[Floats, Floats]:
    v, p = np.asarray(value, dtype=np.float64), np.asarray(probability, dtype=np.float64)
    if v.shape != p.shape or not np.isfinite(v).all() or not ((p > 0) & (p <= 1)).all():
        raise ValueError("Each picked row needs a finite value and a probability in (0, 1].")
    return v, p
