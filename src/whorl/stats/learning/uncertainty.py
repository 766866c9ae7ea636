"""How unsure a classifier says it is between its two likeliest classes. What it does not know it cannot say.

Source: Settles (2009), Active Learning Literature Survey, section 3.1.
"""

import numpy as np
import numpy.typing as npt

from whorl.stats.arrays import Floats


def margin(probability: npt.ArrayLike) -> Floats:
    """Lead (n,) of the likeliest class over the second, in [0, 1]: 0 is undecided, 1 is certain.

    Probability is (n, k), or (n,) for the positive class of two; nan where a row holds one; nan for a single class.

    >>> margin([0.5, 0.9]).round(3).tolist(), margin([[0.7, 0.2, 0.1]]).round(3).tolist()
    ([0.0, 0.8], [0.5])
    """
    p = _by_class(probability)
    if p.shape[1] < 2:
        return np.full(len(p), np.nan)
    top = np.partition(p, -2, axis=1)[:, -2:]
    lead: Floats = np.where(np.isnan(p).any(axis=1), np.nan, top[:, 1] - top[:, 0])
    return lead


def _by_class(probability: npt.ArrayLike) -> Floats:
    p = np.asarray(probability, dtype=np.float64)
    return np.column_stack([1 - p, p]) if p.ndim == 1 else p
