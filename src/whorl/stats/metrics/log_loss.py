"""Log loss: how surprised the probabilities were by what came true, in nats."""

import numpy as np
import numpy.typing as npt

from whorl.stats.arrays import Floats, rows_that_count, truth_probability, weighted_mean

FLOOR = 1e-15
"""No row costs more than -log(FLOOR) = 34.5 nats, so that one certain and wrong row cannot make the figure infinite."""


def log_loss(truth: npt.ArrayLike, prediction: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> float:
    """Weighted mean of -log of the probability of the truth, clipped to [FLOOR, 1]; nan without rows.

    Source: Good (1952), JRSS-B 14:107-114.

    >>> round(log_loss([1, 0], [0.9, 0.2]), 4)
    0.1643
    >>> round(log_loss([2], [[0.2, 0.3, 0.5]]), 4)
    0.6931
    """
    y, p, w = rows_that_count(truth, prediction, weight)
    return weighted_mean(log_losses(y, p), w)


def log_losses(truth: Floats, prediction: Floats) -> Floats:
    """The loss of each row (n,), in nats."""
    loss: Floats = -np.log(np.clip(truth_probability(truth, prediction), FLOOR, 1.0))
    return loss
