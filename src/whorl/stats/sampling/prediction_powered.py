"""A mean from few labels and many predictions (PPI++): the predictions' mean, put right by the labelled rows.

Predictions count as much as they have earned on the labelled rows (power tuning), so that worthless ones cost nothing in
the limit. What `few_labels.py` is measured against.
Source: Angelopoulos, Duchi & Zrnic (2023), PPI++: Efficient Prediction-Powered Inference, arXiv:2311.01453, example 6.1.
"""

from math import nan, sqrt

import numpy as np
import numpy.typing as npt

from whorl.stats.intervals.estimate import Estimate, from_standard_error, normal_quantile


def prediction_powered_mean(
    value: npt.ArrayLike, predicted: npt.ArrayLike, others: npt.ArrayLike, *, level: float = 0.95
) -> Estimate:
    """The mean of a value over a population, from a simple random sample of it.

    Args:
        value: (n,) the truth of the sampled rows.
        predicted: (n,) what was predicted for them.
        others: (N,) what was predicted for rows that were not sampled.

    Returns:
        All nan without labelled rows; bounds nan for a single one.

    Raises:
        ValueError: Lengths differ, or a number is not finite.

    >>> found = prediction_powered_mean([1, 0, 1, 1], [0.9, 0.2, 0.8, 0.7], [0.9] * 50 + [0.3] * 50)
    >>> round(found.value, 3), found.n
    (0.7, 4)
    """
    y, f, g = (np.asarray(x, dtype=np.float64) for x in (value, predicted, others))
    if y.shape != f.shape or not all(np.isfinite(x).all() for x in (y, f, g)):
        raise ValueError("Values and predictions have to be finite and of one length.")
    n = len(y)
    if not n:
        return Estimate(nan, nan, nan, 0)
    if n == 1 or not len(g):
        return Estimate(float(y.mean()), nan, nan, n)
    power = _power(y, f, g)
    error = sqrt(float(np.var(y - power * f) / n + np.var(power * g) / len(g)))
    return from_standard_error(
        float(power * g.mean() + (y - power * f).mean()), error, n, quantile=normal_quantile(level)
    )


def _power(y: npt.NDArray[np.float64], f: npt.NDArray[np.float64], g: npt.NDArray[np.float64]) -> float:
    """How much predictions count, in [0, 1]: the plug-in of least variance."""
    spread = float(np.var(np.concatenate([f, g]), ddof=1))
    covariance = float(np.cov(y, f, bias=True)[0, 1])
    return min(max(covariance / ((1 + len(y) / len(g)) * spread), 0.0), 1.0) if spread > 0 else 0.0
