"""From which age on do the labels that are known tell of every class?

Known rows can be weighted to stand for open ones of their own class. At an age at which a class can hardly be known, nobody
stands for it, and whatever is told of rows so young is told of the other classes. Such rows are left out: that costs rows,
and no bias. Old enough to be counted without weights is a row by whose age nearly all of each class is known.

Source: Crump, Hotz, Imbens & Mitnik (2009), Biometrika 96:187-199, who leave out rows whose chance of being seen is below 0.1.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from whorl.stats.arrays import Floats
from whorl.stats.delay.label_delay import DelayCurve, DelayCurves, inverse_known_weights
from whorl.stats.delay.still_to_come import still_open

LEAST_KNOWN, NEARLY_ALL = 0.1, 0.95
# Of more than two classes, the rarest may be missing, as long as they are no more than this share of all.
RARE = 0.05
_LATE = 0.75


class KnownByAge(NamedTuple):
    """How late each class (k,) is, and what share of the known labels it has (k,).

    >>> early_and_late = DelayCurves.fit([1, 1, 0, 0], [1, 2, 5, 9], [10, 10, 10, 10], classes=2)
    >>> known = KnownByAge(early_and_late, np.array([0.5, 0.5]))
    >>> known.every_class([1.0, 5.0, 9.0]).tolist(), known.age_of(NEARLY_ALL)
    ([False, True, True], 9.0)
    >>> known.weights([1, 1, 0], [2.0, 5.0, 5.0]).tolist()
    [0.0, 1.0, 2.0]
    """

    curves: DelayCurves
    share: Floats

    def every_class(self, age: npt.ArrayLike, least: float = LEAST_KNOWN) -> npt.NDArray[np.bool_]:
        """Whether at least this share of each class that counts is known at an age (n,)."""
        known = [curve.known_share(age) for curve in self._counting]
        found: npt.NDArray[np.bool_] = np.min(known, axis=0) >= least
        return found

    def age_of(self, least: float) -> float:
        """The age by which at least this share of each class that counts is known."""
        return max(float(curve.time[np.argmax(curve.share >= least)]) for curve in self._counting)

    def weights(self, label: npt.ArrayLike, age: npt.ArrayLike) -> Floats:
        """One over the chance (n,) that a row of a class (n,) is known at its age (n,); 0 where some class hardly is."""
        return np.where(self.every_class(age), inverse_known_weights(label, age, self.curves), 0.0)

    @property
    def _counting(self) -> list[DelayCurve]:
        order = np.argsort(self.share, kind="stable")
        rare = order[np.cumsum(self.share[order]) <= RARE] if len(order) > 2 else order[:0]
        return [curve for place, curve in enumerate(self.curves.classes) if place not in rare]


def all_told(delay: npt.ArrayLike, age: npt.ArrayLike) -> bool:
    """Whether rows are old enough to tell how late truth comes: what came by the greatest age had nearly all come by three quarters of it.

    Args:
        delay: (n,) after which each row's truth came; nan where it has not.
        age: (n,) today. Where no truth has come, nothing is told.

    >>> all_told([1.0, 2.0, np.nan], [9.0, 9.0, 9.0]), all_told([1.0, 8.0, np.nan], [9.0, 9.0, 9.0])
    (True, False)
    """
    oldest = np.asarray(age, dtype=np.float64)
    late, end = still_open(delay, age, [_LATE * oldest.max(initial=0.0), np.inf])
    return bool(late - end <= (1 - NEARLY_ALL) * (1 - end) and end < 1)
