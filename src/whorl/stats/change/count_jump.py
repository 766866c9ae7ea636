"""Are there more cases than there can be? Counts of the last period against what was expected, given earlier periods.

Each place (segment) has a count and an expected count a period. How much the ratio of both varies from period to period, beyond
chance, is estimated from the earlier periods of all places together, so that what always varies is no surprise.

Source: Farrington et al. (1996), JRSS A 159:547-563 (outbreak detection); the predictive distribution is negative binomial, as
in Noufaily et al. (2013), Statistics in Medicine 32:1206-1222.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from whorl.stats.arrays import Floats

# Before anything is seen, ratios of periods are taken to vary by about half of themselves, as if two places had shown it.
_VARIANCE, _PLACES = 0.25, 2.0
# A place of few counts is taken to be like all places, worth so many expected counts.
_LIKE_ALL = 5.0


class Jumps(NamedTuple):
    """Of each place: the count that the earlier periods let expect, and the chance of one as large as was seen."""

    allowed: Floats
    p: Floats


def count_jumps(counts: npt.ArrayLike, expected: npt.ArrayLike) -> Jumps:
    """Compare the last period with the ones before it.

    Args:
        counts: (places, periods) cases that were seen, in order of time.
        expected: (places, periods) how many a model expected, at least 0; the ratio of both need not be 1.

    Returns:
        nan for a place without an earlier or a last period of which anything was expected.

    >>> jumps = count_jumps([[10, 12, 11, 80], [20, 18, 23, 21]], np.full((2, 4), 15.0))
    >>> jumps.allowed.round(1).tolist(), (jumps.p < 0.01).tolist()
    ([11.5, 19.9], [True, False])
    """
    k, e = np.asarray(counts, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    before, last = e[:, :-1].sum(axis=1), e[:, -1]
    total = before.sum()
    if not total > 0:
        return Jumps(np.full(len(k), np.nan), np.full(len(k), np.nan))
    all_places = max(k[:, :-1].sum(), 0.5) / total
    seen = k[:, :-1].sum(axis=1)
    ratio = (seen + _LIKE_ALL * all_places) / (before + _LIKE_ALL)
    varies = _variance(k[:, :-1], e[:, :-1] * ratio[:, None])
    mean = ratio * last
    # The ratio itself is known as well as its counts tell.
    periods = np.maximum((e[:, :-1] > 0).sum(axis=1), 1)
    spread = varies * (1 + 1 / periods) + 1 / (seen + _LIKE_ALL * all_places)
    told = (before > 0) & (last > 0)
    return Jumps(np.where(told, mean, np.nan), np.where(told, _at_least(k[:, -1], mean, spread), np.nan))


def _variance(counts: Floats, mean: Floats) -> float:
    """Squared coefficient of variation of the ratio from period to period, beyond that of counting."""
    kept = mean > 0
    k, m = counts[kept], mean[kept]
    free = len(k) - int(kept.any(axis=1).sum())
    if free < 1:
        return _VARIANCE
    weight = m / (1 + _VARIANCE * m)
    beyond = (np.square(k - m) * len(k) / free - k) / np.square(m)
    found = max(float(np.dot(weight, beyond) / weight.sum()), 0.0)
    worth = free * weight.mean() / weight.max()
    return float((_PLACES * _VARIANCE + worth * found) / (_PLACES + worth))


def _at_least(count: Floats, mean: Floats, spread: Floats) -> Floats:
    """Chance of `count` or more under a negative binomial of this mean, and variance mean + spread mean^2."""
    from scipy.special import betainc

    size = 1 / spread
    chance: Floats = np.where(count > 0, betainc(np.maximum(count, 1e-9), size, mean / (mean + size)), 1.0)
    return chance
