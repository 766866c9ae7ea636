"""Confidence intervals and sequences for the mean of values in [0, 1] that hold at any sample size: by betting.

For each candidate mean a gambler bets that it is wrong; a candidate that would have made the gambler rich is left out. The
sequence holds at all times at once: it may be looked at after every row, and stopped at will.

Source: Waudby-Smith & Ramdas (2024), Estimating means of bounded random variables by betting, JRSS B 86:1-27: hedged capital
with predictable plug-in bets (theorem 3, equations 24-26).
"""

from math import log, nan

import numpy as np
import numpy.typing as npt

from whorl.stats.arrays import Floats
from whorl.stats.intervals.estimate import Estimate

CANDIDATES = 1000
# A bet risks at most this share of what would ruin the gambler at once.
MOST = 0.75


def betting_interval(value: npt.ArrayLike, *, level: float = 0.95) -> Estimate:
    """The mean of independent values from one distribution, with an interval that covers at every n; nan without rows.

    Args:
        value: (n,) in [0, 1], in random order.
        level: Confidence, in (0, 1).

    Raises:
        ValueError: A value outside [0, 1].

    >>> found = betting_interval([1.0, 0.0, 1.0, 1.0] * 25)
    >>> found.value, round(found.low, 2), round(found.high, 2)
    (0.75, 0.61, 0.85)
    """
    low, high, v = _bounds(value, level, horizon=True)
    return Estimate(float(v.mean()), float(low[-1]), float(high[-1]), len(v)) if len(v) else _none()


def betting_sequence(value: npt.ArrayLike, *, level: float = 0.95) -> tuple[Floats, Floats]:
    """Bounds (n,), (n,) after each row; with probability `level` the mean lies within all of them.

    Args and errors as `betting_interval`.

    >>> low, high = betting_sequence([1.0, 0.0, 1.0, 1.0] * 25)
    >>> bool((np.diff(high - low) <= 0).all()), round(float(low[-1]), 2), round(float(high[-1]), 2)
    (True, 0.58, 0.88)
    """
    low, high, _ = _bounds(value, level, horizon=False)
    return low, high


def _bounds(value: npt.ArrayLike, level: float, *, horizon: bool) -> tuple[Floats, Floats, Floats]:
    v = np.asarray(value, dtype=np.float64)
    if not ((v >= 0) & (v <= 1)).all():
        raise ValueError("A value lies outside [0, 1].")
    bets, mean = _bets(v, log(2 / (1 - level)), horizon), np.linspace(0, 1, CANDIDATES + 1)
    low, high = np.zeros(len(v)), np.ones(len(v))
    up, down, alive = np.zeros_like(mean), np.zeros_like(mean), np.ones(len(mean), dtype=bool)
    with np.errstate(divide="ignore"):
        most_up, most_down = MOST / mean, MOST / (1 - mean)
    for t, x in enumerate(v):
        up += np.log1p(np.minimum(bets[t], most_up) * (x - mean))
        down += np.log1p(-np.minimum(bets[t], most_down) * (x - mean))
        # Half of the capital is staked on either side.
        alive &= np.maximum(up, down) + log(0.5) < -log(1 - level)
        low[t], high[t] = _edges(alive, low[t - 1] if t else 0.0, high[t - 1] if t else 1.0)
    return low, high, v


def _edges(alive: npt.NDArray[np.bool_], low: float, high: float) -> tuple[float, float]:
    """Outer edges, a step beyond the candidates that are left; where none is, the bounds before."""
    left = np.flatnonzero(alive)
    if not len(left):
        return low, high
    step = 1 / CANDIDATES
    return max(low, left[0] * step - step, 0.0), min(high, left[-1] * step + step, 1.0)


def _bets(v: Floats, evidence: float, horizon: bool) -> Floats:
    """How much to stake on each row (n,), from the rows before it only."""
    t = np.arange(1, len(v) + 1)
    mean = (0.5 + np.cumsum(v)) / (t + 1)
    variance = (0.25 + np.cumsum((v - mean) ** 2)) / (t + 1)
    before = np.concatenate([[0.25], variance[:-1]]) if len(v) else variance
    rows = np.full(len(v), len(v), dtype=np.float64) if horizon else t * np.log(t + 1)
    bets: Floats = np.sqrt(2 * evidence / (np.maximum(before, 1e-12) * rows))
    return bets


def _none() -> Estimate:
    return Estimate(nan, nan, nan, 0)
