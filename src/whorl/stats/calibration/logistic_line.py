"""Logistic regression on one number, by Newton's method: the line under Platt scaling and the calibration slope."""

from math import nan

import numpy as np

from whorl.stats.arrays import Floats


def logistic_line(x: Floats, target: Floats, weight: Floats) -> tuple[float, float]:
    """Slope and intercept that minimise the weighted log loss of sigmoid(slope * x + intercept).

    Args:
        x: (n,) the predictor.
        target: (n,) in [0, 1]; fractions are soft labels.
        weight: (n,) non-negative.

    Returns:
        (nan, nan) where no finite line is best: no rows, one class, x constant, or classes that x separates.

    >>> x = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    >>> slope, intercept = logistic_line(x, 1 / (1 + np.exp(-(0.5 * x + 1))), np.ones(5))
    >>> round(slope, 6), round(intercept, 6)
    (0.5, 1.0)
    """
    line = np.zeros(2)
    best = _loss(line[0] * x + line[1], target, weight)
    for _ in range(100):
        chance = sigmoid(line[0] * x + line[1])
        error, bend = weight * (target - chance), weight * chance * (1 - chance)
        gradient = np.array([np.dot(error, x), error.sum()])
        mixed = np.dot(bend, x)
        curvature = np.array([[np.dot(bend * x, x), mixed], [mixed, bend.sum()]])
        if not np.linalg.cond(curvature) < 1e12:
            return nan, nan
        step = np.linalg.solve(curvature, gradient)
        while True:
            slope, intercept = line + step
            loss = _loss(slope * x + intercept, target, weight)
            if loss <= best or np.abs(step).max() < 1e-9:
                break
            step /= 2
        line, best = line + step, min(loss, best)
        if np.abs(step).max() < 1e-9:
            return float(line[0]), float(line[1])
    return nan, nan


def sigmoid(x: Floats) -> Floats:
    """1 / (1 + exp(-x)), without overflow."""
    chance: Floats = 0.5 * (1 + np.tanh(x / 2))
    return chance


def _loss(logit: Floats, target: Floats, weight: Floats) -> float:
    return float(np.dot(weight, np.logaddexp(0.0, logit) - target * logit))
