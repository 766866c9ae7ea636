"""Choose rows under a budget: a share at random, the rest by what a strategy and the reasons want.

Each row's probability of being chosen is known beforehand, so that whatever is learnt or measured from the chosen rows
can be weighted back to all of them. Pure: arrays in, arrays out.
"""

from collections.abc import Sequence
from math import ceil

import msgspec
import numpy as np
import numpy.typing as npt

from whorl.stats.sampling.hashed_uniform import Keys, uniform_of
from whorl.stats.sampling.inclusion import inclusion_probabilities, systematic_sample

Floats = npt.NDArray[np.float64]


class Draw(msgspec.Struct, frozen=True):
    """Chosen rows (indices, ascending), their inclusion probabilities, and whether they were wanted or came by chance.

    `at_random`: the chance that the random share gave every row that was not certain.
    """

    rows: npt.NDArray[np.intp]
    probability: Floats
    wanted: npt.NDArray[np.bool_]
    at_random: float


def draw(ids: Sequence[str] | Keys, wanted: Floats, *, budget: int | None, seed: str) -> Draw:
    """Draw at most `budget` rows; None: all of them.

    Args:
        ids: (n,) ids, or whole numbers as good as random that belong to them; the draw depends on them and the seed
            only, not on the rows' order.
        wanted: (n,) chances that add up to the budget at most. What they leave, in whole rows, is drawn uniformly
            from the rows that are not certain.
        seed: Anything that names this draw.

    Returns:
        Rows with P(chosen) = 1 - (1 - P(wanted)) (1 - P(random)); the two draws are independent.

    >>> drawn = draw([f"t{i}" for i in range(100)], np.array([1.0] * 5 + [0.0] * 95), budget=24, seed="s")
    >>> [int(i) for i in drawn.rows[:5]], drawn.probability[[0, -1]].round(6).tolist()
    ([0, 1, 2, 3, 4], [1.0, 0.2])
    """
    n = len(ids)
    if budget is None or budget >= n:
        return Draw(np.arange(n, dtype=np.intp), np.ones(n), wanted > 0, 1.0)
    # What is not wanted goes to chance, so that a budget is a budget; certain rows need no second one.
    uncertain = wanted < 1
    left = budget - ceil(float(wanted.sum()) - 1e-9)
    chance = min(1.0, left / max(int(uncertain.sum()), 1))
    at_random = np.where(uncertain, chance, 0.0)
    by_wish = systematic_sample(wanted, uniform_of(ids, f"{seed}/order"), f"{seed}/mined")
    by_chance = systematic_sample(at_random, uniform_of(ids, f"{seed}/chance"), f"{seed}/random")
    rows = np.union1d(by_wish, by_chance)
    probability = 1.0 - (1.0 - wanted) * (1.0 - at_random)
    return Draw(rows, probability[rows], np.isin(rows, by_wish), chance)


def reason_chances(stratum: npt.NDArray[np.intp], size: Floats, budget: float) -> Floats:
    """Chances (n,): the budget split evenly over the strata; what a small one cannot use goes to the others.

    Args:
        stratum: (n,) number of the reason and segment by which a row competes; -1 where no reason holds.
        size: (n,) non-negative weight of a row inside its stratum: severity times recency; 0 is never taken.
    """
    probability = np.zeros(len(stratum))
    order = np.flatnonzero(stratum >= 0)
    order = order[np.argsort(stratum[order], kind="stable")]
    members = np.split(order, np.flatnonzero(np.diff(stratum[order])) + 1) if len(order) else []
    room = [int((size[rows] > 0).sum()) for rows in members]
    left, still_open = budget, sorted(range(len(members)), key=lambda place: room[place])
    for waiting, place in zip(range(len(members), 0, -1), still_open, strict=True):
        share = min(left / waiting, room[place])
        probability[members[place]] = inclusion_probabilities(size[members[place]], share)
        left -= share
    return probability
