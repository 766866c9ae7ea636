"""Isotonic calibration: the rising step curve that fits best. Any shape, many parameters: it wants thousands of rows."""

import msgspec
import numpy as np

from whorl.stats.arrays import Floats


class Isotonic(msgspec.Struct, frozen=True, tag="isotonic"):
    """Straight lines between the knots (score, probability), level beyond the ends."""

    scores: tuple[float, ...]
    probabilities: tuple[float, ...]

    def apply(self, probability: Floats) -> Floats:
        """Recalibrated probabilities (n,).

        >>> Isotonic((0.2, 0.8), (0.1, 0.5)).apply(np.array([0.0, 0.5, 1.0])).round(3).tolist()
        [0.1, 0.3, 0.5]
        """
        return np.interp(probability, self.scores, self.probabilities)


def fit_isotonic(truth: Floats, probability: Floats, weight: Floats) -> Isotonic | None:
    """The curve of least weighted squared error, kept off 0 and 1 by half a row's weight; None with one class.

    Kept off, because a bin without a positive does not make one impossible, and log loss would say so at any price.
    Source: Zadrozny & Elkan (2002), KDD 694-699.

    >>> fit_isotonic(np.array([0.0, 1.0, 0.0, 1.0]), np.array([0.1, 0.2, 0.3, 0.4]), np.ones(4)).probabilities
    (0.1, 0.5, 0.5, 0.9)
    """
    positive = truth > 0.5
    if positive.all() or not positive.any():
        return None
    scores, tie = np.unique(probability, return_inverse=True)
    mass = np.bincount(tie, weight).astype(np.float64)
    fitted = pool_adjacent_violators(np.bincount(tie, weight * truth) / mass, mass)
    edge = 0.5 / (weight.sum() + 1)
    curve = np.clip(fitted, edge, 1 - edge)
    # Inside a level stretch only its two ends are needed to draw it.
    level = np.diff(curve) == 0
    needed = ~(np.append(False, level) & np.append(level, False))
    return Isotonic(tuple(scores[needed].tolist()), tuple(curve[needed].tolist()))


def pool_adjacent_violators(value: Floats, weight: Floats) -> Floats:
    """The non-decreasing sequence (n,) nearest to `value` in weighted squares.

    Whole falling runs are pooled at once, in passes, until none is left: any order of pooling gives the same result.
    Source: Ayer et al. (1955), Annals of Mathematical Statistics 26:641-647.

    >>> pool_adjacent_violators(np.array([1.0, 3.0, 2.0, 4.0]), np.ones(4)).tolist()
    [1.0, 2.5, 2.5, 4.0]
    """
    mean, mass, length = value, weight, np.ones(len(value), dtype=np.intp)
    while (falls := np.diff(mean) <= 0).any():
        starts = np.flatnonzero(np.append(True, ~falls))
        pooled = np.add.reduceat(mass, starts)
        mean = np.add.reduceat(mean * mass, starts) / pooled
        mass, length = pooled, np.add.reduceat(length, starts)
    return np.repeat(mean, length)
