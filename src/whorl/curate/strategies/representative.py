"""Rows that stand for the whole pool: a stratified sample, clusters as strata, each as often as it has rows.

Not coverage, which takes one row of each cluster: most clusters are of outliers, most rows are not.

Source: Cochran (1977), Sampling Techniques, 5.5: proportional allocation is no less exact than simple random sampling.
"""

import numpy as np

from whorl.curate.strategies.clusters import MOST_CLUSTERS, clusters
from whorl.curate.strategies.diversity import sample
from whorl.curate.strategies.pool import Pool
from whorl.stats.arrays import Floats, Indices

# So many rows are looked at for each one to take.
LOOKED_AT = 50


def representative(pool: Pool, budget: int, *, middle_first: bool = False) -> Floats:
    """1 for each row of a stratified sample (n,), 0 for the others.

    Args:
        middle_first: The first row of each cluster is its middle one. In later samples of the same rows that would
            be about the same row again.
    """
    rows = sample(pool)[: LOOKED_AT * budget]
    group, distance = clusters(pool.embedding(rows), min(budget, MOST_CLUSTERS), pool.seed)
    share = proportional(np.bincount(group), min(budget, len(rows)))
    lots = pool.lots("representative")[rows]
    order = lots.copy()
    if middle_first:
        nearest = np.lexsort((lots, distance))
        _, first = np.unique(group[nearest], return_index=True)
        order[nearest[first]] = -1.0
    chances = np.zeros(len(pool))
    for one in np.flatnonzero(share):
        members = np.flatnonzero(group == one)
        chances[rows[members[np.argsort(order[members], kind="stable")[: share[one]]]]] = 1.0
    return chances


def proportional(size: Indices, budget: int) -> Indices:
    """Whole shares (k,) of a budget in proportion to the sizes (k,); what is left over goes to the largest remainders.

    >>> proportional(np.array([50, 30, 20, 0]), 4).tolist()
    [2, 1, 1, 0]
    """
    exact = size * budget / max(size.sum(), 1)
    share: Indices = np.floor(exact).astype(np.intp)
    over = np.lexsort((-size, -(exact - share)))[: budget - share.sum()]
    share[over] += 1
    return share
