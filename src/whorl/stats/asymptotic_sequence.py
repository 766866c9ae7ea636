"""A confidence sequence for a mean that may be looked at after every row, for values without bounds.

It holds at all times at once in the limit, as a normal interval holds at one: the first `start` rows are not to be trusted
to have one. For values in [0, 1] `betting.py` holds at any number of rows.

Source: Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas (2024), Time-uniform central limit theory and asymptotic confidence
sequences, Annals of Statistics 52:2613-2640, theorem 2.2 and the choice of rho in appendix B.2.
"""

from math import log

import numpy as np
import numpy.typing as npt

from whorl.stats.arrays import Floats

START = 30


def asymptotic_sequence(
    value: npt.ArrayLike, *, level: float = 0.95, start: int = START, narrowest: int = 200
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
    rho2 = _rho_squared(1 - level, narrowest)
    ahead = t * rho2 + 1
    reach = np.sqrt(variance * 2 * ahead / (t**2 * rho2) * np.log(np.sqrt(ahead) / (1 - level)))
    reach[t < start] = np.inf
    return mean - reach, mean + reach


def _rho_squared(alpha: float, narrowest: int) -> float:
    return (-2 * log(alpha) + log(-2 * log(alpha) + 1)) / narrowest
