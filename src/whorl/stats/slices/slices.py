"""Slices of the rows in which a loss is concentrated, found on one half of them and shown on the other.

What is promised: the chance that any slice that is reported is in truth no worse than the rest of the rows, or than what
the slices before it explain, is at most 1 - level, whatever was searched. Which slices are reported, and in which order, is a
choice made by looking at the first half; every figure comes from the second.
"""

from collections.abc import Sequence
from math import exp, isfinite, log, nan
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from whorl.stats.arrays import Floats, codes
from whorl.stats.intervals.estimate import Estimate, student_quantile
from whorl.stats.intervals.holm import holm
from whorl.stats.intervals.wilson import wilson_like
from whorl.stats.linear import mean_linear
from whorl.stats.slices.conditions import Column, Condition, Mask, holds
from whorl.stats.slices.slice_search import Found, worst_slices

SEARCHED = 100_000
FLOOR = 2.0


class Slice(msgspec.Struct, frozen=True):
    """One slice, with figures of the rows that did not choose it.

    Args:
        rows: Of the slice, among all rows; `share`: of all rows.
        mean: Loss in it, with its interval; `rest`: the loss of all other rows.
        difference: mean - rest, with its interval.
        lift: mean / rest, with its interval; nan where a loss can be negative, or the rest has none.
        p: Of "no worse than the rest, or than the slices before it explain", adjusted for all that were tested.
    """

    conditions: tuple[Condition, ...]
    rows: int
    share: float
    mean: Estimate
    rest: float
    difference: Estimate
    lift: Estimate
    p: float

    @property
    def text(self) -> str:
        return " and ".join(one.text for one in self.conditions)


class Slices(NamedTuple):
    """What was shown, in order of choice; how many slices were counted, and how many tested; the rows of each half."""

    shown: list[Slice]
    counted: int
    tested: int
    searched_rows: int
    tested_rows: int


def find_slices(
    columns: Sequence[Column],
    loss: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    group: npt.ArrayLike | None = None,
    *,
    level: float = 0.95,
    least: int = 30,
    deepest: int = 3,
    most: int = 20,
    seed: int = 0,
) -> Slices:
    """The slices whose rows lose more than the others.

    Args:
        columns: What conditions are made of; each of n rows.
        loss: (n,) of each row, any real number; greater is worse.
        weight: (n,) how many rows each stands for.
        group: (n,) rows of one group are not independent; a group is in one half.
        level: 1 - the chance of any false slice.
        least: Rows of a slice in each half.
        deepest: 1 to 3 conditions a slice.
        most: How many slices are tested at most.
    """
    y, w, g = _rows(loss, weight, group)
    if not columns or len(y) < 4 * least or not y.std() > 0:
        return Slices([], 0, 0, 0, len(y))
    chosen = _half(g, seed)
    first, second = np.flatnonzero(chosen)[:SEARCHED], np.ones(len(y), dtype=np.bool_)
    second[first] = False
    excess = _excess(y[first], w[first])
    found, counted = worst_slices(
        [_take(one, first) for one in columns], excess, least=least, deepest=deepest, floor=FLOOR
    )
    picked = _picked(found, [_take(one, first) for one in columns], excess, most)
    masks = [holds(one.conditions, columns) for one in picked]
    tests = _tested([mask[second] for mask in masks], y[second], w[second], g[second], least)
    adjusted = holm(tests)
    shown = [
        _shown(one.conditions, mask, second, y, w, g, float(p), level)
        for one, mask, p in zip(picked, masks, adjusted, strict=True)
        if p <= 1 - level
    ]
    return Slices(shown, counted, len(picked), len(first), int(second.sum()))


def _rows(
    loss: npt.ArrayLike, weight: npt.ArrayLike | None, group: npt.ArrayLike | None
) -> tuple[Floats, Floats, npt.NDArray[np.intp]]:
    y = np.asarray(loss, dtype=np.float64)
    w = np.ones(len(y)) if weight is None else np.asarray(weight, dtype=np.float64)
    if not (np.isfinite(y).all() and np.isfinite(w).all() and (w >= 0).all()):
        raise ValueError("A loss is not finite, or a weight is negative or not finite.")
    return y, w, np.arange(len(y)) if group is None else codes(np.asarray(group))


def _half(group: npt.NDArray[np.intp], seed: int) -> Mask:
    draw = np.random.default_rng(seed).random(int(group.max()) + 1 if len(group) else 0)
    half: Mask = draw[group] < 0.5
    return half


def _take(column: Column, rows: npt.NDArray[np.intp]) -> Column:
    return msgspec.structs.replace(column, codes=column.codes[rows])


def _excess(loss: Floats, weight: Floats) -> Floats:
    """Weighted loss over its mean (n,), in units of its standard deviation."""
    over = weight * (loss - np.average(loss, weights=weight)) if weight.any() else np.zeros(len(loss))
    spread = over.std()
    scaled: Floats = (over - over.mean()) / spread if spread > 0 else np.zeros(len(loss))
    return scaled


def _picked(found: list[Found], columns: list[Column], excess: Floats, most: int) -> list[Found]:
    """The worst slice, then the worst by what the ones before it leave unexplained, and so on."""
    if not found:
        return []
    masks = np.array([holds(one.conditions, columns) for one in found], dtype=np.float32)
    root = np.sqrt(masks.sum(axis=1))
    picked: list[int] = []
    signature = np.zeros(len(excess), dtype=np.intp)
    left = excess
    while len(picked) < most:
        scores = masks @ left.astype(np.float32) / root
        scores[picked] = -np.inf
        best = int(np.argmax(scores))
        if scores[best] < FLOOR:
            break
        picked.append(best)
        signature = _split(signature, masks[best] > 0)
        left = _unexplained(excess, np.ones(len(excess)), signature)
    return [found[place] for place in picked]


def _split(signature: npt.NDArray[np.intp], mask: Mask) -> npt.NDArray[np.intp]:
    """Numbers (n,) from 0 of the cells that a mask splits the cells of `signature` into."""
    cell = signature * 2 + mask
    number = np.cumsum(np.bincount(cell) > 0) - 1
    split: npt.NDArray[np.intp] = number[cell]
    return split


def _unexplained(loss: Floats, weight: Floats, signature: npt.NDArray[np.intp]) -> Floats:
    """Loss (n,) less its mean among the rows that are in the same slices."""
    total = np.bincount(signature, weight)
    mean = np.bincount(signature, weight * loss) / np.where(total > 0, total, 1.0)
    left: Floats = loss - mean[signature]
    return left


def _tested(
    masks: list[Mask], loss: Floats, weight: Floats, group: npt.NDArray[np.intp], least: int
) -> list[float]:
    """p of each slice, in order: worse than the rest, and than those before it explain; nan with too few rows."""
    signature, p_values = np.zeros(len(loss), dtype=np.intp), []
    for mask in masks:
        if min(mask.sum(), (~mask).sum()) < least:
            p_values.append(nan)
            continue
        left = _unexplained(loss, weight, signature)
        p_values.append(max(_worse(loss, mask, weight, group), _worse(left, mask, weight, group)))
        signature = _split(signature, mask)
    return p_values


def _worse(loss: Floats, mask: Mask, weight: Floats, group: npt.NDArray[np.intp]) -> float:
    difference, error, units = _difference(loss, mask, weight, group)
    if not (error > 0 and units > 1):
        return 1.0
    from scipy.special import stdtr

    return float(stdtr(units - 1, -difference / error))


def _difference(
    loss: Floats, mask: Mask, weight: Floats, group: npt.NDArray[np.intp]
) -> tuple[float, float, int]:
    """Weighted mean in the slice less that of the rest, its standard error, and the groups in the slice."""
    inside, inside_error = _mean(loss, weight * mask, group)
    outside, outside_error = _mean(loss, weight * ~mask, group)
    return (
        inside - outside,
        float(np.hypot(inside_error, outside_error)),
        _units(mask, group),
    )


def _units(weight: npt.NDArray[np.generic], group: npt.NDArray[np.intp]) -> int:
    """Groups that have rows of positive weight."""
    return int(np.count_nonzero(np.bincount(group, weight)))


def _mean(loss: Floats, weight: Floats, group: npt.NDArray[np.intp]) -> tuple[float, float]:
    """Weighted mean, and its standard error where groups are independent and their rows are not."""
    total = weight.sum()
    if not total > 0:
        return nan, nan
    mean = float(np.dot(weight, loss) / total)
    per_group = np.bincount(group, weight * (loss - mean))
    units = _units(weight, group)
    return mean, float(np.sqrt(np.square(per_group).sum() * units / max(units - 1, 1)) / total)


def _shown(
    conditions: tuple[Condition, ...],
    mask: Mask,
    second: Mask,
    loss: Floats,
    weight: Floats,
    group: npt.NDArray[np.intp],
    p: float,
    level: float,
) -> Slice:
    y, w, g, inside = loss[second], weight[second], group[second], mask[second]
    n, least, bounded = int(inside.sum()), loss.min(), loss.min() >= 0 and loss.max() <= 1
    reach = student_quantile(level, _units(inside, g))
    part, rest = (_part(y, w * rows, g, reach, bounded) for rows in (inside, ~inside))
    return Slice(
        conditions=conditions,
        rows=int(mask.sum()),
        share=float(weight[mask].sum() / weight.sum()),
        mean=Estimate(part.value, max(part.low, 0.0) if least >= 0 else part.low, part.high, n),
        rest=rest.value,
        difference=_between(part, rest, n),
        lift=_lift(part, rest, n) if least >= 0 else Estimate(nan, nan, nan, n),
        p=p,
    )


class _Part(NamedTuple):
    """The mean of some rows, its bounds, and how far they reach on the logarithm."""

    value: float
    low: float
    high: float
    log_down: float
    log_up: float


def _part(loss: Floats, weight: Floats, group: npt.NDArray[np.intp], reach: float, bounded: bool) -> _Part:
    """Losses in [0, 1] have Wilson's bounds: where nearly all rows lose, as in the slices that are shown, others cover too little."""
    value, error = _mean(loss, weight, group)
    if not (bounded and isfinite(error) and isfinite(reach)):
        wide = reach * error
        far = wide / value if value > 0 else nan
        return _Part(value, value - wide, value + wide, far, far)
    alike = mean_linear(loss, weight).alike
    low, high = wilson_like(value, error**2, _units(weight, group), z=reach, alike=alike)
    down, up = (log(value / low), log(high / value)) if value > 0 else (nan, nan)
    return _Part(value, low, high, down, up)


def _between(part: _Part, rest: _Part, n: int) -> Estimate:
    """Difference of means, its bounds from theirs (Newcombe 1998, Statistics in Medicine 17:873-890, method 10)."""
    value = part.value - rest.value
    down = float(np.hypot(part.value - part.low, rest.high - rest.value))
    up = float(np.hypot(part.high - part.value, rest.value - rest.low))
    return Estimate(value, value - down, value + up, n)


def _lift(part: _Part, rest: _Part, n: int) -> Estimate:
    """Ratio of means: their bounds put together on the logarithm (Katz et al. 1978, Biometrics 34:469-474, where symmetric)."""
    if not (part.value > 0 and rest.value > 0 and isfinite(part.log_down) and isfinite(rest.log_down)):
        return Estimate(nan, nan, nan, n)
    lift = part.value / rest.value
    down, up = float(np.hypot(part.log_down, rest.log_up)), float(np.hypot(part.log_up, rest.log_down))
    return Estimate(lift, lift * exp(-down), lift * exp(up), n)
