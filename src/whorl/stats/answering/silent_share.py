"""A mean over a sample of which some rows are silent: bounds that hold whatever the silent ones would have said.

Source: Horowitz & Manski (1998), Journal of Econometrics 84:37-58; for a share, Cochran (1977), Sampling Techniques, section 13.2.
"""

from math import hypot, isfinite, sqrt

from whorl.stats.intervals.estimate import Estimate, normal_quantile


def with_silent(
    found: Estimate, silent: float, *, lowest: float, greatest: float, level: float = 0.95
) -> Estimate:
    """The figure of those who answered as one of all: its bounds as if the silent had said the least, and the greatest.

    Which share is silent is seen on the sample only, and counts with its own variance.

    Args:
        found: Of the rows that answered.
        silent: The share of all rows that did not, in [0, 1].
        lowest: Least value of a row.
        greatest: Greatest value of a row.
        level: Confidence of the figure's bounds, in (0, 1).

    Returns:
        Unchanged where rows have no bounds, or nobody is silent; nan stays nan.

    Raises:
        ValueError: The share lies outside [0, 1].

    >>> told = with_silent(Estimate(0.8, 0.7, 0.9, 180), 0.1, lowest=0.0, greatest=1.0)
    >>> told.value, round(told.low, 2), round(told.high, 2)
    (0.8, 0.62, 0.91)
    """
    if not 0 <= silent <= 1:
        raise ValueError(f"A share of {silent:g} silent rows does not lie in [0, 1].")
    if not silent or not (isfinite(lowest) and isfinite(greatest)):
        return found
    error = normal_quantile(level) * (1 - silent) * sqrt(silent / max(found.n, 1))
    low, high = (
        (1 - silent) * found.value + silent * said
        + side * hypot((1 - silent) * (bound - found.value), error * (found.value - said))
        for side, bound, said in ((-1, found.low, lowest), (1, found.high, greatest))
    )  # fmt: skip
    return Estimate(found.value, low, high, found.n)
