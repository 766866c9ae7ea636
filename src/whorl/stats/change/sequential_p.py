"""The p-value of a statistic whose law under the null hypothesis can be drawn from: as many draws as it takes, and valid for any number."""

from collections.abc import Callable

import numpy as np

from whorl.stats.arrays import Floats

# Draws as large as the observed statistic after which the p-value is known well enough.
ENOUGH = 20
# The least p-value is 1e-4: one finding among 500 tests passes a false discovery rate of 5 %.
MOST_DRAWS = 9_999
FIRST_DRAWS = 100


def sequential_p(draw: Callable[[int], Floats], observed: float) -> float:
    """Monte Carlo p-value that stops early where nothing is to be found.

    Args:
        draw: (n,) independent values of the statistic under the null hypothesis, for n.
        observed: The statistic; large ones speak against the null hypothesis.

    Returns:
        In (0, 1], at least 1e-4. Under the null hypothesis it is at most q with a chance of at most q, for each q.

    Source: Besag & Clifford (1991), Biometrika 78:301-304.

    >>> random = np.random.default_rng(0)
    >>> round(sequential_p(lambda n: random.normal(size=n), 1.645), 2)
    0.05
    """
    # What is equal but for rounding counts as equal.
    least = observed - 1e-9 * abs(observed)
    reached = drawn = 0
    while drawn < MOST_DRAWS:
        n = min(max(FIRST_DRAWS, 2 * drawn), MOST_DRAWS - drawn)
        places = np.flatnonzero(draw(n) >= least)
        if reached + len(places) >= ENOUGH:
            return ENOUGH / (drawn + int(places[ENOUGH - reached - 1]) + 1)
        reached, drawn = reached + len(places), drawn + n
    return (reached + 1) / (MOST_DRAWS + 1)
