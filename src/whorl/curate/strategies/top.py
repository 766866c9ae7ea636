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
    lots = pool.lots("ties")
    if most < len(known):
        known = _best(known, score[known], lots[known], max(most, 1))
    order: Indices = known[np.lexsort((lots[known], -score[known]))]
    return order[:most]


def _best(rows: Indices, score: Floats, lots: Floats, most: int) -> Indices:
    """So many rows of highest score; of those that tie for the last places, the ones of lowest lots."""
    least = np.partition(score, -most)[-most]
    above, tied = np.flatnonzero(score > least), np.flatnonzero(score == least)
    places = most - len(above)
    if places < len(tied):
        tied = tied[np.argpartition(lots[tied], places - 1)[:places]]
    best: Indices = rows[np.concatenate([above, tied])]
    return best
