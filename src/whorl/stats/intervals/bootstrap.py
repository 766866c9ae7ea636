"""Poisson bootstrap: the interval of any figure of weighted rows, about which nothing else is known.

Each repeat counts every row (or every group as a whole) a Poisson(1) number of times: the rows stay where they are and
only their weights change, so that nothing is copied and sorted rows stay sorted. Percentile bounds.
"""

from collections.abc import Callable
from math import nan

import numpy as np

from whorl.stats.arrays import Floats, Indices
from whorl.stats.metrics.metric import MetricFunction

REPEATS = 400


def bootstrap(
    statistic: Callable[[Floats], float],
    weight: Floats,
    *,
    level: float = 0.95,
    seed: int = 0,
    group: Indices | None = None,
    repeats: int = REPEATS,
) -> tuple[float, float]:
    """Bounds of a statistic of the rows' weights.

    Args:
        statistic: Takes new weights (n,), many of them 0, and returns the figure; nan where it is undefined.
        weight: (n,) the rows' own weights.
        level: Confidence, in (0, 1).
        seed: Equal seeds give equal bounds.
        group: (n,) group numbers 0..G-1; a group is drawn as a whole. None: each row by itself.
        repeats: How many redraws.

    Returns:
        (low, high); both nan when more than one redraw in twenty is undefined: the rest would be a biased sample.

    Source: Hanley & MacGibbon (2006), Comput. Methods Programs Biomed. 83:57-62; Chamandy et al. (2012), Google.

    >>> value = np.arange(100.0)
    >>> low, high = bootstrap(lambda w: float(w @ value / w.sum()), np.ones(100))
    >>> 42 < low < 46 and 53 < high < 57
    True
    """
    random = np.random.default_rng(seed)
    units = len(weight) if group is None else int(group.max(initial=-1)) + 1
    figures = np.empty(repeats)
    for repeat in range(repeats):
        times = random.poisson(1.0, units)
        figures[repeat] = statistic(weight * (times if group is None else times[group]))
    defined = figures[~np.isnan(figures)]
    if len(defined) < 0.95 * repeats:
        return nan, nan
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def of_weights(function: MetricFunction, truth: Floats, prediction: Floats) -> Callable[[Floats], float]:
    """A metric as a figure of the weights alone, on rows sorted once: sorts inside it then cost next to nothing.

    >>> figure = of_weights(lambda y, p, w: float(np.dot(w, p - y)), np.array([1.0, 0.0]), np.array([0.75, 0.5]))
    >>> figure(np.array([1.0, 2.0]))
    0.75
    """
    if prediction.ndim > 1:
        return lambda weight: function(truth, prediction, weight)
    order = np.argsort(prediction, kind="stable")
    y, p = truth[order], prediction[order]
    return lambda weight: function(y, p, weight[order])
