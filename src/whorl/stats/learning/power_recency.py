"""Weights of rows by age when nobody can say how fast the world changes: no time scale is preferred to another.

A half-life bets on one speed of change. A weight that falls as the square root of how many rows are younger bets on none: in
the sum, the youngest quarter of the rows weighs as much as all the others, however many there are. The youngest few hundred
weigh alike: among so few, order says little. Its price in a world that stands still is a smaller effective sample: 0.72 of
20,000 rows, 0.59 of 100,000.
"""

import numpy as np

from whorl.stats.arrays import Floats

YOUNGEST = 500


def power_recency(age: Floats) -> Floats:
    """Weights (n,) with mean 1: rank^-1/2, where the youngest row's rank is 1 and the youngest 500 share one weight.

    Args:
        age: (n,) in any unit; rows of one age share the rank of the last of them. No rows: no weights.

    Raises:
        ValueError: An age is not a number.

    >>> power_recency(np.arange(2000.0))[[0, 499, 1999]].round(2).tolist()
    [1.33, 1.33, 0.67]
    """
    if np.isnan(age).any():
        raise ValueError(f"{int(np.isnan(age).sum())} of {len(age)} ages are not numbers.")
    rank = np.searchsorted(np.sort(age), age, side="right")
    weight: Floats = 1 / np.sqrt(np.maximum(rank, YOUNGEST))
    return weight / weight.mean() if len(weight) else weight
