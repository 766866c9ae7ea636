"""The mean of a value that is known of some rows only: what a model expects of all rows, corrected by the rows that answered.

It is right when the chances of answering are right, or when the expectations are.

Source: Robins, Rotnitzky & Zhao (1994), JASA 89:846-866, with the weights made to add up to 1 (Hajek 1971);
Chernozhukov et al. (2018) for the cross-fitted expectation and the interval from its influence function.
"""

from math import isnan, nan, sqrt

import numpy as np
import numpy.typing as npt

from whorl.stats.arrays import Floats, effective_rows
from whorl.stats.intervals.estimate import Estimate, from_standard_error, student_quantile
from whorl.stats.intervals.wilson import wilson_like
from whorl.stats.linear import mean_linear

FOLDS = 5


def doubly_robust(
    value: npt.ArrayLike,
    chance: npt.ArrayLike,
    known: npt.ArrayLike,
    *,
    level: float = 0.95,
    share: bool = False,
    seed: int = 0,
) -> Estimate:
    """The mean of the value over all rows.

    Args:
        value: (n,); nan where the row did not answer.
        chance: (n,) of answering, in (0, 1]: known, or from `who_answers`.
        known: (n, k) regressors of the value, known of all rows: `score_regressors`.
        level: Confidence, in (0, 1).
        share: Values lie in [0, 1], and so must the interval: Wilson's, with the effective size.
        seed: Decides the folds.

    Returns:
        The estimate, `n` the rows that answered; nan without any, bounds nan with one.

    Raises:
        ValueError: Arrays that do not fit; a chance that is nan, 0 or below, or above 1, of a row that answered.

    >>> random = np.random.default_rng(0)
    >>> sure = random.random(4000)
    >>> right = (random.random(4000) < 0.5 + 0.5 * sure).astype(float)
    >>> answers = random.random(4000) < 0.1 + 0.8 * sure
    >>> found = doubly_robust(np.where(answers, right, np.nan), 0.1 + 0.8 * sure, sure[:, None], share=True)
    >>> [round(float(share), 2) for share in (right.mean(), right[answers].mean(), found.value)]
    [0.75, 0.83, 0.77]
    """
    v, p, x = (np.asarray(one, dtype=np.float64) for one in (value, chance, known))
    if x.ndim != 2 or not len(v) == len(p) == len(x):
        raise ValueError(f"Values, chances and regressors do not fit: {v.shape}, {p.shape}, {x.shape}.")
    told = ~np.isnan(v)
    if not ((p[told] > 0) & (p[told] <= 1)).all():
        raise ValueError("The chance of a row that answered has to be above 0 and at most 1.")
    n, answers = len(v), int(told.sum())
    if not answers:
        return Estimate(nan, nan, nan, 0)
    weight = np.where(told, 1 / np.where(told, p, 1.0), 0.0)
    expected = _expected(v, x, told, weight, seed)
    off = np.where(told, v, expected) - expected
    correction = float(np.dot(weight, off) / weight.sum())
    found = float(expected.mean()) + correction
    terms = (expected - expected.mean()) / n + weight * (off - correction) / weight.sum()
    units = effective_rows(weight)
    quantile = student_quantile(level, units)
    spread = float(np.dot(terms, terms)) * units / (units - 1) if units > 1 else nan
    if not share or isnan(spread):
        return from_standard_error(found, sqrt(spread), answers, quantile=quantile)
    rate = min(max(found, 0.0), 1.0)
    alike = mean_linear(v[told], weight[told]).alike
    return Estimate(rate, *wilson_like(rate, spread, units, z=quantile, alike=alike), answers)


def _expected(value: Floats, known: Floats, told: npt.NDArray[np.bool_], weight: Floats, seed: int) -> Floats:
    """What a line through the answers of the other folds expects of each row (n,), kept within what was answered."""
    average = float(np.average(value[told], weights=weight[told]))
    expected = np.full(len(value), average)
    if not known.shape[1]:
        return expected
    rows = np.column_stack([np.ones(len(value)), known])
    fold = np.random.default_rng(seed).permutation(len(value)) % FOLDS
    for k in range(FOLDS):
        held, fitted = fold == k, told & (fold != k)
        if fitted.sum() > 2 * rows.shape[1]:
            x, w = rows[fitted], weight[fitted]
            # Slopes are held back as if by one row's weight; the level is not.
            curvature = (x * w[:, None]).T @ x + np.diag([0.0, *[w.mean()] * known.shape[1]])
            slope = np.linalg.solve(curvature, (x * w[:, None]).T @ value[fitted])
            expected[held] = rows[held] @ slope
    within: Floats = np.clip(expected, value[told].min(), value[told].max())
    return within
