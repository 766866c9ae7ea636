"""The default: cover the pool while nothing is known, then ask where the champion is undecided, in many places at once.

Rows that the champion is undecided about lie together, and the second of two alike teaches little: of several times as
many undecided rows as can be asked for, clusters are made, and each gives its most undecided one.

Source: Zhdanov (2019), "Diverse mini-batch active learning", arXiv:1901.05954; what was tried beside it:
docs/selection.md.
"""

import numpy as np

from whorl.curate.strategies.clusters import clusters
from whorl.curate.strategies.diversity import coverage
from whorl.curate.strategies.pool import Pool
from whorl.curate.strategies.top import ranked
from whorl.curate.strategies.uncertain import unsure
from whorl.stats.arrays import Floats, Indices

# So many times the budget are undecided enough to be looked at.
SHORTLIST = 3
MOST_CLUSTERS = 256


def mix(pool: Pool, budget: int) -> Floats:
    """Coverage without a champion; otherwise the most undecided row of each cluster of undecided ones, severity counted in."""
    if not pool.answered:
        return coverage(pool, budget)
    wanted = unsure(pool) * pool.severity
    short = ranked(pool, wanted)[: SHORTLIST * budget]
    chances = np.zeros(len(pool))
    chances[_spread(pool, short, np.maximum(wanted[short], 1e-9), budget)] = 1.0
    return chances


def _spread(pool: Pool, short: Indices, wanted: Floats, budget: int) -> Indices:
    """Rows of a short list (highest first): the best of each cluster, then the second best of each, and so on."""
    if len(short) <= budget:
        return short
    group, _ = clusters(pool.embedding(short), min(budget, MOST_CLUSTERS), pool.seed, wanted)
    place_in_group = np.empty(len(short), dtype=np.intp)
    for one in np.unique(group):
        members = np.flatnonzero(group == one)
        place_in_group[members] = np.arange(len(members))
    order = np.lexsort((np.arange(len(short)), place_in_group))
    return short[order[:budget]]
