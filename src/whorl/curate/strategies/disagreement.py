"""The rows about which champion, challenger and previous champion say different things: query by committee.

Source: McCallum & Nigam (1998), ICML: KL divergence to the mean. Here its bounded form, the Jensen-Shannon divergence.
"""

import numpy as np

from whorl.curate.strategies.pool import Pool
from whorl.curate.strategies.top import top
from whorl.stats.arrays import Floats


def disagreement(pool: Pool, budget: int) -> Floats:
    """Largest Jensen-Shannon divergence; without a second model nobody disagrees, and the budget goes to chance."""
    return top(pool, divergence(pool), budget)


def divergence(pool: Pool) -> Floats:
    """Entropy (n,) of the mean answer less the mean entropy, in nats; nan where a model did not answer."""
    if not pool.others or not pool.probability.shape[1]:
        return np.full(len(pool), np.nan)
    said = np.stack([pool.probability, *pool.others])
    found: Floats = _entropy(said.mean(axis=0)) - _entropy(said).mean(axis=0)
    return found


def _entropy(p: Floats) -> Floats:
    nats: Floats = -np.where(np.isnan(p), np.nan, p * np.log(np.where(p > 0, p, 1.0))).sum(axis=-1)
    return nats
