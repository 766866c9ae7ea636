"""The rows that score highest, as chances: ties are broken by the ids, so that the rows' order does not matter."""

import numpy as np

from whorl.curate.strategies.pool import Pool
from whorl.stats.arrays import Floats, Indices


def top(pool: Pool, score: Floats, budget: int) -> Floats:
    """1 for the `budget` rows of highest score (n,), 0 for the others; a score of nan is never among them.

    Scores that are all equal say nothing: every chance is 0, and the budget goes to the random share.
    """
    chances = np.zeros(len(pool))
    chances[ranked(pool, score, budget)] = 1.0
    return chances


def ranked(pool: Pool, score: Floats, most: int) -> Indices:
    """At most so many rows with a score, the highest first; none when all scores are equal."""
    known = np.flatnonzero(~np.isnan(score))
    if not len(known) or score[known].min() == score[known].max():
        return known[:0]
    if most < len(known):
        least = np.partition(score[known], -max(most, 1))[-max(most, 1)]
        known = known[score[known] >= least]
    order: Indices = known[np.lexsort((pool.lots("ties")[known], -score[known]))]
    return order[:most]
