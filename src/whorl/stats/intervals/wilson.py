"""Confidence interval for a rate, also one of weighted or grouped rows. It stays in [0, 1] and stays honest at 0 and at 1, where the plain one has no width."""

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
    return max(0.0, min(rate, middle - reach)), min(1.0, max(rate, middle + reach))


def wilson_like(share: float, variance: float, units: float, *, z: float) -> tuple[float, float]:
    """Bounds for a share whose variance was estimated: Wilson's, of as many trials as a plain share of that variance has.

    Args:
        share: Of weighted or grouped rows, or a mean of values in [0, 1]; cut where rounding leaves it outside.
        variance: Of the share, not nan. Where nothing varied, the trials are `units`.
        units: Independent rows or groups.
        z: Two-sided quantile.

    Source: Korn & Graubard (1998), Survey Methodology 24:193-201.

    >>> [round(b, 3) for b in wilson_like(0.8, 0.016, 10, z=1.96)]
    [0.49, 0.943]
    """
    share = min(max(share, 0.0), 1.0)
    size = share * (1 - share) / variance if variance > 0 and 0 < share < 1 else units
    return wilson(share * size, size, z=z)
