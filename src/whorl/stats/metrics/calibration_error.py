"""Calibration: of the rows given 0.3, do three in ten come true? Expected calibration error, and Cox's line."""

from math import nan

import numpy as np
import numpy.typing as npt

from whorl.stats.arrays import Floats, Indices, rows_that_count
from whorl.stats.calibration.logistic_line import logistic_line
from whorl.stats.intervals.estimate import Estimate
from whorl.stats.linear import small_sample

BINS = 10


def calibration_error(
    truth: npt.ArrayLike, prediction: npt.ArrayLike, weight: npt.ArrayLike | None = None
) -> float:
    """Weighted mean over 10 bins of equal weight of |mean prediction - share that came true|; nan without rows.

    Equal predictions share a bin. Multiclass: of the likeliest class, its probability against whether it was right.
    With few rows it lies above 0 even for a calibrated model: read `calibration_error_interval`.
    Source: Naeini, Cooper & Hauskrecht (2015), AAAI; equal-mass bins as Nixon et al. (2019), CVPR workshops.

    >>> round(calibration_error([1, 0, 1, 1], [0.5, 0.5, 0.8, 0.8]), 3)
    0.1
    """
    y, p, w = rows_that_count(truth, prediction, weight)
    if not len(y):
        return nan
    chance, came_true = _claims(y, p)
    bins = _bins(chance, w)
    return float(np.abs(np.bincount(bins, w * (chance - came_true))).sum() / w.sum())


def calibration_error_interval(
    truth: Floats, prediction: Floats, weight: Floats, group: Indices | None, level: float
) -> Estimate:
    """The error with an interval that holds for calibrated models too, where bootstrap percentiles never reach 0.

    |estimate - true| is at most the sum of the bins' sampling errors in absolute value; that sum's quantile is drawn
    (4,000 normal draws with the bins' estimated covariance) and taken off and added. Exact when calibrated, wide otherwise.
    """
    value = calibration_error(truth, prediction, weight)
    if np.isnan(value):
        return Estimate(nan, nan, nan, 0)
    chance, came_true = _claims(truth, prediction)
    bins = _bins(chance, weight)
    count = int(bins.max()) + 1
    gap = chance - came_true
    gap_of_bin = np.bincount(bins, weight * gap) / np.bincount(bins, weight)
    terms = weight * (gap - gap_of_bin[bins]) / weight.sum()
    if group is None:
        covariance = np.diag(np.bincount(bins, np.square(terms)))
        inflation = small_sample(len(truth) / count)
    else:
        groups = int(group.max()) + 1
        sums = np.bincount(group * count + bins, terms, minlength=groups * count).reshape(groups, count)
        covariance = sums.T @ sums
        inflation = small_sample(groups)
    if np.isnan(inflation):
        return Estimate(value, nan, nan, len(truth))
    draws = np.random.default_rng(0).multivariate_normal(np.zeros(count), covariance, 4000)
    reach = float(np.quantile(np.abs(draws).sum(axis=1), level)) * inflation
    return Estimate(value, max(0.0, value - reach), min(1.0, value + reach), len(truth))


def calibration_line(
    truth: npt.ArrayLike, prediction: npt.ArrayLike, weight: npt.ArrayLike | None = None
) -> tuple[float, float]:
    """Slope and intercept of truth on logit(prediction), binary: (1, 0) is calibrated, slope < 1 is overconfident.

    (nan, nan) with one class, constant predictions, or predictions that separate the classes.
    Source: Cox (1958), Biometrika 45:562-565.

    >>> slope, intercept = calibration_line([1, 1, 1, 0, 0, 0, 0, 1], [0.9] * 4 + [0.1] * 4)
    >>> round(slope, 6), abs(round(intercept, 6))
    (0.5, 0.0)
    """
    y, p, w = rows_that_count(truth, prediction, weight)
    clipped = np.clip(p, 1e-15, 1 - 1e-15)
    return logistic_line(np.log(clipped) - np.log1p(-clipped), y, w)


def _claims(truth: Floats, prediction: Floats) -> tuple[Floats, Floats]:
    if prediction.ndim == 1:
        return prediction, truth
    return prediction.max(axis=1), (prediction.argmax(axis=1) == truth).astype(np.float64)


def _bins(chance: Floats, weight: Floats) -> Indices:
    """Bin (n,) of each row, numbered without gaps; edges at the weighted deciles of the predictions."""
    order = np.argsort(chance, kind="stable")
    before = np.cumsum(weight[order])
    cut = np.searchsorted(before, before[-1] * np.arange(1, BINS) / BINS, side="right")
    edges = np.unique(chance[order][np.minimum(cut, len(chance) - 1)])
    bins = np.searchsorted(edges, chance, side="right")
    number = np.cumsum(np.bincount(bins) > 0) - 1
    return number[bins]
