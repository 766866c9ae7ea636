"""Several tests of one question: p-values adjusted so that the chance of any false claim stays below a level."""

import numpy as np
import numpy.typing as npt

from whorl.stats.arrays import Floats


def holm(p_values: npt.ArrayLike) -> Floats:
    """Adjusted p-values (n,): claiming those at most `a` makes any false claim with probability at most `a`.

    It holds however the tests depend on each other. A nan is a test that could not be made: it stays nan and counts as one.
    Source: Holm (1979), Scandinavian Journal of Statistics 6:65-70.

    >>> holm([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(np.where(np.isnan(p), np.inf, p), kind="stable")
    times = len(p) - np.arange(len(p))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.maximum.accumulate(np.nan_to_num(p[order], nan=1.0) * times), 1.0)
    return np.where(np.isnan(p), np.nan, adjusted)
