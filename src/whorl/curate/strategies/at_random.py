"""No preference: the whole budget goes to the random share. The baseline that every other strategy is measured against."""

import numpy as np

from whorl.curate.strategies.pool import Pool
from whorl.stats.arrays import Floats


def at_random(pool: Pool, budget: int) -> Floats:
    """Wants nothing, so that every row has the same chance."""
    del budget
    return np.zeros(len(pool))
