"""The accuracy of many predictions from few labels: whose truth to ask for, and what the answers say.

The design. A third of the budget goes evenly over all rows, a third by the square of each row's rank in doubt, a third by the
spread that the classifier's own doubt implies. The first bounds the loss where confidence means nothing, the second
serves a classifier whose order can be trusted but not its numbers, the third one that is calibrated. Rows are laid in the
order of their doubt, and two picks fall into each stretch of it.

The estimate. The weighted mean of the answers (Hajek). Its interval is a score interval, as Wilson's is: an error rate is
in it if an estimate as far off as ours would not surprise under that rate. How errors lie over doubt under that rate is
fitted (`error_chance.py`), so that confident rows among which no error was seen are not taken for free of errors. With
equal chances and doubts it is Wilson's interval. What compares weeks needs one for rows like these, not for these very ones
(`like_these`): all rows are taken for a draw from those there could have been, however many of them were asked for.

Source: Neyman (1934), JRSS 97:558-625, for chances in proportion to spread; Isaki & Fuller (1982), JASA 77:89-96, for the
anticipated variance; Wilson (1927), JASA 22:209-212.
"""

from math import ceil, nan, sqrt
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from whorl.stats.arrays import Floats, Indices, weighted_mean
from whorl.stats.calibration.logistic_line import sigmoid
from whorl.stats.intervals.estimate import Estimate, normal_quantile, student_quantile
from whorl.stats.sampling.error_chance import (
    FURTHEST_LOGIT,
    ErrorCurve,
    at_rate,
    fit_error_curve,
    rank_share,
    views_of_doubt,
)
from whorl.stats.sampling.inclusion import inclusion_probabilities, systematic_sample

PICKS_PER_STRATUM = 2
# Level and two slopes of the working model.
FITTED = 3


class Drawn(NamedTuple):
    """Rows to ask for, in order of the table (m,): index, the chance that each had, and its stratum."""

    picked: Indices
    probability: Floats
    stratum: Indices


def asking_chances(doubt: npt.ArrayLike, budget: int, *, even: bool = False) -> Floats:
    """The chance (n,) of each row to be asked for; they add up to the budget, or to n where there are fewer rows.

    Args:
        doubt: (n,) in [0, 0.5], from `doubt`. Rows of equal doubt get equal chances.
        budget: Labels that may be asked for.
        even: Give every row the same chance, whatever its doubt: where doubt is known to say nothing.

    Raises:
        ValueError: A doubt outside [0, 0.5]; the budget is below 1.

    >>> asking_chances([0.5, 0.1, 0.1, 0.0], 2).round(2).tolist()
    [0.87, 0.48, 0.48, 0.17]
    >>> asking_chances([0.2, 0.2, 0.2, 0.2], 1).tolist(), asking_chances([0.3, 0.4], 5).tolist()
    ([0.25, 0.25, 0.25, 0.25], [1.0, 1.0])
    """
    d = _checked(doubt)
    if budget < 1:
        raise ValueError(f"A budget of {budget} labels asks for nothing.")
    return inclusion_probabilities(_shares(d, even), budget)


def draw(chance: npt.ArrayLike, doubt: npt.ArrayLike, random: npt.ArrayLike, seed: str) -> Drawn:
    """Pick rows with exactly their chances, spread evenly over doubt.

    Args:
        chance: (n,) from `asking_chances`.
        doubt: (n,) the same that they were made of.
        random: (n,) uniform in [0, 1), such as `hashed_uniform` of the ids: the order within a stratum.
        seed: Decides the rest; the same arguments give the same rows.

    >>> drawn = draw([0.5, 1.0, 0.5, 0.5, 0.5], [0.2, 0.5, 0.1, 0.2, 0.1], [0.3, 0.1, 0.7, 0.5, 0.2], "a")
    >>> len(drawn.picked), 1 in drawn.picked
    (3, True)
    """
    chances, doubts, uniform = (np.asarray(x, dtype=np.float64) for x in (chance, doubt, random))
    order = np.lexsort((uniform, -doubts))
    ends = np.cumsum(chances[order])
    stratum = np.empty(len(order), dtype=np.intp)
    stratum[order] = ((ends - chances[order] / 2) // PICKS_PER_STRATUM).astype(np.intp)
    picked = systematic_sample(chances, stratum + uniform, seed)
    return Drawn(picked, chances[picked], stratum[picked])


def estimate_accuracy(
    hit: npt.ArrayLike,
    doubt: npt.ArrayLike,
    probability: npt.ArrayLike,
    *,
    level: float = 0.95,
    like_these: bool = False,
) -> Estimate:
    """Accuracy over all rows that had a chance to be asked for, from those whose truth came.

    Args:
        hit: (n,) 1 where the answer was right, else 0.
        doubt: (n,) from `doubt`.
        probability: (n,) in (0, 1]: the chance with which each was asked for, times that of an answer.
        level: Confidence of the interval, in (0, 1).
        like_these: Bounds of the accuracy on any rows like these, not on these very ones: a census then has Wilson's interval.

    Returns:
        All nan without rows; bounds nan from a single row. Of these very rows, where every chance was 1, the exact share, and bounds
        equal to it.

    Raises:
        ValueError: Lengths differ, a hit is neither 0 nor 1, a doubt or a probability out of range.

    >>> found = estimate_accuracy([1] * 45 + [0] * 5, [0.2] * 50, [0.01] * 50)
    >>> round(found.value, 3), round(found.low, 2), round(found.high, 2), found.n
    (0.9, 0.78, 0.96, 50)
    """
    sample = _sample(hit, doubt, probability)
    n = len(sample.error)
    if not n:
        return Estimate(nan, nan, nan, 0)
    rate = weighted_mean(sample.error, sample.weight)
    if not like_these and (sample.weight == 1).all():
        return Estimate(1 - rate, 1 - rate, 1 - rate, n)
    # What fitting the curve takes away from the spread of the answers around it.
    quantile = student_quantile(level, n) * sqrt(n / (n - FITTED) if n > 2 * FITTED else 2)
    if np.isnan(quantile):
        return Estimate(1 - rate, nan, nan, n)
    low, high = _score_interval(sample, rate, quantile, like_these)
    return Estimate(1 - rate, max(0.0, min(1 - high, 1 - rate)), min(1.0, max(1 - low, 1 - rate)), n)


def expected_reach(
    doubt: npt.ArrayLike,
    budget: int,
    curve: ErrorCurve,
    rate: float,
    *,
    level: float = 0.95,
    even: bool = False,
) -> float:
    """Half the width of the interval that a budget is expected to give, if errors lie as the curve says at that rate.

    Args as `asking_chances`.

    >>> curve = fit_error_curve(np.zeros(0), np.zeros((0, 2)))
    >>> doubts = np.linspace(0, 0.5, 1000)
    >>> round(expected_reach(doubts, 100, curve, 0.1), 3), round(expected_reach(doubts, 1000, curve, 0.1), 3)
    (0.048, 0.019)
    """
    d = _checked(doubt)
    return _reach(_variances(d, curve, rate), rate, asking_chances(d, budget, even=even), level)


def labels_for(
    doubt: npt.ArrayLike,
    reach: float,
    curve: ErrorCurve,
    rate: float,
    *,
    level: float = 0.95,
    even: bool = False,
) -> int:
    """The least budget whose expected reach is at most the one wanted; as many as there are rows where nothing less will do.

    Raises:
        ValueError: The reach is not positive, or there are no rows.

    >>> curve = fit_error_curve(np.zeros(0), np.zeros((0, 2)))
    >>> labels_for(np.linspace(0, 0.5, 1000), 0.05, curve, 0.1)
    93
    """
    d = _checked(doubt)
    if not reach > 0:
        raise ValueError(f"A precision of {reach:g} cannot be reached: it must be above 0.")
    if not len(d):
        raise ValueError("There are no rows to ask for.")
    variances, low, high = _variances(d, curve, rate), 0, len(d)
    shares = _shares(d, even)
    while high - low > 1:
        middle = ceil((low + high) / 2)
        if _reach(variances, rate, inclusion_probabilities(shares, middle), level) <= reach:
            high = middle
        else:
            low = middle
    return high


def _shares(doubts: Floats, even: bool) -> Floats:
    """What chances are proportional to (n,)."""
    if even or not len(doubts):
        return np.ones(len(doubts))
    spread, rank = np.sqrt(doubts * (1 - doubts)), rank_share(doubts, np.ones(len(doubts))) ** 2
    shares: Floats = 1 + rank / rank.mean() + (spread / spread.mean() if spread.any() else 1.0)
    return shares


class _Sample(NamedTuple):
    """Errors, weights and views of doubt of the rows that were answered."""

    error: Floats
    weight: Floats
    view: Floats


def _sample(hit: npt.ArrayLike, doubt: npt.ArrayLike, probability: npt.ArrayLike) -> _Sample:
    h, p, d = np.asarray(hit, dtype=np.float64), np.asarray(probability, dtype=np.float64), _checked(doubt)
    if not h.shape == p.shape == d.shape:
        raise ValueError(f"Hits, doubts and probabilities do not fit: {h.shape}, {d.shape}, {p.shape}.")
    if not np.isin(h, (0.0, 1.0)).all():
        raise ValueError("A hit is neither 0 nor 1.")
    if not ((p > 0) & (p <= 1)).all():
        raise ValueError("A row was picked with a probability outside (0, 1].")
    weight = 1 / p
    return _Sample(1 - h, weight, views_of_doubt(d, weight) if len(d) else np.zeros((0, 2)))


def _checked(doubt: npt.ArrayLike) -> Floats:
    d = np.asarray(doubt, dtype=np.float64)
    if d.ndim != 1 or not ((d >= 0) & (d <= 0.5)).all():
        raise ValueError("Doubt has to be (n,) in [0, 0.5].")
    return d


def _variances(doubts: Floats, curve: ErrorCurve, rate: float) -> Floats:
    """Variance (n,) of each row's answer, if errors lie as the curve says at that rate."""
    ones = np.ones(len(doubts))
    error = at_rate(curve, views_of_doubt(doubts, ones), ones, rate)
    return error * (1 - error)


def _reach(variances: Floats, rate: float, chance: Floats, level: float) -> float:
    asked = float(np.sum(variances * (1 / chance - 1))) / len(chance) ** 2
    variance = asked + rate * (1 - rate) / len(chance)
    return normal_quantile(level) * sqrt(max(variance, 0.0))


def _score_interval(sample: _Sample, rate: float, quantile: float, like_these: bool) -> tuple[float, float]:
    """The least and the greatest error rate under which ours lies within quantile x standard error."""
    logit = fit_error_curve(sample.error, sample.view).logit(sample.view)
    share = sample.weight / sample.weight.sum()
    rows = float(sample.weight.sum())
    asked, all_rows = share * (sample.weight - 1) / rows, like_these / rows
    low, high = (_where_it_meets(logit, share, asked, all_rows, rate, sign * quantile) for sign in (-1, 1))
    return low, high


def _where_it_meets(
    logit: Floats, share: Floats, asked: Floats, all_rows: float, rate: float, reach: float
) -> float:
    """The rate at which ours is `reach` standard errors below (negative: above), by bisection on the curve's level.

    The variance is that of the answers of those asked, and `all_rows` times that of any row's.
    """
    middle = -float(np.dot(share, logit))
    low, high = middle - FURTHEST_LOGIT, middle + FURTHEST_LOGIT
    for _ in range(60):
        shift = (low + high) / 2
        chance = sigmoid(logit + shift)
        expected = float(np.dot(share, chance))
        variance = float(np.dot(asked, chance * (1 - chance))) + expected * (1 - expected) * all_rows
        low, high = (shift, high) if expected - reach * sqrt(variance) < rate else (low, shift)
    return float(np.dot(share, sigmoid(logit + (low + high) / 2)))
