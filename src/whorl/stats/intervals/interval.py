"""Any metric with its interval. Which way it is made depends on the metric alone, never on the number of rows:

| metric | interval |
|---|---|
| average_precision, accuracy, brier | variance from the terms (Hajek), then Wilson's with the effective size |
| log_loss, mae, rmse | variance from the terms (Hajek, delta method), symmetric, cut at 0 |
| auc, calibration_error | their own, see `auc_interval.py` and `calibration_error.py` |
| your own function | Poisson bootstrap, percentiles |

Quantiles are Student's on the units that carry the variance: rows (for rank metrics: of the rarer class), or groups.
Source: Boyd, Eng & Page (2013), ECML-PKDD 451-466: for average precision the bootstrap covers too little.
"""

from math import isnan, nan, sqrt

import numpy.typing as npt

from whorl.stats.arrays import Indices, groups_that_count, rows_that_count
from whorl.stats.intervals.bootstrap import bootstrap, of_weights
from whorl.stats.intervals.estimate import Estimate, from_standard_error, student_quantile
from whorl.stats.intervals.wilson import wilson_like
from whorl.stats.linear import Linear, variance
from whorl.stats.metrics.metric import Metric, metric_named


def interval(
    metric: Metric | str,
    truth: npt.ArrayLike,
    prediction: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    *,
    level: float = 0.95,
    seed: int = 0,
    group: npt.ArrayLike | None = None,
) -> Estimate:
    """A metric's value, interval and number of rows.

    Args:
        metric: A name from `metric.METRICS`, or a Metric of your own.
        truth: (n,); see `arrays.py`.
        prediction: (n,) or (n, k).
        weight: (n,) non-negative; rows of weight 0 do not count, in n neither. None: all 1.
        level: Confidence, in (0, 1).
        seed: For metrics that are bootstrapped.
        group: (n,) any values; rows of one group (user, session) are not taken as independent.

    Returns:
        All nan where the metric is undefined; bounds nan where its variance is (one positive, one group).

    Raises:
        NotFound: No such metric.
        ValueError: Arrays that do not fit, negative weights, nan rows.

    >>> estimate = interval("accuracy", [1, 1, 0, 0, 1, 0, 1, 0, 1, 0], [0.9] * 3 + [0.1, 0.9, 0.1, 0.9, 0.1, 0.2, 0.3])
    >>> estimate.value, round(estimate.low, 2), round(estimate.high, 2), estimate.n
    (0.8, 0.43, 0.96, 10)
    """
    chosen = metric_named(metric) if isinstance(metric, str) else metric
    y, p, w = rows_that_count(truth, prediction, weight)
    g = groups_that_count(group, weight, len(y))
    if not len(y):
        return Estimate(nan, nan, nan, 0)
    if chosen.own_interval is not None:
        return chosen.own_interval(y, p, w, g, level)
    linear = chosen.linearised(y, p, w)
    if linear is not None:
        return _from_terms(chosen, linear, g, level)
    value = chosen.function(y, p, w)
    if isnan(value):
        return Estimate(nan, nan, nan, len(y))
    low, high = bootstrap(of_weights(chosen.function, y, p), w, level=level, seed=seed, group=g)
    return Estimate(value, low, high, len(y))


def independent_units(linear: Linear, group: Indices | None) -> float:
    """How many independent units carry the variance."""
    return linear.units if group is None else min(linear.units, float(group.max() + 1))


def _from_terms(metric: Metric, linear: Linear, group: Indices | None, level: float) -> Estimate:
    value, rows, spread = linear.value, len(linear.terms), variance(linear.terms, group)
    units = independent_units(linear, group)
    quantile = student_quantile(level, units)
    if (metric.lowest, metric.greatest) == (0, 1):
        if isnan(spread) or isnan(quantile):
            return Estimate(value, nan, nan, rows)
        return Estimate(value, *wilson_like(value, spread, units, z=quantile, alike=linear.alike), rows)
    estimate = from_standard_error(value, sqrt(spread), rows, quantile=quantile)
    low = metric.lowest if estimate.low < metric.lowest else estimate.low
    return Estimate(value, low, estimate.high, rows)
