"""Rows that stand for the whole pool, and rows that lie far from all that is known.

Sources: coverage: Hacohen et al. (2022), "Active learning on a budget", ICML: one row a cluster. Diversity: Sener &
Savarese (2018), "Active learning for convolutional neural networks: a core-set approach", ICLR: farthest first.
"""

import numpy as np

from whorl.curate.strategies.clusters import MOST_CLUSTERS, clusters, in_turns
from whorl.curate.strategies.pool import Pool
from whorl.stats.arrays import Floats, Indices

SAMPLE = 20_000


def coverage(pool: Pool, budget: int) -> Floats:
    """The middle row of each of so many clusters: what to label first, before any model can say what it does not know."""
    rows = sample(pool)
    group, distance = clusters(pool.embedding(rows), min(budget, MOST_CLUSTERS), pool.seed)
    middle_first = np.lexsort((pool.lots("ties")[rows], distance))
    chances = np.zeros(len(pool))
    chances[rows[middle_first[in_turns(group[middle_first], budget)]]] = 1.0
    return chances


def diversity(pool: Pool, budget: int) -> Floats:
    """Farthest first: again and again the row that is farthest from all labelled and chosen ones."""
    rows = sample(pool)
    place = pool.embedding(rows)
    known = pool.labelled() if pool.labelled is not None else place.mean(axis=0, keepdims=True)
    far = nearest_distance(place, known[-SAMPLE:])
    chances = np.zeros(len(pool))
    for _ in range(min(budget, len(rows))):
        best = int(np.argmax(far))
        if far[best] <= 0:
            break
        chances[rows[best]] = 1.0
        far = np.minimum(far, np.linalg.norm(place - place[best], axis=1))
    return chances


def sample(pool: Pool) -> Indices:
    """All rows of a small pool, in an order that goes by their ids; so many of a large one."""
    return np.argsort(pool.lots("sample"), kind="stable")[:SAMPLE]


def nearest_distance(place: Floats, known: Floats) -> Floats:
    """Distance (n,) of each row to the nearest known one, in pieces that fit into memory."""
    nearest = np.empty(len(place))
    squares = (known**2).sum(axis=1)
    for start in range(0, len(place), 1024):
        part = place[start : start + 1024]
        squared = (part**2).sum(axis=1)[:, None] + squares - 2 * part @ known.T
        nearest[start : start + 1024] = np.sqrt(np.maximum(squared.min(axis=1), 0))
    return nearest
