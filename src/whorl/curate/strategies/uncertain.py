"""The rows that the champion is least sure about.

Source: Settles (2009), Active Learning Literature Survey, section 3.1; margin: Scheffer et al. (2001), IDA 2001.
"""

import numpy as np

from whorl.curate.strategies.pool import Pool
from whorl.curate.strategies.top import top
from whorl.stats.arrays import Floats
from whorl.stats.learning import uncertainty


def margin(pool: Pool, budget: int) -> Floats:
    """Smallest lead of the likeliest class over the second."""
    return top(pool, unsure(pool), budget)


def entropy(pool: Pool, budget: int) -> Floats:
    """Greatest entropy over all classes."""
    p = pool.probability
    positive = np.where(p > 0, p, 1.0)
    spread = -np.where(np.isnan(p), np.nan, p * np.log(positive)).sum(axis=1)
    return top(pool, spread if p.shape[1] else np.full(len(pool), np.nan), budget)


def unsure(pool: Pool) -> Floats:
    """1 - margin (n,), in [0, 1]; nan without an answer."""
    if not pool.probability.shape[1]:
        return np.full(len(pool), np.nan)
    return 1 - uncertainty.margin(pool.probability)
