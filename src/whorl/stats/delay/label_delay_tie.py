"""Is delay tied to truth? A test from a log in which a label is seen only when it came by now.

What is known today is biased only where it is. The test compares the classes of the labels that came at each delay with
those of all labels that had come by then and could have come then: a log-rank test run backwards in time, in which a row
too young for a delay is no witness of it.

Source: Mantel (1966), Cancer Chemotherapy Reports 50:163-170, and Peto & Peto (1972), JRSS A 135:185-207 (log-rank);
Lagakos, Barraj & De Gruttola (1988), Biometrika 75:515-523 (right truncation: the same test in reverse time).
"""

from math import nan
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc

from whorl.stats.arrays import Floats
from whorl.stats.delay.label_delay import delay_curve

LEVEL = 0.01
LEAST_GAP = 0.05
LEAST_ROWS = 10


class DelayTie(NamedTuple):
    """p-value of "all classes have one delay curve", and the largest distance between two classes' curves, in [0, 1].

    Both nan where nothing can be compared.
    """

    p_value: float
    gap: float

    @property
    def shown(self) -> bool:
        """The p-value is below 0.01, and the curves are 0.05 apart somewhere: with rows enough, any difference has a small
        p-value. False where nothing can be compared.
        """
        return self.p_value < LEVEL and self.gap >= LEAST_GAP


def delay_tie(label: npt.ArrayLike, delay: npt.ArrayLike, age: npt.ArrayLike) -> DelayTie:
    """The test over classes with at least 10 known rows each.

    How rows were chosen by class does not matter; chosen by delay they would not do. Rows count alike.

    Args:
        label: (n,) class index of rows whose label is known.
        delay: (n,) below 0 counts as 0, longer than the age as the age.
        age: (n,) today.

    Returns:
        Both nan when fewer than two classes have 10 rows, or when no delay is left at which anything can be compared (all
        are equal, say).

    >>> early, late = np.arange(50) / 10, np.arange(50) / 5
    >>> tie = delay_tie([0] * 50 + [1] * 50, [*early, *late], [20.0] * 100)
    >>> tie.p_value < 0.01, round(tie.gap, 2)
    (True, 0.5)
    """
    y, limit = np.asarray(label), np.maximum(np.asarray(age, dtype=np.float64), 0.0)
    came = np.clip(np.asarray(delay, dtype=np.float64), 0.0, limit)
    classes, counts = np.unique(y, return_counts=True)
    many = classes[counts >= LEAST_ROWS]
    if len(many) < 2:
        return DelayTie(nan, nan)
    own = [y == name for name in many]
    time = np.unique(np.concatenate([came[rows] for rows in own]))
    seen = [_falls_and_risk(came[rows], limit[rows], time) for rows in own]
    falls, risk = (np.column_stack(columns) for columns in zip(*seen, strict=True))
    share = np.array([delay_curve(came[rows], limit[rows]).known_share(time) for rows in own])
    gap = float(np.max(share.max(axis=0) - share.min(axis=0)))
    return _log_rank(falls, risk, gap)


def _falls_and_risk(came: Floats, limit: Floats, time: Floats) -> tuple[Floats, Floats]:
    """Of one class: labels that came at each time, and labels that had come by it and were old enough to come at it."""
    by, before = (np.searchsorted(np.sort(came), time, side=side) for side in ("right", "left"))
    too_young = np.searchsorted(np.sort(limit), time, side="left")
    return (by - before).astype(np.float64), (by - too_young).astype(np.float64)


def _log_rank(falls: Floats, risk: Floats, gap: float) -> DelayTie:
    all_falls, all_risk = falls.sum(axis=1), risk.sum(axis=1)
    part = risk / all_risk[:, None]
    spread = all_falls * (all_risk - all_falls) / np.maximum(all_risk - 1.0, 1.0)
    excess = (falls - all_falls[:, None] * part).sum(axis=0)[:-1]
    covariance = (np.diag((spread[:, None] * part).sum(axis=0)) - (spread[:, None] * part).T @ part)[:-1, :-1]
    freedom = int(np.linalg.matrix_rank(covariance, hermitian=True))
    if freedom == 0:
        return DelayTie(nan, nan)
    statistic = float(excess @ np.linalg.pinv(covariance, hermitian=True) @ excess)
    return DelayTie(float(chdtrc(freedom, statistic)), gap)
