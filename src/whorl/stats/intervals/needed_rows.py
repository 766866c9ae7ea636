"""How many more rows until a difference like this one could be told from the margin: what a gate that holds asks for."""

from math import ceil, isfinite
from statistics import NormalDist

from whorl.stats.intervals.estimate import Estimate, normal_quantile


def needed_rows(
    difference: Estimate, margin: float = 0.0, *, level: float = 0.95, power: float = 0.8
) -> int | None:
    """Rows to add, if the true difference is the observed one and new rows are like the old.

    Args:
        difference: From `paired_difference`, with its interval at `level`.
        margin: What the difference is compared with, above or below, in the metric's unit.
        level: Confidence of the interval, then and now.
        power: Chance that the interval will exclude the margin.

    Returns:
        0 when there are enough; None when no number can be told: no interval, or a difference that equals the margin.

    Source: Lehr (1992), Statistics in Medicine 11:1099-1102 (the normal sample size formula).

    >>> needed_rows(Estimate(0.01, -0.01, 0.03, 1000))
    7173
    >>> needed_rows(Estimate(0.05, 0.03, 0.07, 1000)), needed_rows(Estimate(0.0, -0.02, 0.02, 1000))
    (0, None)
    """
    error = (difference.high - difference.low) / 2 / normal_quantile(level)
    distance = abs(difference.value - margin)
    if not (isfinite(error) and isfinite(distance)) or distance == 0:
        return None
    times = ((normal_quantile(level) + NormalDist().inv_cdf(power)) * error / distance) ** 2
    return max(0, ceil(difference.n * times) - difference.n)
