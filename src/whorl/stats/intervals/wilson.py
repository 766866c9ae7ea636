"""Confidence interval for a rate. It stays in [0, 1] and stays honest at 0 and at 1, where the plain one has no width."""

from math import nan, sqrt


def wilson(wins: float, trials: float, *, z: float = 1.959964) -> tuple[float, float]:
    """Bounds for a rate.

    Args:
        wins: Successes, 0..trials. Weighted or effective counts may be fractions.
        trials: Attempts; ties already dropped.
        z: Two-sided quantile; 1.96 is 95 %.

    Returns:
        Bounds as shares in [0, 1]; both nan when trials is 0.

    Raises:
        ValueError: wins is outside 0..trials.

    Source: Wilson (1927), JASA 22:209-212.

    >>> [round(b, 3) for b in wilson(8, 10)]
    [0.49, 0.943]
    """
    if not 0 <= wins <= trials:
        raise ValueError(f"{wins} wins do not fit {trials} trials.")
    if trials == 0:
        return nan, nan
    rate, spread = wins / trials, z * z / trials
    middle = (rate + spread / 2) / (1 + spread)
    reach = sqrt(spread * (rate * (1 - rate) + spread / 4)) / (1 + spread)
    return max(0.0, middle - reach), min(1.0, middle + reach)
