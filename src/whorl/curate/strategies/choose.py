"""A batch from a pool: what a strategy wants, and the random share beside it."""

from pathlib import Path

from whorl.curate.draw import Draw, draw
from whorl.curate.strategies.pool import Pool
from whorl.curate.strategies.strategy import strategy_chances


def choose(
    pool: Pool, strategy: str, *, budget: int, random_share: float, beside: Path | None = None
) -> Draw:
    """Choose `budget` rows; each with a chance above 0, which is kept.

    Args:
        strategy: A name of `STRATEGIES`, or 'package.module:function'.
        random_share: Share of the budget drawn uniformly, whatever the strategy wants.

    Raises:
        SpecError: There is no such strategy, or it breaks the contract.
    """
    wanted = strategy_chances(strategy, pool, int(budget * (1 - random_share)), beside=beside)
    return draw(pool.ids if pool.keys is None else pool.keys, wanted, budget=budget, seed=pool.seed)
