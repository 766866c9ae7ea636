"""Do two samples come from one distribution? From counts of the same levels: how far apart they are, and how surely.

Numbers are counted in bins, categories by value; missing is a level like any other. Which levels are taken together is decided by
their rows in both samples together, never by how those are divided: so the test is valid however few rows there are.
"""

from collections.abc import Callable
from math import nan
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from whorl.stats.arrays import Floats, Indices
from whorl.stats.change.sequential_p import sequential_p

Ints = npt.NDArray[np.int64]
# Levels of which the smaller sample is expected to have fewer are taken together.
LEAST_EXPECTED = 5.0
# With as many everywhere the statistic follows its chi-square law far into the tail; else its own law is drawn from.
ASYMPTOTIC = 50.0
# NumPy draws from fewer rows; among so many, levels too rare for the asymptotic law are a negligible share.
MOST_DRAWN_FROM = 10**9


class Difference(NamedTuple):
    """`total_variation`: share of the rows, in [0, 1], that lie on other levels. `p_value`: that chance alone divides them so."""

    total_variation: float
    p_value: float


def difference(reference: npt.ArrayLike, current: npt.ArrayLike) -> Difference:
    """Total variation distance between two samples of counts, and a test that both have one distribution.

    The test is Pearson's chi-square, given the rows of each level and of each sample: by its asymptotic law where the counts are
    large, else by draws of such tables. Levels expected fewer than five times in the smaller sample are grouped with those
    that are about as rare. What grouping hides, that the samples have no rare level in common, is tested by the rows of the smaller
    sample on rare levels that the other lacks; the smaller of the two p-values is then doubled (Bonferroni).

    Args:
        reference: (k,) rows of each level in one sample.
        current: (k,) in the other.

    Returns:
        Both nan where a sample has no rows. Where all rows are of one level, the p-value is 1: nothing was found. The same counts
        give the same p-value.

    Raises:
        ValueError: Lengths differ, or a count is negative or no whole number.

    Source: Pearson (1900), Phil. Mag. 50:157-175; Cochran (1954), Biometrics 10:417-451, on pooling.

    >>> found = difference([150, 90, 60], [100, 90, 110])
    >>> round(found.total_variation, 3), round(found.p_value, 7)
    (0.167, 4.3e-06)
    """
    a, b = _whole(reference), _whole(current)
    if a.ndim != 1 or a.shape != b.shape:
        raise ValueError(f"Counts do not fit each other: shapes {a.shape} and {b.shape}.")
    if not (a.any() and b.any()):
        return Difference(nan, nan)
    distance = float(np.abs(a / a.sum() - b / b.sum()).sum() / 2)
    totals, smaller = a + b, a if a.sum() < b.sum() else b
    groups = _groups(totals * smaller.sum() / totals.sum())
    alike = _chi_square_p(*(np.bincount(groups, rows).astype(np.int64) for rows in (totals, smaller)))
    rare = np.bincount(groups)[groups] > 1
    if not rare.any():
        return Difference(distance, alike)
    return Difference(distance, min(1.0, 2 * min(alike, _unshared_p(totals, smaller, rare))))


def _whole(counts: npt.ArrayLike) -> Ints:
    found = np.asarray(counts, dtype=np.float64)
    if not ((found >= 0) & (found == np.floor(found)) & (found < np.inf)).all():
        raise ValueError("A count is negative or no whole number.")
    return found.astype(np.int64)


def _groups(expected: Floats) -> Indices:
    """The group of each level: frequent ones alone, rare ones with all that are as rare, and with rarer ones until there are enough."""
    rare = expected < LEAST_EXPECTED
    rarity, place = np.unique(expected[rare], return_inverse=True)
    together = np.bincount(place, expected[rare], len(rarity))
    groups = np.arange(len(expected)) + len(expected)
    groups[rare] = ((np.cumsum(together) - together) // LEAST_EXPECTED)[place]
    return np.unique(groups, return_inverse=True)[1]


def _chi_square_p(totals: Ints, smaller: Ints) -> float:
    totals, smaller = totals[totals > 0], smaller[totals > 0]
    if len(totals) < 2:
        return 1.0
    share = smaller.sum() / totals.sum()
    expected = totals * share

    def chi_square(counts: Ints) -> Floats:
        return np.asarray(((counts - expected) ** 2 / expected).sum(axis=-1) / (1 - share))

    found = float(chi_square(smaller))
    if expected.min() >= ASYMPTOTIC or totals.sum() >= MOST_DRAWN_FROM:
        return _survival(found, len(totals) - 1)
    divided = _divisions(totals, smaller)
    return sequential_p(lambda n: chi_square(divided(n)), found)


def _unshared_p(totals: Ints, smaller: Ints, rare: npt.NDArray[np.bool_]) -> float:
    """That the smaller sample has so many rows on rare levels which the other lacks."""
    levels = np.append(totals[rare], totals[~rare].sum())
    rows = np.append(smaller[rare], smaller[~rare].sum())
    if levels.sum() >= MOST_DRAWN_FROM:
        return 1.0

    def unshared(counts: Ints) -> Floats:
        return np.asarray((counts * (counts == levels))[..., :-1].sum(axis=-1), dtype=np.float64)

    divided = _divisions(levels, rows)
    return sequential_p(lambda n: unshared(divided(n)), float(unshared(rows)))


def _divisions(totals: Ints, smaller: Ints) -> Callable[[int], Ints]:
    """Draws of (n, k) rows of the smaller sample, were it taken at random from both; the counts themselves are the seed."""
    random = np.random.default_rng(np.concatenate([totals, smaller]))
    return lambda n: random.multivariate_hypergeometric(totals, smaller.sum(), size=n, method="marginals")


def _survival(chi_square: float, degrees: int) -> float:
    from scipy.special import chdtrc

    return float(chdtrc(degrees, chi_square))
