"""Choose rows under a budget: a share at random, the rest by reason, segment, severity and recency.

Each row's probability of being chosen is known beforehand, so that whatever is learnt or measured from the chosen rows
can be weighted back to all of them. Pure: arrays in, arrays out.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from whorl.stats.hashed_uniform import hashed_uniform
from whorl.stats.inclusion import inclusion_probabilities, systematic_sample

Floats = npt.NDArray[np.float64]


class Draw(msgspec.Struct, frozen=True):
    """Chosen rows (indices, ascending), their inclusion probabilities, and whether a reason chose them."""

    rows: npt.NDArray[np.intp]
    probability: Floats
    by_reason: npt.NDArray[np.bool_]


def draw(
    ids: Sequence[str],
    stratum: Sequence[str | None],
    size: Floats,
    *,
    budget: int | None,
    random_share: float,
    seed: str,
) -> Draw:
    """Draw at most `budget` rows.

    Args:
        ids: (n,) ids; the draw depends on them and the seed only, not on the rows' order.
        stratum: (n,) reason and segment by which a row competes; None where no reason holds.
        size: (n,) non-negative weight of a row inside its stratum: severity times recency.
        random_share: Share of the budget drawn uniformly from all rows.
        seed: Anything that names this draw.

    Returns:
        Rows with P(chosen) = 1 - (1 - P(random)) (1 - P(by reason)); the two draws are independent.

    >>> drawn = draw([f"t{i}" for i in range(100)], ["missed"] * 5 + [None] * 95, np.ones(100), budget=20, random_share=0.5, seed="s")
    >>> [int(i) for i in drawn.rows[:5]], bool(np.all(drawn.probability[:5] == 1.0))
    ([0, 1, 2, 3, 4], True)
    """
    n = len(ids)
    if budget is None or budget >= n:
        everything = np.arange(n, dtype=np.intp)
        return Draw(everything, np.ones(n), np.array([s is not None for s in stratum], dtype=np.bool_))
    mined = _mined_probability(stratum, size, round(budget * (1 - random_share)))
    # What the reasons cannot use goes to chance, so that a budget is a budget.
    at_random = np.full(n, min(1.0, (budget - float(mined.sum())) / n))
    key = hashed_uniform(ids, f"{seed}/order")
    by_reason = systematic_sample(mined, key, f"{seed}/mined")
    by_chance = systematic_sample(at_random, hashed_uniform(ids, f"{seed}/chance"), f"{seed}/random")
    rows = np.union1d(by_reason, by_chance)
    probability = 1.0 - (1.0 - mined) * (1.0 - at_random)
    return Draw(rows, probability[rows], np.isin(rows, by_reason))


def _mined_probability(stratum: Sequence[str | None], size: Floats, budget: int) -> Floats:
    """Split a budget evenly over the strata, give what a small one cannot use to the others; inside, by size."""
    probability = np.zeros(len(stratum))
    names = sorted({name for name in stratum if name is not None})
    where = {name: np.array([s == name for s in stratum], dtype=np.bool_) for name in names}
    room = {name: int((size[where[name]] > 0).sum()) for name in names}
    left, open_names = float(budget), sorted(names, key=lambda name: room[name])
    while open_names:
        name = open_names.pop(0)
        share = min(left / (len(open_names) + 1), room[name])
        probability[where[name]] = inclusion_probabilities(size[where[name]], share)
        left -= share
    return probability
