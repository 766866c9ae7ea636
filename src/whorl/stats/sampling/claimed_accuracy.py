"""Accuracy without labels, from what the classifier claims (CBPE): a diagnosis, never a measurement.

It is right for a classifier that is calibrated on today's rows, which is the very thing that drift breaks. So it is
reported beside labels that came, with a flag that says whether they contradict it.

Source: NannyML's confidence-based performance estimation; Guillory et al. (2021), ICCV 1134-1144 (average confidence).
"""

from math import nan

import numpy as np
import numpy.typing as npt

from whorl.stats.arrays import Floats
from whorl.stats.intervals.estimate import Estimate


def claimed_accuracy(probability: npt.ArrayLike) -> float:
    """The mean confidence in the likeliest class; nan without rows.

    Args:
        probability: (n,) of the positive class of two, or (n, k).

    Raises:
        ValueError: A probability is missing or outside [0, 1].

    >>> claimed_accuracy([0.9, 0.2, 0.5])
    0.7333333333333334
    """
    p: Floats = np.asarray(probability, dtype=np.float64)
    outside = int(np.count_nonzero(~((p >= 0) & (p <= 1))))
    if outside:
        raise ValueError(f"{outside} of {p.size} probabilities are missing or lie outside [0, 1].")
    if not len(p):
        return nan
    return float(np.mean(np.maximum(p, 1 - p) if p.ndim == 1 else p.max(axis=1)))


def contradicted(claimed: float, measured: Estimate) -> bool | None:
    """Whether labels say otherwise: the claim lies outside the measured interval; None where there is nothing to say.

    >>> contradicted(0.95, Estimate(0.8, 0.7, 0.88, 60)), contradicted(0.85, Estimate(0.8, 0.7, 0.88, 60))
    (True, False)
    >>> contradicted(0.95, Estimate(nan, nan, nan, 0)) is None
    True
    """
    if np.isnan([claimed, measured.low, measured.high]).any():
        return None
    return not measured.low <= claimed <= measured.high
