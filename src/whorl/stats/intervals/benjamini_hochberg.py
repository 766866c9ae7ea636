"""Which of many tests found something, when a stated share of the findings may be false."""

import numpy as np
import numpy.typing as npt

from whorl.stats.arrays import Floats


def benjamini_hochberg(p_values: npt.ArrayLike) -> Floats:
    """Adjusted p-values: those at most q, taken together, hold a share of false discoveries that is q at most on average.

    Holds for independent tests and for ones that depend positively (Benjamini & Yekutieli 2001).

    Args:
        p_values: (m,) in [0, 1]; nan where a test was not possible: it counts as no test.

    Returns:
        (m,) in [0, 1], in the same order; nan where there was no test.

    Raises:
        ValueError: A p-value is outside [0, 1].

    Source: Benjamini & Hochberg (1995), JRSS-B 57:289-300.

    >>> benjamini_hochberg([0.01, 0.04, 0.03, 0.5]).round(4).tolist()
    [0.04, 0.0533, 0.0533, 0.5]
    """
    p = np.asarray(p_values, dtype=np.float64)
    tested = np.flatnonzero(~np.isnan(p))
    if ((p[tested] < 0) | (p[tested] > 1)).any():
        raise ValueError("A p-value is outside [0, 1].")
    order = tested[np.argsort(p[tested], kind="stable")]
    m = len(order)
    scaled = p[order] * m / np.arange(1, m + 1)
    adjusted = np.full(p.shape, np.nan)
    adjusted[order] = np.minimum.accumulate(scaled[::-1])[::-1]
    return adjusted
