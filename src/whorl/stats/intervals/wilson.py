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


def wilson_like(
    share: float, variance: float, units: float, *, z: float, alike: float = nan
) -> tuple[float, float]:
    """Bounds for a share whose variance was estimated: Wilson's, of as many trials as a plain share of that variance has.

    Where the few errors happen to lie on rows of little weight, the estimated variance is far too small, and more so at the shares
    that the bounds ask about. So where it is below `alike`, the bounds hold those of the score test too whose variance is the
    estimated one at `share`, and grows away from it as that of a plain share of `alike` does.

    Args:
        share: Of weighted or grouped rows, or a mean of values in [0, 1]; cut where rounding leaves it outside.
        variance: Of the share, not nan. Where nothing varied, the trials are `units`.
        units: Independent rows or groups.
        z: Two-sided quantile.
        alike: The variance of the share, did weights tell nothing of the values (`linear.py`); nan: not looked at.

    Source: Korn & Graubard (1998), Survey Methodology 24:193-201, who cut the trials where they exceed the rows. The score test
    covers as well, and stays narrow where weights do tell of the values.

    >>> [round(b, 3) for b in wilson_like(0.8, 0.016, 10, z=1.96)]
    [0.49, 0.943]
    >>> [[round(b, 3) for b in wilson_like(0.99, 1e-5, 300, z=1.96, alike=alike)] for alike in (nan, 3e-5)]
    [[0.982, 0.995], [0.976, 0.995]]
    """
    share = min(max(share, 0.0), 1.0)
    plain = share * (1 - share)
    size = plain / variance if variance > 0 and plain > 0 else units
    low, high = wilson(share * size, size, z=z)
    if not alike > variance > 0 or plain == 0:
        return low, high
    down, up = _score_bounds(share, z * z * variance, z * z * alike / plain)
    return min(low, max(down, 0.0)), max(high, min(up, 1.0))


def _score_bounds(share: float, spread: float, step: float) -> tuple[float, float]:
    """Shares s with (share - s)^2 = spread + step (s (1 - s) - share (1 - share))."""
    middle, stretch = 2 * share + step, 1 + step
    reach = sqrt(step * step * (1 - 2 * share) ** 2 + 4 * stretch * spread)
    return (middle - reach) / (2 * stretch), (middle + reach) / (2 * stretch)
