"""When did the rate of errors rise, given that it did? The most likely row, and the rates on both sides of it."""

from math import log, nan
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from whorl.stats.arrays import Floats


class Rise(NamedTuple):
    """The first row of the higher rate, and the rates before and from there on; `shown`: the split explains the errors so much
    better than one rate for all that no other order of them is likely to (the Schwarz criterion: by more than log n nats).
    """

    start: int
    before: float
    after: float
    shown: bool


def rise(errors: npt.ArrayLike) -> Rise:
    """The split at which two rates, the second the higher one, are most likely.

    Args:
        errors: (n,) in order, each in [0, 1].

    Returns:
        The split; without a rise start is n, before the mean of all (nan without rows) and after nan.

    Source: Hinkley & Hinkley (1970), Biometrika 57:477-488; the criterion: Yao (1988), Statistics & Probability Letters 6:181-189.

    >>> rise([0, 0, 0, 1, 0, 0, 1, 1, 1])
    Rise(start=6, before=0.16666666666666666, after=1.0, shown=True)
    >>> rise([1, 0, 0])
    Rise(start=3, before=0.3333333333333333, after=nan, shown=False)
    """
    x = np.asarray(errors, dtype=np.float64)
    n = len(x)
    if n < 2:
        return Rise(n, float(x.mean()) if n else nan, nan, shown=False)
    first = np.cumsum(x)[:-1]
    rows = np.arange(1, n)
    before, after = first / rows, (x.sum() - first) / (n - rows)
    likelihood = -rows * _entropy(before) - (n - rows) * _entropy(after)
    likelihood[after <= before] = -np.inf
    best = int(np.argmax(likelihood))
    if not np.isfinite(likelihood[best]):
        return Rise(n, float(x.mean()), nan, shown=False)
    gain = float(likelihood[best] + n * _entropy(x.mean(keepdims=True))[0])
    return Rise(best + 1, float(before[best]), float(after[best]), gain > log(n))


def _entropy(rate: Floats) -> Floats:
    """Of a rate, in nats."""
    inside = np.clip(rate, 1e-300, 1 - 1e-16)
    found: Floats = -(rate * np.log(inside) + (1 - rate) * np.log1p(-inside))
    return found
