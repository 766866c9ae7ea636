"""The rows on which an error is likely and costs most: expected loss."""

from whorl.curate.strategies.pool import Pool
from whorl.curate.strategies.top import top
from whorl.stats.arrays import Floats


def severity(pool: Pool, budget: int) -> Floats:
    """Largest severity times the probability, as the champion has it, that its answer is wrong."""
    if not pool.probability.shape[1]:
        return top(pool, pool.severity, budget)
    return top(pool, pool.severity * (1 - pool.probability.max(axis=1)), budget)
