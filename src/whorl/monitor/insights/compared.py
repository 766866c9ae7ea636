"""Earlier and recent rows side by side, and what every test of a cause shares: see `causes.py`."""

from math import nan, sqrt
from typing import Literal, NamedTuple

import msgspec
import numpy as np
from scipy.special import ndtr

from whorl.monitor.insights.probe import Grid, cross_fitted, grid_of
from whorl.monitor.insights.rows import InsightRows, Mask, columns_of
from whorl.spec import Spec
from whorl.stats.arrays import Floats, Indices, codes, effective_rows
from whorl.stats.change.shift_parts import Part, shared_weight, shift_parts
from whorl.stats.linear import variance
from whorl.stats.slices.conditions import Column

Kind = Literal[
    "new_class",
    "broken_feature",
    "label_definition",
    "noisy_labels",
    "shifted_features",
    "segment",
    "new_data",
]
LEAST_ALIKE = 100


class Tested(NamedTuple):
    """One cause: what was measured, its p-value (nan: could not be tested), the share of the loss it explains, which rows."""

    kind: Kind
    effect: str
    value: float
    p: float
    explains: float
    rows: Mask


class Compared(msgspec.Struct):
    """Earlier and recent rows together, and what the tests share.

    Args:
        rows: Both, in order of time; recent: (n,) which are recent.
        kept: (n,) rows that no cause has set apart.
        gap: Mean recent loss less mean earlier loss.
    """

    rows: InsightRows
    recent: Mask
    grid: Grid
    columns: list[Column]
    group: Indices
    kept: Mask
    gap: Part

    @property
    def gap_p(self) -> float:
        """Of "no more is lost than before"."""
        return p_above(self.gap, self.group)


def compare(rows: InsightRows, recent: Mask, spec: Spec) -> Compared:
    """Both periods, ready to be tested."""
    grid, group = grid_of(rows.table, spec), codes(rows.group)
    gap = shift_parts(rows.loss, rows.weight, recent, np.ones(len(rows))).total
    return Compared(rows, recent, grid, columns_of(rows.table, spec), group, np.ones(len(rows), bool), gap)


def p_above(part: Part, group: Indices) -> float:
    """One-sided p of "the difference is not above 0", rows of one group counting together; nan where it is not defined."""
    spread = variance(part.terms, group)
    # Less than this is what rounding leaves of no difference.
    return float(ndtr(-part.value / sqrt(spread))) if spread > 1e-20 else nan


def shared_of(both: Compared, kept: Indices) -> tuple[Floats, Floats]:
    """Weights of the kept rows, beside their own, under which both periods have the same features, and each row's chance of being
    recent, where a row of either period counts 1 on average.
    """
    grid = both.grid.take(kept)
    recent, weight = both.recent[kept], both.rows.weight[kept].copy()
    for side in (recent, ~recent):
        weight[side] /= weight[side].mean() if side.any() else 1.0
    chance = cross_fitted(grid, recent.astype(np.intp), 2, both.group[kept], weight=weight)[:, 1]
    return shared_weight(recent, chance), chance


def too_few_alike(both: Compared, shared: Floats, kept: Indices) -> bool:
    """Too few rows of either period occur in both for what they lose to be compared: normal tests do not hold below."""
    weight, recent = both.rows.weight[kept] * shared[kept], both.recent[kept]
    return any(not effective_rows(weight[side]) >= LEAST_ALIKE for side in (recent, ~recent))


def share_of(both: Compared, part: float) -> float:
    """What part of the gap it is; nan where there is none."""
    return part / both.gap.value if both.gap.value > 0 else nan
