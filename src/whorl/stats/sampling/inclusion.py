"""Drawing a fixed number of rows with unequal, known chances, so that what was picked can be weighted back.

`inclusion_probabilities` says how likely each row is to be picked; `systematic_sample` picks. Rows
picked so stand for all when each is weighted by 1 / its chance: see `datasets/rows.py`.
"""

import numpy as np
import numpy.typing as npt

from whorl.stats.arrays import Floats, Indices
from whorl.stats.sampling.hashed_uniform import hashed_uniform


def inclusion_probabilities(size: npt.ArrayLike, budget: float) -> Floats:
    """Chances (n,) proportional to size, capped at 1, that add up to the budget.

    Args:
        size: (n,) non-negative: how much each row is wanted. 0 is never picked.
        budget: Expected number of picks. More than there are rows of positive size: all of those get 1.

    Raises:
        ValueError: A size or the budget is negative or not finite.

    Source: Tille (2006), Sampling Algorithms, section 2.10.

    >>> inclusion_probabilities([1.0, 1.0, 2.0, 0.0, 10.0], 2).tolist()
    [0.25, 0.25, 0.5, 0.0, 1.0]
    """
    wanted = np.asarray(size, dtype=np.float64)
    if not (np.isfinite(wanted).all() and (wanted >= 0).all() and np.isfinite(budget) and budget >= 0):
        raise ValueError("Sizes and the budget have to be finite and not negative.")
    if budget >= np.count_nonzero(wanted):
        return (wanted > 0).astype(np.float64)
    certain = np.zeros(len(wanted), dtype=bool)
    while True:
        chance = np.where(certain, 1.0, 0.0)
        left = budget - np.count_nonzero(certain)
        chance[~certain] = wanted[~certain] * (left / wanted[~certain].sum())
        over = (chance >= 1.0) & ~certain
        if not over.any():
            return chance
        certain |= over


def systematic_sample(probability: npt.ArrayLike, order_key: npt.ArrayLike, seed: str) -> Indices:
    """Picked rows (indices, ascending): each with exactly its probability, and as many as the probabilities add up to.

    Rows are laid end to end in the order of their key, each as long as its probability; a comb of step 1 with a random
    start picks where its teeth fall. A sum that is not whole is rounded down or up by chance.

    Args:
        probability: (n,) in [0, 1].
        order_key: (n,) what to sort by. Random (`hashed_uniform` of the ids): picks do not depend on the rows' order.
            A meaningful key (time, segment first): the sample is spread evenly over it.
        seed: Decides where the comb starts; the same seed and rows give the same picks.

    Raises:
        ValueError: A probability lies outside [0, 1], or lengths differ.

    Source: Madow (1949), Annals of Mathematical Statistics 20:333-354.

    >>> systematic_sample([0.5, 1.0, 0.5, 0.0, 1.0], [0.3, 0.1, 0.2, 0.5, 0.4], "cycle-1").tolist()
    [0, 1, 4]
    """
    chance = np.asarray(probability, dtype=np.float64)
    key = np.asarray(order_key)
    if chance.shape != key.shape or not ((chance >= 0) & (chance <= 1)).all():
        raise ValueError("Probabilities have to lie in [0, 1], with one order key each.")
    # Certain rows go round the comb: rounding errors in the running sum could make it miss one.
    certain = np.flatnonzero(chance == 1)
    rest = np.flatnonzero((chance > 0) & (chance < 1))
    rest = rest[np.argsort(key[rest], kind="stable")]
    ends = np.cumsum(chance[rest])
    if len(ends) and abs(ends[-1] - round(ends[-1])) < 1e-9 * len(ends):
        ends[-1] = round(ends[-1])
    teeth = np.floor(ends + hashed_uniform([""], seed)[0])
    picked = rest[np.diff(teeth, prepend=0.0) > 0]
    return np.sort(np.concatenate([certain, picked]))
