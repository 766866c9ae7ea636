"""Who answers: the chance that a row's truth came, and whether it depends on anything that is known of the row.

The chance is modelled by an additive logistic curve over bins of each column, cross-fitted, so that no row helps to
foretell its own answer. Where a learner is given (boosted trees, say), it is kept instead if it foretells held-out answers
better. Two things are tested: that the model foretells answers better than age alone does, and that rows which answered have
the same mean of each direction (confidence, class said) in which an estimate could be bent.

Source: Rosenbaum & Rubin (1983), Biometrika 70:41-55; Chernozhukov et al. (2018), Econometrics Journal 21:C1-C68 (cross-fitting).
"""

from collections.abc import Callable
from math import sqrt
from statistics import NormalDist
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from whorl.stats.arrays import Floats, Indices
from whorl.stats.calibration.logistic_line import sigmoid

FOLDS = 5
BINS = 8
# As if each bin had seen this many rows more at the average level.
_PRIOR_ROWS = 2.0
# Nats a row: what two fits of one thing may differ by, however sure it is.
_LEAST_GAIN = 0.001

Learner: TypeAlias = Callable[[Floats, Floats, Floats], Floats]
"""(columns (n, k), answered (n,), columns of other rows (m, k)) -> their chances (m,)."""


class Answers(NamedTuple):
    """What was found.

    Args:
        chance: (n,) of having answered, cross-fitted, by the best model.
        by_age: (n,) the same by age alone, by the model that is best at that.
        p_value: Of answering at random given age: the least of the tests', times their number, at most 1.
    """

    chance: Floats
    by_age: Floats
    p_value: float


def who_answers(
    answered: npt.ArrayLike,
    columns: npt.ArrayLike,
    age: npt.ArrayLike,
    directions: npt.ArrayLike,
    *,
    learners: tuple[Learner, ...] = (),
    seed: int = 0,
) -> Answers:
    """The chance (n,) of each row's answer.

    Args:
        answered: (n,) bool.
        columns: (n, k) numbers or codes; nan is missing, and a value like another.
        age: (n,) how old the rows are: that old rows have answered more often is not bias.
        directions: (n, d) of what the figures depend on most: `score_regressors`.
        learners: Models beside the built-in one.
        seed: Decides the folds.

    Returns:
        Everybody or nobody answered: chances 1 or 0, p 1. Fewer than two answers or two silent rows a fold: the share, p 1.

    Raises:
        ValueError: Arrays that do not fit.

    >>> random = np.random.default_rng(0)
    >>> score = random.random(2000)
    >>> told = who_answers(random.random(2000) < 0.2 + 0.6 * score, score[:, None], np.zeros(2000), score[:, None])
    >>> told.p_value < 1e-6, bool(np.abs(told.chance - (0.2 + 0.6 * score)).mean() < 0.04)
    (True, True)
    >>> who_answers(random.random(2000) < 0.5, score[:, None], np.zeros(2000), score[:, None]).p_value > 0.01
    True
    """
    a = np.asarray(answered, dtype=np.float64)
    x, old, toward = (np.asarray(one, dtype=np.float64) for one in (columns, age, directions))
    n = len(a)
    if x.ndim != 2 or toward.ndim != 2 or not n == len(x) == len(old) == len(toward):
        raise ValueError(
            f"Answers, columns, ages and directions do not fit: {a.shape}, {x.shape}, {old.shape}, {toward.shape}."
        )
    share = float(a.mean()) if n else 0.0
    if min(a.sum(), n - a.sum()) < 2 * FOLDS:
        even = np.full(n, share)
        return Answers(even, even, 1.0)
    fold = np.random.default_rng(seed).permutation(n) % FOLDS
    everything, models = np.column_stack([x, old]), (additive_logistic, *learners)
    # Against the model that is best on age alone: a sharp edge of age, which trees see and bins do not, is no selection.
    of_age = [cross_fitted(one, a, old[:, None], fold) for one in models]
    fitted = [cross_fitted(one, a, everything, fold) for one in models]
    by_age, best = (min(some, key=lambda chance: _losses(a, chance).sum()) for some in (of_age, fitted))
    tests = [_gain_p(_losses(a, by_age) - _losses(a, chance)) for chance in fitted]
    tests += [_balance_p(a - by_age, toward[:, d], by_age) for d in range(toward.shape[1])]
    return Answers(best, by_age, min(1.0, len(tests) * min(tests)))


def cross_fitted(learner: Learner, target: Floats, columns: Floats, fold: Indices) -> Floats:
    """What a learner says (n,) of each row when it was fitted on the other folds."""
    said = np.empty(len(target))
    for k in range(FOLDS):
        held = fold == k
        said[held] = learner(columns[~held], target[~held], columns[held])
    return said


def additive_logistic(columns: Floats, answered: Floats, others: Floats) -> Floats:
    """Chances (m,) of other rows by a logistic model with a level for each bin of each column; missing is a bin."""
    edges = [_edges(columns[:, j]) for j in range(columns.shape[1])]
    rows, asked = _binned(columns, edges), _binned(others, edges)
    # Newton's method; the prior, on the levels' departures, keeps it from running off where a bin never answered.
    level, bend = np.zeros(rows.shape[1]), np.full(rows.shape[1], _PRIOR_ROWS / 4)
    bend[0] = 1e-9
    share = float(np.clip(answered.mean(), 1e-6, 1 - 1e-6))
    level[0] = np.log(share / (1 - share))
    for _ in range(25):
        chance = sigmoid(rows @ level)
        slope = rows.T @ (answered - chance) - np.where(bend > 1e-6, bend * level, 0.0)
        curvature = (rows * (chance * (1 - chance))[:, None]).T @ rows + np.diag(bend)
        step = np.clip(np.linalg.solve(curvature, slope), -3.0, 3.0)
        level = level + step
        if np.abs(step).max() < 1e-6:
            break
    return sigmoid(asked @ level)


def _edges(column: Floats) -> Floats:
    present = column[~np.isnan(column)]
    if not len(present):
        return np.empty(0)
    return np.unique(np.quantile(present, np.linspace(0, 1, BINS + 1)[1:-1]))


def _binned(columns: Floats, edges: list[Floats]) -> Floats:
    """A constant, and an indicator for each bin of each column (n, 1 + sum of bins)."""
    parts = [np.ones((len(columns), 1))]
    for j, edge in enumerate(edges):
        missing = np.isnan(columns[:, j])
        place = np.where(missing, len(edge) + 1, np.searchsorted(edge, columns[:, j], side="right"))
        parts.append((place[:, None] == np.arange(len(edge) + 2)).astype(np.float64))
    return np.concatenate(parts, axis=1)


def _losses(answered: Floats, chance: Floats) -> Floats:
    right = np.where(answered > 0.5, chance, 1 - chance)
    losses: Floats = -np.log(np.clip(right, 1e-9, 1.0))
    return losses


def _gain_p(gain: Floats) -> float:
    """One-sided: that the mean of held-out gains is not above what means nothing."""
    error = float(gain.std(ddof=1)) / sqrt(len(gain))
    return 1.0 if error == 0 else 1 - NormalDist().cdf((float(gain.mean()) - _LEAST_GAIN) / error)


def _balance_p(surprise: Floats, direction: Floats, by_age: Floats) -> float:
    """Two-sided: that answers beyond what age foretells go along with a direction.

    The variance is what the chances say or what the surprises show, the greater: chances may be surer, or less sure, than right.
    """
    spread = np.maximum(by_age * (1 - by_age), 1e-6)
    off = direction - float(np.dot(spread, direction) / spread.sum())
    terms = surprise * off
    error = sqrt(max(float(np.dot(terms, terms)), float(np.dot(off**2, spread))))
    return 1.0 if error <= 1e-9 else 2 * (1 - NormalDist().cdf(abs(float(terms.sum())) / error))
