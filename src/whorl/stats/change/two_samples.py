"""Do two samples come from one distribution? From counts of the same levels: how far apart they are, and how surely.

Numbers are counted in bins, categories by value; missing is a level like any other.
"""

from math import nan
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

# The chi-square approximation is not to be trusted where fewer are expected: such levels are taken together.
LEAST_EXPECTED = 5.0


class Difference(NamedTuple):
    """`total_variation`: share of the rows, in [0, 1], that lie on other levels. `p_value`: of the chi-square test."""

    total_variation: float
    chi_square: float
    degrees: int
    p_value: float


def difference(reference: npt.ArrayLike, current: npt.ArrayLike) -> Difference:
    """Total variation distance between two samples of counts, and the chi-square test that both have one distribution.

    Args:
        reference: (k,) rows of each level in one sample.
        current: (k,) in the other.

    Returns:
        All nan, with 0 degrees, where a sample has no rows. Where all rows are of one level, or too few to be tested, the
        p-value is 1: nothing was found.

    Raises:
        ValueError: Lengths differ, or a count is negative or not finite.

    Source: Pearson (1900), Phil. Mag. 50:157-175; levels expected fewer than five times are pooled (Cochran 1954).

    >>> found = difference([50, 30, 20], [20, 30, 50])
    >>> round(found.total_variation, 3), found.degrees, round(found.p_value, 7)
    (0.3, 2, 2.6e-06)
    """
    a, b = np.asarray(reference, dtype=np.float64), np.asarray(current, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape:
        raise ValueError(f"Counts do not fit each other: shapes {a.shape} and {b.shape}.")
    if not (np.isfinite([a, b]).all() and (a >= 0).all() and (b >= 0).all()):
        raise ValueError("A count is negative or not finite.")
    if not (a.any() and b.any()):
        return Difference(nan, nan, 0, nan)
    distance = float(np.abs(a / a.sum() - b / b.sum()).sum() / 2)
    table = _pooled(np.vstack([a, b]))
    degrees = table.shape[1] - 1
    if degrees < 1:
        return Difference(distance, 0.0, 0, 1.0)
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    chi_square = float(((table - expected) ** 2 / expected).sum())
    return Difference(distance, chi_square, degrees, _survival(chi_square, degrees))


def _pooled(table: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The table (2, k) with its rare levels as one; without it where even that is too rare."""
    least = table.sum(axis=0) * table.sum(axis=1).min() / table.sum()
    rare = least < LEAST_EXPECTED
    kept = table[:, ~rare]
    if least[rare].sum() >= LEAST_EXPECTED:
        kept = np.column_stack([kept, table[:, rare].sum(axis=1)])
    return kept


def _survival(chi_square: float, degrees: int) -> float:
    from scipy.special import chdtrc

    return float(chdtrc(degrees, chi_square))
