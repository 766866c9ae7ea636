"""The rows that are least like those whose truth is known: the largest distance to the nearest of them."""

import numpy as np

from whorl.curate.strategies.diversity import SAMPLE, nearest_distance
from whorl.curate.strategies.pool import Pool
from whorl.curate.strategies.top import top
from whorl.stats.arrays import Floats


def novelty(pool: Pool, budget: int) -> Floats:
    """Largest distance to the nearest labelled row; with nothing labelled all are new, and the budget goes to chance."""
    if pool.labelled is None:
        return top(pool, np.full(len(pool), np.nan), budget)
    known = pool.labelled()[-SAMPLE:]
    return top(pool, nearest_distance(pool.embedding(np.arange(len(pool))), known), budget)
