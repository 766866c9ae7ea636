"""The chance that a truth which has not come by some age will still come by itself.

Some truths never come. How many came by each age is followed over rows of all ages (the product-limit estimator); what is
left at the end of the longest one counts as never.

Source: Kaplan & Meier (1958), JASA 53:457-481; its level at the end as the share that never comes: Maller & Zhou (1992),
Biometrika 79:731-739.
"""

import numpy as np
import numpy.typing as npt

from whorl.stats.arrays import Floats


def chance_to_come(delay: npt.ArrayLike, age: npt.ArrayLike, at: npt.ArrayLike) -> Floats:
    """Chance (m,) that the truth of a row which is still open at an age comes later.

    Args:
        delay: (n,) after which each row's truth came; nan where it has not.
        age: (n,) of each row today, in the same unit.
        at: (m,) ages.

    Returns:
        0 without rows; 1 at ages at which every truth had come: nobody else is open so long.

    >>> chance_to_come([1.0, 3.0, np.nan, np.nan], [9.0, 9.0, 9.0, 9.0], [0.0, 2.0, 5.0]).round(2).tolist()
    [0.5, 0.33, 0.0]
    """
    now, end = still_open(delay, age, at), still_open(delay, age, np.inf)
    return np.where(now > 0, 1 - end / np.where(now > 0, now, 1.0), 1.0)


def still_open(delay: npt.ArrayLike, age: npt.ArrayLike, at: npt.ArrayLike) -> Floats:
    """Share (m,) of rows whose truth has not come by an age; 1 without rows. Arguments as `chance_to_come`.

    >>> still_open([1.0, 3.0, np.nan, np.nan], [9.0, 9.0, 9.0, 2.0], [0.0, 1.0, 5.0]).tolist()
    [1.0, 0.75, 0.375]
    """
    came, limit = np.asarray(delay, dtype=np.float64), np.asarray(age, dtype=np.float64)
    known = ~np.isnan(came)
    seen = np.sort(np.where(known, came, limit))
    time, events = np.unique(came[known], return_counts=True)
    at_risk = len(seen) - np.searchsorted(seen, time, side="left")
    share: Floats = np.concatenate([[1.0], np.cumprod(1 - events / at_risk)])
    return share[np.searchsorted(time, np.asarray(at, dtype=np.float64), side="right")]


def stands_for(probability: npt.ArrayLike, to_come: npt.ArrayLike) -> Floats:
    """How many rows (m,) each asked row stands for, itself among them, where truths that come by themselves count too.

    Those who were not asked and whose truth never comes are stood for by one over the chance; the others will stand for
    themselves, as the asked row then does.

    Args:
        probability: (m,) in (0, 1], with which each was asked for.
        to_come: (m,) from `chance_to_come`, at the age when it was asked for.

    Source: Horvitz & Thompson (1952), JASA 47:663-685, given who was asked.

    >>> stands_for([0.1, 0.1, 0.1], [0.0, 0.5, 1.0]).tolist()
    [10.0, 5.5, 1.0]
    """
    later = np.asarray(to_come, dtype=np.float64)
    weight: Floats = later + (1 - later) / np.asarray(probability, dtype=np.float64)
    return weight
