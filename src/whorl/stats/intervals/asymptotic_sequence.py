"""A confidence sequence for a mean that may be looked at after every row, for values without bounds.

It holds at all times at once in the limit, as a normal interval holds at one: the first `start` rows are not to be trusted
to have one. For values in [0, 1] `betting.py` holds at any number of rows. `always_valid` makes one of any figure that has a
normal interval.

Source: Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas (2024), Time-uniform central limit theory and asymptotic confidence
sequences, Annals of Statistics 52:2613-2640, theorem 2.2 and the choice of rho in appendix B.2.
"""

from math import isnan, log, nan

import numpy as np
import numpy.typing as npt

from whorl.stats.arrays import Floats
from whorl.stats.intervals.estimate import Estimate, normal_quantile

START, NARROWEST = 30, 200


def asymptotic_sequence(
    value: npt.ArrayLike, *, level: float = 0.95, start: int = START, narrowest: int = NARROWEST
) -> tuple[Floats, Floats]:
    """Bounds (n,), (n,) of the mean after each row; infinite before row `start`.

    Args:
        value: (n,) finite, independent, in the order in which they came.
        level: Confidence, in (0, 1).
        start: Rows until the first bound.
        narrowest: Number of rows at which the sequence shall be narrowest.

    Raises:
        ValueError: A value is not finite; start below 2, or narrowest below 1.

    >>> low, high = asymptotic_sequence(np.tile([0.0, 1.0], 500))
    >>> round(float(low[-1]), 3), round(float(high[-1]), 3), bool(np.isinf(low[28]))
    (0.45, 0.55, True)
    """
    v = np.asarray(value, dtype=np.float64)
    if not np.isfinite(v).all():
        raise ValueError("A value is not finite.")
    if start < 2 or narrowest < 1:
        raise ValueError(f"A start of {start} rows, narrowest at {narrowest}, is no sequence.")
    t = np.arange(1, len(v) + 1)
    mean = np.cumsum(v) / t
    variance = np.maximum(np.cumsum(v**2) / t - mean**2, 0.0)
    reach = np.sqrt(variance / t) * _quantile(t, 1 - level, narrowest)
    reach[t < start] = np.inf
    return mean - reach, mean + reach


def always_valid(found: Estimate, *, level: float = 0.95) -> Estimate:
    """A figure whose bounds hold however often it is looked at while its rows come in: wider ones.

    Args:
        found: With bounds of this level that hold at one look; below `START` rows they become nan.
        level: Confidence, in (0, 1).

    >>> wider = always_valid(Estimate(0.5, 0.45, 0.55, 400))
    >>> round(wider.low, 3), round(wider.high, 3)
    (0.422, 0.578)
    """
    if found.n < START or isnan(found.value):
        return Estimate(found.value, nan, nan, found.n)
    wider = float(_quantile(np.array(found.n), 1 - level, NARROWEST)) / normal_quantile(level)
    low, high = (
        found.value - wider * (found.value - found.low),
        found.value + wider * (found.high - found.value),
    )
    return Estimate(found.value, low, high, found.n)


def _quantile(rows: npt.NDArray[np.int64], alpha: float, narrowest: int) -> Floats:
    """By how many standard errors of the mean the sequence reaches, after so many rows."""
    rho2 = (-2 * log(alpha) + log(-2 * log(alpha) + 1)) / narrowest
    ahead = rows * rho2 + 1
    reach: Floats = np.sqrt(2 * ahead / (rows * rho2) * np.log(np.sqrt(ahead) / alpha))
    return reach
