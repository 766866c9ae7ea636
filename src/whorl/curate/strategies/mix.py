"""The default: cover the pool while little is known, then ask where the champion is undecided, in many places at once.

Rows that the champion is undecided about lie together, and the second of two alike teaches little: of several times as
many undecided rows as can be asked for, clusters are made, and each gives its most undecided one.

Source: Zhdanov (2019), "Diverse mini-batch active learning", arXiv:1901.05954; what was tried beside it:
docs/selection.md.
"""

import numpy as np

from whorl.curate.strategies.clusters import MOST_CLUSTERS, clusters, in_turns
from whorl.curate.strategies.diversity import coverage
from whorl.curate.strategies.pool import Pool
from whorl.curate.strategies.top import ranked
from whorl.curate.strategies.uncertain import unsure
from whorl.stats.arrays import Floats, Indices

# So many times the budget are undecided enough to be looked at.
SHORTLIST = 3


def mix(pool: Pool, budget: int) -> Floats:
    """Coverage without a champion; then less and less of it, and the most undecided row of each cluster of undecided ones.

    A champion that has seen few rows does not know what it does not know: with m labelled rows, (budget / (m + budget))^2
    of the budget goes on covering. Undecided counts times severity.
    """
    if not pool.answered:
        return coverage(pool, budget)
    known = len(pool.labelled()) if pool.labelled is not None else 0
    to_cover = int(budget * (budget / (known + budget)) ** 2)
    chances = coverage(pool, to_cover) if to_cover else np.zeros(len(pool))
    left = budget - int(chances.sum())
    wanted = np.where(chances > 0, np.nan, unsure(pool) * pool.severity)
    short = ranked(pool, wanted, SHORTLIST * left)
    chances[_spread(pool, short, np.maximum(wanted[short], 1e-9), left)] = 1.0
    return chances


def _spread(pool: Pool, short: Indices, wanted: Floats, budget: int) -> Indices:
    """Rows of a short list (highest first): the best of each cluster, then the second best of each, and so on."""
    if len(short) <= budget or not budget:
        return short[:budget]
    group, _ = clusters(pool.embedding(short), min(budget, MOST_CLUSTERS), pool.seed, wanted)
    return short[in_turns(group, budget)]
