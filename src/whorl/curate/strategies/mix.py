"""The default: rows that stand for all of the pool until labels can be learnt from, then ones that the champion is undecided about.

Doubt is worth a label where the label teaches something about other rows. Where classes are noise, the most undecided rows
are the noisiest, and a representative sample teaches more. What was bought already tells which: the classes of labelled
rows agree with those of their nearest labelled neighbours beyond chance, or they do not (`stats/learning/neighbour_kappa.py`).

Undecided rows lie together, and the second of two alike teaches little: of several times as many as can be asked for,
clusters are made, and each gives its most undecided one.

Sources: diverse undecided rows: Zhdanov (2019), "Diverse mini-batch active learning", arXiv:1901.05954; the share of
them: the shrinkage factor of James & Stein (1961), "Estimation with quadratic loss", 4th Berkeley Symposium 1:361-379.
What was tried beside it: docs/experiments.md.
"""

import numpy as np

from whorl.curate.strategies.clusters import in_turns, tight_clusters
from whorl.curate.strategies.pool import Pool
from whorl.curate.strategies.representative import representative
from whorl.curate.strategies.top import ranked
from whorl.curate.strategies.uncertain import unsure
from whorl.stats.arrays import Floats, Indices
from whorl.stats.learning.neighbour_kappa import neighbour_kappa

# So many times the budget are undecided enough to be looked at.
SHORTLIST = 3
# More labelled rows would hardly tell noise any better.
MOST_LABELLED = 2000


def mix(pool: Pool, budget: int) -> Floats:
    """The most undecided row of each cluster of undecided ones, for `undecided_share` of the budget; before, representative ones.

    Without a champion that answers, all rows are representative. Undecided counts times severity.
    """
    if not pool.answered:
        return representative(pool, budget, middle_first=True)
    left = int(np.ceil(budget * undecided_share(pool)))
    chances = representative(pool, budget - left) if left < budget else np.zeros(len(pool))
    wanted = np.where(chances > 0, np.nan, unsure(pool) * pool.severity)
    short = ranked(pool, wanted, SHORTLIST * left)
    chances[_spread(pool, short, np.maximum(wanted[short], 1e-9), left)] = 1.0
    return chances


def undecided_share(pool: Pool) -> float:
    """How much to trust that labels can be learnt from: 1 - (half interval / kappa)^2; 0 where the interval holds 0 or less.

    0 as well where too little is labelled to tell.
    """
    if pool.labelled is None or pool.truth is None:
        return 0.0
    agreement = neighbour_kappa(pool.labelled()[:MOST_LABELLED], pool.truth[:MOST_LABELLED])
    if not agreement.low > 0:
        return 0.0
    return 1 - (1 - agreement.low / agreement.value) ** 2


def _spread(pool: Pool, short: Indices, wanted: Floats, budget: int) -> Indices:
    """Rows of a short list (highest first): the best of each cluster, then the second best of each, and so on."""
    if len(short) <= budget or not budget:
        return short[:budget]
    group = tight_clusters(pool.embedding(short), budget, pool.seed, wanted)
    return short[in_turns(group, budget)]
