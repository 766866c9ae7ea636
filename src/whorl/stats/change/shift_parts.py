"""How much of a loss between two periods comes from other rows, and how much from other outcomes of the same rows.

Both periods are weighted towards rows that occur in both. What the weighting changes is the part of the rows (the harder ones
became more frequent, or such as were never seen came); what still differs is the part of the outcomes.

Source: Cai, Namkoong & Yadlowsky (2023), "Diagnosing Model Performance Under Distribution Shift" (DISDE), arXiv:2303.02011.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from whorl.stats.arrays import Floats


class Part(NamedTuple):
    """A difference of means, and its terms (n,), whose grouped sum of squares is its variance (`linear.py`)."""

    value: float
    terms: Floats


class ShiftParts(NamedTuple):
    """What was lost in all, by the rows, and by the outcomes: total = rows + outcomes. nan without weight on both sides."""

    total: Part
    rows: Part
    outcomes: Part


def shared_weight(recent: npt.NDArray[np.bool_], chance: Floats) -> Floats:
    """Weights (n,) of mean 1 in each period under which both look like what they share.

    Args:
        recent: (n,) of which period a row is.
        chance: (n,) of being a recent row, from its features, by a model that was not fitted on it.
    """
    odds = chance / np.maximum(1 - chance, 1e-9) * (~recent).sum() / max(recent.sum(), 1)
    weight: Floats = np.where(recent, 1 / (1 + odds), odds / (1 + odds))
    for side in (recent, ~recent):
        total = weight[side].sum()
        weight[side] *= side.sum() / total if total > 0 else np.nan
    return weight


def shift_parts(loss: Floats, weight: Floats, recent: npt.NDArray[np.bool_], shared: Floats) -> ShiftParts:
    """The parts of mean recent loss less mean earlier loss.

    Args:
        loss: (n,), weight: (n,) what each row stands for, shared: (n,) from `shared_weight`.

    >>> recent = np.array([False, False, True, True, True, True])
    >>> loss = np.array([0.0, 1, 0, 1, 1, 1])
    >>> chance = np.array([0.5, 0.75, 0.5, 0.75, 0.75, 0.75])
    >>> parts = shift_parts(loss, np.ones(6), recent, shared_weight(recent, chance))
    >>> round(parts.total.value, 3), round(parts.rows.value, 3), round(parts.outcomes.value, 3)
    (0.25, 0.25, 0.0)
    """
    plain = [_mean(loss, np.where(side, weight, 0.0)) for side in (~recent, recent)]
    shaped = [_mean(loss, np.where(side, weight * shared, 0.0)) for side in (~recent, recent)]
    total, outcomes = _less(plain[1], plain[0]), _less(shaped[1], shaped[0])
    return ShiftParts(total, _less(total, outcomes), outcomes)


def _mean(loss: Floats, weight: Floats) -> Part:
    total = weight.sum()
    if not total > 0:
        return Part(float("nan"), np.full(len(loss), np.nan))
    mean = float(np.dot(loss, weight) / total)
    return Part(mean, weight * (loss - mean) / total)


def _less(one: Part, other: Part) -> Part:
    return Part(one.value - other.value, one.terms - other.terms)
