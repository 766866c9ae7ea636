"""How much better one prediction is than another on the same rows: what a gate asks.

Paired: rows that are hard for both cancel out, which two separate intervals cannot do. For metrics with terms (see
`linear.py`; DeLong's paired test for AUC) the variance is that of the terms' differences, whatever the number of rows.
For calibration_error and your own functions: Poisson bootstrap of the difference, the same redraw for both.
"""

from math import isnan, nan, sqrt

import numpy as np
import numpy.typing as npt

from whorl.stats.arrays import Floats, Indices, groups_that_count, rows_that_count
from whorl.stats.intervals.bootstrap import bootstrap, of_weights
from whorl.stats.intervals.estimate import Estimate, from_standard_error, student_quantile
from whorl.stats.intervals.interval import independent_units
from whorl.stats.intervals.wilson import wilson
from whorl.stats.linear import variance
from whorl.stats.metrics.metric import Metric, metric_named


def paired_difference(
    metric: Metric | str,
    truth: npt.ArrayLike,
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    *,
    level: float = 0.95,
    seed: int = 0,
    group: npt.ArrayLike | None = None,
) -> Estimate:
    """By how much b is better than a: positive means better, whatever the metric's direction.

    Args and Raises as `interval`; a and b are predictions for the same rows. Equal predictions differ by exactly 0.

    Returns:
        All nan where the metric is undefined for a or b; bounds nan where its variance is.

    >>> difference = paired_difference("mae", [1.0, 2.0, 3.0, 4.0], [2.0, 2.5, 3.0, 5.0], [1.5, 2.0, 3.0, 4.5])
    >>> round(difference.value, 3), round(difference.low, 3), round(difference.high, 3)
    (0.375, -0.023, 0.773)
    """
    chosen = metric_named(metric) if isinstance(metric, str) else metric
    y, a_, w = rows_that_count(truth, a, weight)
    _, b_, _ = rows_that_count(truth, b, weight)
    g = groups_that_count(group, weight, len(y))
    if not len(y):
        return Estimate(nan, nan, nan, 0)
    sign = 1.0 if chosen.greater_is_better else -1.0
    of_a, of_b = chosen.linearised(y, a_, w), chosen.linearised(y, b_, w)
    if of_a is None or of_b is None:
        return _bootstrapped(chosen, y, a_, b_, w, sign=sign, level=level, seed=seed, group=g)
    value = sign * (of_b.value - of_a.value)
    units = min(independent_units(of_a, g), independent_units(of_b, g))
    quantile = student_quantile(level, units)
    error = sqrt(variance(of_b.terms - of_a.terms, g)) if not isnan(value) else nan
    if error == 0 and not np.array_equal(a_, b_):
        return _without_spread(chosen, value, units, quantile, len(y))
    return from_standard_error(value, error, len(y), quantile=quantile)


def _without_spread(metric: Metric, value: float, units: float, quantile: float, rows: int) -> Estimate:
    """Different predictions, equal on every row as far as the metric sees: rare disagreements may still lie ahead.

    For a share, what zero disagreements in `units` leave possible; for others nothing can be said.
    """
    reach = wilson(0, units, z=quantile)[1] if metric.greatest == 1 and not isnan(quantile) else nan
    return Estimate(value, value - reach, value + reach, rows)


def _bootstrapped(
    metric: Metric,
    truth: Floats,
    a: Floats,
    b: Floats,
    weight: Floats,
    *,
    sign: float,
    level: float,
    seed: int,
    group: Indices | None,
) -> Estimate:
    of_a, of_b = of_weights(metric.function, truth, a), of_weights(metric.function, truth, b)

    def difference(drawn: Floats) -> float:
        return sign * (of_b(drawn) - of_a(drawn))

    value = difference(weight)
    if isnan(value):
        return Estimate(nan, nan, nan, len(truth))
    low, high = bootstrap(difference, weight, level=level, seed=seed, group=group)
    return Estimate(value, low, high, len(truth))
