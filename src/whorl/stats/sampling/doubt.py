"""How likely a classifier's answer is wrong, by what it says itself: the order in which few labels are best spent.

Only the two likeliest classes count, so that the number of classes and a temperature matter little. It is what the
model claims, right or wrong; `error_chance.py` fits what is true of it.
"""

import numpy as np
import numpy.typing as npt

from whorl.stats.arrays import Floats


def doubt(probability: npt.ArrayLike) -> Floats:
    """Chance (n,) of the second likeliest class against the likeliest, in [0, 0.5]; 0.5 is undecided.

    Args:
        probability: (n,) of the positive class of two, or (n, k) with k >= 2; a row need not add up to 1.

    Raises:
        ValueError: A probability is missing or outside [0, 1], a row holds zeros only, or there is a single class.

    >>> doubt([0.5, 0.9, 0.0]).round(3).tolist(), doubt([[0.6, 0.2, 0.2]]).tolist()
    ([0.5, 0.1, 0.0], [0.25])
    """
    p = np.asarray(probability, dtype=np.float64)
    outside = int(np.count_nonzero(~((p >= 0) & (p <= 1))))
    if outside:
        raise ValueError(f"{outside} of {p.size} probabilities are missing or lie outside [0, 1].")
    if p.ndim == 1:
        return np.minimum(p, 1 - p)
    if p.shape[1] < 2:
        raise ValueError("Probabilities of a single class leave no doubt to go by.")
    second, first = np.partition(p, -2, axis=1)[:, -2:].T
    if not first.all():
        raise ValueError(
            f"{np.count_nonzero(first == 0)} of {len(p)} rows have probability 0 for every class."
        )
    share: Floats = second / (first + second)
    return share
