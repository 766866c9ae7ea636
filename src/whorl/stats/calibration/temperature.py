"""Temperature scaling: make class probabilities (n, k) all sharper or all softer. One parameter; keeps the likeliest class."""

from math import exp

import msgspec
import numpy as np

from whorl.stats.arrays import Floats, weighted_mean
from whorl.stats.metrics.log_loss import log_losses


class Temperature(msgspec.Struct, frozen=True, tag="temperature"):
    """softmax(log(p) / temperature): above 1 softens, below 1 sharpens."""

    temperature: float

    def apply(self, probability: Floats) -> Floats:
        """Recalibrated probabilities (n, k), rows adding up to 1.

        >>> Temperature(2.0).apply(np.array([[0.64, 0.32, 0.04]])).round(3).tolist()
        [[0.511, 0.361, 0.128]]
        """
        logits = np.log(np.clip(probability, 1e-15, 1.0)) / self.temperature
        raised = np.exp(logits - logits.max(axis=1, keepdims=True))
        scaled: Floats = raised / raised.sum(axis=1, keepdims=True)
        return scaled


def fit_temperature(truth: Floats, probability: Floats, weight: Floats) -> Temperature | None:
    """The temperature in [1/20, 20] of least log loss (golden section on its logarithm); None when it lies at an end.

    Source: Guo, Pleiss, Sun & Weinberger (2017), ICML.

    >>> sure = np.array([[0.98, 0.01, 0.01]] * 10)
    >>> fit = fit_temperature(np.array([0.0] * 7 + [1.0, 2.0, 2.0]), sure, np.ones(10))
    >>> fit is not None and fit.apply(sure)[0].round(3).tolist()
    [0.7, 0.15, 0.15]
    """

    def loss(log_temperature: float) -> float:
        return weighted_mean(log_losses(truth, Temperature(exp(log_temperature)).apply(probability)), weight)

    low, high = -3.0, 3.0
    golden = (5**0.5 - 1) / 2
    left, right = high - golden * (high - low), low + golden * (high - low)
    loss_left, loss_right = loss(left), loss(right)
    while high - low > 1e-5:
        if loss_left <= loss_right:
            high, right, loss_right = right, left, loss_left
            left = high - golden * (high - low)
            loss_left = loss(left)
        else:
            low, left, loss_left = left, right, loss_right
            right = low + golden * (high - low)
            loss_right = loss(right)
    best = (low + high) / 2
    return Temperature(exp(best)) if abs(best) < 2.99 else None
