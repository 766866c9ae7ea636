"""Learn how late labels come from rows of every age, whatever their delay depends on: hazards in steps of age.

A row passes steps of age, and its label comes in one of them. Two questions that any classifier can answer are all there is
to learn: does the label of a row that is open come in this step (the hazard), and of which class is a label that comes in
it? Here: the steps, which rows answer each question, and what the answers make of a row that is still open. Neither the
classes' delays nor their features need to be independent of each other, and open rows are read for what they are: rows
whose label has not come in the steps that they have passed. Not here: the classifiers (`train/trainers/lightgbm_late.py`).

Ages and delays are numbers in one unit: days, or shares of the horizon (`label_delay.relative_to_horizon`).
Source: Prentice et al. (1978), "The analysis of failure times in the presence of competing risks", Biometrics 34:541-554;
Singer & Willett (1993), Journal of Educational Statistics 18:155-195 (discrete time, one row a row and step).
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from whorl.stats.arrays import Floats, Indices


def delay_steps(delay: npt.ArrayLike, *, most: int = 12) -> Floats:
    """Upper ends (s,) of the steps of age, ascending: quantiles of the delays. A last step, without an end, follows them.

    Fewer than `most - 1` where delays are equal; none at all when all are, or when there are none: then only the last step is
    left.

    Args:
        delay: (n,) of rows whose label is known.
        most: Steps, the last one included.

    >>> delay_steps([1, 2, 3, 4], most=4).tolist(), delay_steps([7, 7, 7]).tolist()
    ([1.0, 2.0, 3.0], [])
    """
    came = np.asarray(delay, dtype=np.float64)
    if not len(came):
        return came
    inner = np.quantile(came, np.arange(1, most) / most, method="inverted_cdf")
    ends: Floats = np.unique(inner[inner < came.max()])
    return ends


class AtRisk(NamedTuple):
    """Who may be asked for the hazard: position in the input (m,), its step (m,), and whether its label came in it (m,)."""

    row: Indices
    step: Indices
    came: npt.NDArray[np.bool_]


def at_risk(delay: npt.ArrayLike, age: npt.ArrayLike, ends: Floats) -> AtRisk:
    """Rows that were open when a step began and are old enough to have passed it, step by step.

    Without the second condition a step would hold the rows that were quick in it, and not yet those that were slow.

    Args:
        delay: (n,) of each row; inf where the label is not known yet.
        age: (n,) today.
        ends: As from `delay_steps`. The last step is nobody's: every label that has not come before comes in it.

    >>> rows = at_risk([1.0, 5.0, np.inf], [9.0, 9.0, 3.0], np.array([2.0, 4.0]))
    >>> rows.row.tolist(), rows.step.tolist(), rows.came.tolist()
    ([0, 1, 2, 1], [0, 0, 0, 1], [True, False, False, False])
    """
    came_in = np.searchsorted(ends, np.asarray(delay, dtype=np.float64), side="left")
    passed = np.searchsorted(ends, np.asarray(age, dtype=np.float64), side="right")
    step, row = np.nonzero(np.arange(len(ends))[:, None] < np.minimum(came_in + 1, passed))
    return AtRisk(row, step, came_in[row] == step)


def step_of(delay: npt.ArrayLike, ends: Floats) -> Indices:
    """The step (n,) in which each label came.

    >>> step_of([0.5, 2.0, 2.5, 99.0], np.array([2.0, 4.0])).tolist()
    [0, 0, 1, 2]
    """
    return np.searchsorted(ends, np.asarray(delay, dtype=np.float64), side="left")


def chances_when_open(age: npt.ArrayLike, ends: Floats, hazard: Floats, shares: Floats) -> Floats:
    """Chance (n, k) of each class for rows that are open at their age (n,): over the steps that lie before them, the chance
    that the label comes in it, times the classes' shares among those that do. Rows sum to 1.

    Of a step that a row is in the middle of, the hazard that is left counts, as if it were constant within the step.

    Args:
        age: (n,); below 0 counts as 0.
        ends: (s,) as from `delay_steps`.
        hazard: (n, s) chance that the label comes in each step, given that it has not come before, in [0, 1].
        shares: (n, s + 1, k) of the classes among labels that come in each step; sum to 1 over the classes.

    >>> ends, hazard = np.array([1.0]), np.array([[0.5], [0.5]])
    >>> shares = np.array([[[0.0, 1.0], [1.0, 0.0]]] * 2)
    >>> chances_when_open([0.0, 1.0], ends, hazard, shares).tolist()
    [[0.5, 0.5], [1.0, 0.0]]
    """
    now = np.maximum(np.asarray(age, dtype=np.float64), 0.0)
    width = np.diff(ends, prepend=0.0)
    left = np.where(
        width > 0, np.clip((ends - now[:, None]) / np.where(width > 0, width, 1.0), 0.0, 1.0), 0.0
    )
    stays = (1.0 - np.clip(hazard, 0.0, 1.0)) ** left
    still = np.cumprod(np.column_stack([np.ones(len(now)), stays]), axis=1)
    comes = np.column_stack([still[:, :-1] * (1.0 - stays), still[:, -1]])
    chance: Floats = np.einsum("ns,nsk->nk", comes, np.asarray(shares, dtype=np.float64))
    return chance
