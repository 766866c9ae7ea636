"""Groups of like rows: k-means on their places; of few rows, Ward's, which holds nearly equal ones together more surely.

Sources: Arthur & Vassilvitskii (2007), "k-means++: the advantages of careful seeding", SODA; Ward (1963), "Hierarchical
grouping to optimize an objective function", JASA 58:236-244.
"""

import warnings
from hashlib import blake2b

import numpy as np

from whorl.stats.arrays import Floats, Indices

# More are slow, and teach little more: a larger budget takes several rows of each.
MOST_CLUSTERS = 256
# Ward's method keeps the distance of every pair: 36 MB.
FEW_ROWS = 3000


def in_turns(group: Indices, budget: int) -> Indices:
    """Places (budget,) of rows in a list, best first: the first of each cluster, then the second of each, and so on.

    >>> in_turns(np.array([0, 0, 1, 2, 1]), 4).tolist()
    [0, 2, 3, 1]
    """
    turn = np.empty(len(group), dtype=np.intp)
    for one in np.unique(group):
        members = np.flatnonzero(group == one)
        turn[members] = np.arange(len(members))
    order: Indices = np.lexsort((np.arange(len(group)), turn))
    return order[:budget]


def clusters(place: Floats, k: int, seed: str, weight: Floats | None = None) -> tuple[Indices, Floats]:
    """Cluster (n,) of each row, 0..k-1 (some may be empty), and its distance (n,) to the cluster's middle.

    Fewer than k rows: each is a cluster of its own.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    if len(place) <= k:
        return np.arange(len(place)), np.zeros(len(place))
    start = int.from_bytes(blake2b(seed.encode(), digest_size=4).digest()) >> 1
    with warnings.catch_warnings():
        # Fewer distinct rows than clusters: some stay empty, which is what rows that are alike should do.
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = KMeans(k, n_init=1, max_iter=50, random_state=start).fit(place, sample_weight=weight)
    group: Indices = fitted.labels_.astype(np.intp)
    distance: Floats = np.linalg.norm(place - fitted.cluster_centers_[group], axis=1)
    return group, distance


def tight_clusters(place: Floats, k: int, seed: str, weight: Floats) -> Indices:
    """Cluster (n,) of each of two or more rows, at most k of them: Ward's for few rows, k-means for more.

    Rows at the same place are never apart, so there may be fewer clusters. The weights (n,) are k-means' alone.

    >>> group = tight_clusters(np.array([[0.0], [0.1], [5.0], [5.1]]), 2, "s", np.ones(4))
    >>> bool(group[0] == group[1] != group[2] == group[3])
    True
    """
    from scipy.cluster.hierarchy import fcluster, ward

    if len(place) > FEW_ROWS:
        return clusters(place, min(k, MOST_CLUSTERS), seed, weight)[0]
    return np.asarray(fcluster(ward(place), k, "maxclust"), dtype=np.intp) - 1
