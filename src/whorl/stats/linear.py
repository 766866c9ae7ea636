"""A figure as a sum over rows, to first order: what turns "how sure are we" into one sum of squares for any metric.

A metric of weighted rows moves by d(metric)/d(weight) when a row is counted a little more. Weight times that derivative is
the row's term; the terms add up to 0, and their sum of squares is the variance: the infinitesimal jackknife. For a mean
it is the textbook variance (for a weighted one, Hajek's), for AUC it is DeLong's, for RMSE the delta method. Rows that
belong together add their terms before squaring, and a paired difference subtracts terms row by row.

Source: Jaeckel (1972), Bell Labs MM 72-1215-11; Efron (1982), "The Jackknife, the Bootstrap", ch. 6;
Obuchowski (1997), Biometrics 53:567-578 for grouped AUC.
"""

from collections.abc import Callable
from math import nan, sqrt
from typing import NamedTuple, TypeAlias

import numpy as np

from whorl.stats.arrays import Floats, Indices, effective_rows, weighted_mean


class Linear(NamedTuple):
    """A value, its terms (n,), and the effective number of rows that it hangs on (the rarer class for rank metrics).

    `alike`: the variance of a mean, did weights tell nothing of the values; nan for what is none.
    """

    value: float
    terms: Floats
    units: float
    alike: float = nan


Linearised: TypeAlias = Callable[[Floats, Floats, Floats], Linear]
"""(truth, prediction, weight) -> Linear, on rows that count."""


def mean_linear(value: Floats, weight: Floats) -> Linear:
    """The weighted mean; variance by Hajek's ratio linearisation, unbiased with equal weights.

    >>> mean = mean_linear(np.array([1.0, 2.0, 3.0, 6.0]), np.ones(4))
    >>> mean.value, round(variance(mean.terms), 4)
    (3.0, 1.1667)
    """
    mean, units = weighted_mean(value, weight), effective_rows(weight)
    if np.isnan(mean):
        return undefined(len(value))
    away, factor = value - mean, small_sample(units)
    alike = weighted_mean(away * away, weight) * factor**2 / units
    return Linear(mean, weight * away / weight.sum() * factor, units, alike)


def macro(binary: Linearised, truth: Floats, prediction: Floats, weight: Floats) -> Linear:
    """Mean over classes of a binary metric, each class against the rest; classes for which it is undefined are left out.

    Shapes: truth (n,) class index, prediction (n, k). nan when no class has both members and others.
    """
    parts = [
        binary((truth == k).astype(np.float64), prediction[:, k], weight) for k in range(prediction.shape[1])
    ]
    parts = [part for part in parts if not np.isnan(part.value)]
    if not parts:
        return undefined(len(truth))
    terms = np.mean([part.terms for part in parts], axis=0)
    return Linear(float(np.mean([part.value for part in parts])), terms, min(part.units for part in parts))


def variance(terms: Floats, group: Indices | None = None) -> float:
    """Sum of squared terms, added up within each group first (with G/(G-1) for G groups); nan when not known.

    >>> variance(np.array([1.0, 1.0, -2.0])), round(variance(np.array([1.0, 1.0, -2.0]), np.array([0, 0, 1])), 9)
    (6.0, 16.0)
    """
    if group is None:
        return float(np.dot(terms, terms))
    sums = np.bincount(group, weights=terms)
    return float(np.dot(sums, sums)) * small_sample(len(sums)) ** 2


def small_sample(units: float) -> float:
    """sqrt(n/(n-1)): makes the sum of squares unbiased; nan for one unit, which cannot vary."""
    return sqrt(units / (units - 1)) if units > 1 else nan


def undefined(rows: int) -> Linear:
    return Linear(nan, np.full(rows, nan), 0.0)
