"""What may explain that more is lost than before, each cause by a test of its own; who ranks and reads them is `why.py`.

Each test compares recent rows with earlier ones and gives the chance of what it saw where its cause is not there, how much of
the loss it explains, and rows to look at. Rows that one cause has explained for good (of a new class; of a segment whose labels
mean something else) are set apart before the next: a change of labels in one segment is no noise everywhere.
"""

from math import nan, sqrt
from typing import Literal, NamedTuple

import msgspec
import numpy as np
from scipy.special import ndtr

from whorl.monitor.insights.probe import Grid, cross_fitted, grid_of
from whorl.monitor.insights.rows import InsightRows, Mask, columns_of
from whorl.spec import Spec
from whorl.stats.arrays import Floats, Indices, codes
from whorl.stats.change.shift_parts import Part, shared_weight, shift_parts
from whorl.stats.learning.label_errors import class_thresholds, label_errors
from whorl.stats.linear import variance
from whorl.stats.metrics.auc import auc_linear
from whorl.stats.slices.conditions import Column, holds
from whorl.stats.slices.slices import Slice, find_slices

Kind = Literal["new_class", "label_definition", "noisy_labels", "shifted_features", "segment", "new_data"]
LEAST_SLICE_ROWS = 30
MOST_CLASSES = 12
BINS = 20


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


def tested_causes(both: Compared, level: float) -> list[Tested]:
    """Every cause, the most particular first; those that hold at `level` set their rows apart."""
    found = []
    for test in (_new_class, label_definition):
        one = test(both)
        found.append(one)
        if one.p <= 1 - level:
            both.kept &= ~one.rows
    shared = np.ones(len(both.rows))
    kept = np.flatnonzero(both.kept)
    shared[kept], chance = shared_of(both, kept)
    found.append(_shifted_features(both, chance, shared, kept))
    found.append(noisy_labels(both, shared, kept))
    found.append(_segment(both, shared, kept))
    return found


def p_above(part: Part, group: Indices) -> float:
    """One-sided p of "the difference is not above 0", rows of one group counting together; nan where it is not defined."""
    spread = variance(part.terms, group)
    # Less than this is what rounding leaves of no difference.
    return float(ndtr(-part.value / sqrt(spread))) if spread > 1e-20 else nan


def _new_class(both: Compared) -> Tested:
    """Classes that no earlier row had, and no answer named: Fisher's exact test of their groups, Bonferroni over classes."""
    rows, recent = both.rows, both.recent
    if not rows.classes:
        return Tested("new_class", "", nan, nan, nan, np.zeros(len(rows), bool))
    label = rows.truth.astype(np.intp)
    earlier = set(label[~recent].tolist())
    answered = rows.said.ndim == 1 or rows.said.max(axis=0) > 0
    unseen = [
        c
        for c in sorted(set(label[recent].tolist()) - earlier)
        if not np.broadcast_to(answered, len(rows.classes))[c]
    ]
    p, chosen = 1.0, np.zeros(len(rows), bool)
    every, late = len(set(both.group.tolist())), len(set(both.group[recent].tolist()))
    for one in unseen:
        k = len(set(both.group[recent & (label == one)].tolist()))
        chance = float(np.prod([(late - i) / (every - i) for i in range(k)])) * len(unseen)
        if chance <= 0.05 or chance < p:
            chosen |= recent & (label == one)
        p = min(p, chance)
    named = ", ".join(repr(rows.classes[one]) for one in unseen)
    effect = (
        f"{int(chosen.sum()):,} recent rows are of a class never seen before: {named}"
        if unseen
        else "no new class"
    )
    return Tested(
        "new_class", effect, float(chosen.sum() / max(recent.sum(), 1)), p, _lost_there(both, chosen), chosen
    )


def label_definition(both: Compared) -> Tested:
    """A segment in which a class is labelled more, or less, often than what the features told before, beside the others."""
    rows, kept = both.rows, np.flatnonzero(both.kept)
    label = _targets(rows)
    classes = max(len(rows.classes), int(label.max(initial=0)) + 1, 2)
    earlier = kept[~both.recent[kept]]
    said = cross_fitted(both.grid, label, classes, both.group, earlier)
    shared = np.ones(len(rows))
    shared[kept], _ = shared_of(both, kept)
    wanted = (
        [1]
        if classes == 2
        else np.argsort(-np.bincount(label[kept], minlength=classes))[:MOST_CLASSES].tolist()
    )
    best: Slice | None = None
    tests, where = 0, ""
    for one in wanted:
        left = _beside_line((label == one).astype(float), said[:, one], both.recent, kept)
        for sign, word in ((1.0, "more"), (-1.0, "less")):
            found = _changed(both, sign * left, shared, kept, deepest=2)
            tests += 1
            if found is not None and (best is None or found.p < best.p):
                best, where = found, f"{_class_name(rows, one)} is {word} often the label"
    if best is None:
        return Tested(
            "label_definition",
            "no segment's labels changed beside what its features tell",
            0.0,
            1.0,
            0.0,
            np.zeros(len(rows), bool),
        )
    chosen = holds(best.conditions, both.columns) & both.kept
    p = min(1.0, best.p * tests)
    effect = f"where {best.text}, {where} than its features told before"
    return Tested("label_definition", effect, best.difference.value, p, _lost_more(both, chosen), chosen)


def _shifted_features(both: Compared, chance: Floats, shared: Floats, kept: Indices) -> Tested:
    """Recent rows can be told from earlier ones, and that there are others explains a loss: the larger of both p-values."""
    rows, recent = both.rows, both.recent[kept]
    told = auc_linear(recent.astype(np.float64), chance, rows.weight[kept])
    apart = p_above(Part(told.value - 0.5, told.terms), both.group[kept])
    parts = shift_parts(rows.loss[kept], rows.weight[kept], recent, shared[kept])
    p = float(np.max([apart, p_above(parts.rows, both.group[kept])]))
    chosen = np.zeros(len(rows), bool)
    unlike = chance >= np.quantile(chance[recent], 0.8) if recent.any() else np.zeros(len(kept), bool)
    chosen[kept[recent & unlike]] = True
    effect = f"recent rows are told from earlier ones with AUC {told.value:.2f}"
    return Tested("shifted_features", effect, told.value, p, _share(both, parts.rows.value), chosen)


def noisy_labels(both: Compared, shared: Floats, kept: Indices, *, heavy: bool = False) -> Tested:
    """More labels than before contradict what features tell, by a model that knew of both periods.

    `heavy`: each period has its own thresholds, for noise of a third of the labels leaves no class that a model is sure of.
    """
    rows, recent = both.rows, both.recent[kept]
    if not rows.classes:
        return Tested("noisy_labels", "", nan, nan, nan, np.zeros(len(rows), bool))
    label, classes = _targets(rows)[kept], len(rows.classes)
    # It may learn that the periods differ: what can be learnt is no noise.
    values = np.column_stack([both.grid.values[kept], recent])
    said = cross_fitted(Grid(values, both.grid.categories), label, classes, both.group[kept])
    before = class_thresholds(label[~recent], said[~recent], shared[kept][~recent] if heavy else None)
    wrong = label_errors(label, said, before)
    if heavy:
        own = class_thresholds(label[recent], said[recent], shared[kept][recent])
        wrong[recent] = label_errors(label[recent], said[recent], own)
    more = shift_parts(wrong.astype(np.float64), rows.weight[kept], recent, shared[kept]).outcomes
    chosen = np.zeros(len(rows), bool)
    chosen[kept[wrong & recent]] = True
    loss, weight = rows.loss[kept], rows.weight[kept]
    costs = (
        np.average(loss[recent & wrong], weights=weight[recent & wrong])
        - np.average(loss[recent & ~wrong], weights=weight[recent & ~wrong])
        if wrong[recent].any() and not wrong[recent].all()
        else 0.0
    )
    late, early = (np.average(wrong[side], weights=weight[side]) for side in (recent, ~recent))
    effect = f"{late:.1%} of recent labels contradict their features, {early:.1%} before"
    part = float(more.value * costs * recent.sum() / max(both.recent.sum(), 1))
    return Tested(
        "noisy_labels", effect, more.value, p_above(more, both.group[kept]), _share(both, part), chosen
    )


def _segment(both: Compared, shared: Floats, kept: Indices) -> Tested:
    """A slice in which the loss grew more than elsewhere among rows that were answered alike."""
    rows = both.rows
    left = _beside_answer(rows, both.recent, kept)
    found = _changed(both, left, shared, kept, deepest=3)
    if found is None:
        return Tested(
            "segment",
            "the loss grew in no slice more than elsewhere",
            0.0,
            1.0,
            0.0,
            np.zeros(len(rows), bool),
        )
    chosen = holds(found.conditions, both.columns) & both.kept
    return Tested(
        "segment",
        f"the loss grew where {found.text}",
        found.difference.value,
        found.p,
        _lost_more(both, chosen),
        chosen,
    )


def shared_of(both: Compared, kept: Indices) -> tuple[Floats, Floats]:
    """Weights of the kept rows, beside their own, under which both periods have the same features, and each row's chance of being
    recent, where a row of either period counts 1 on average.
    """
    grid = Grid(both.grid.values[kept], both.grid.categories)
    recent, weight = both.recent[kept], both.rows.weight[kept].copy()
    for side in (recent, ~recent):
        weight[side] /= weight[side].mean() if side.any() else 1.0
    chance = cross_fitted(grid, recent.astype(np.intp), 2, both.group[kept], weight=weight)[:, 1]
    return shared_weight(recent, chance), chance


def _changed(both: Compared, value: Floats, shared: Floats, kept: Indices, *, deepest: int) -> Slice | None:
    """The slice in which a value changed most from earlier to recent rows, beside the others; None where none is shown.

    A recent row counts its value and an earlier one its negative, so that the mean over a slice is the change in it.
    """
    recent, weight = both.recent[kept], both.rows.weight[kept]
    shaped = weight * shared[kept]
    if not recent.any() or recent.all():
        return None
    scale = weight.sum() / np.where(recent, shaped[recent].sum(), -shaped[~recent].sum())
    change = value[kept] * shared[kept] * scale
    columns = [msgspec.structs.replace(one, codes=one.codes[kept]) for one in both.columns]
    found = find_slices(
        columns,
        change,
        weight,
        both.group[kept],
        level=0.5,
        least=LEAST_SLICE_ROWS,
        deepest=deepest,
    )
    return min(found.shown, key=lambda one: one.p, default=None)


def _beside_line(hit: Floats, said: Floats, recent: Mask, kept: Indices) -> Floats:
    """Label less chance (n,), less a line in the chance for each period: noise everywhere moves that line, not segments."""
    left = np.zeros(len(hit))
    for side in (recent, ~recent):
        rows = kept[side[kept]]
        if len(rows):
            design = np.column_stack([np.ones(len(rows)), said[rows]])
            left[rows] = hit[rows] - design @ np.linalg.lstsq(design, hit[rows], rcond=None)[0]
    return left


def _beside_answer(rows: InsightRows, recent: Mask, kept: Indices) -> Floats:
    """Loss (n,) less the mean loss of the same period's rows with an answer like it."""
    sure = rows.said if rows.said.ndim == 1 else rows.said.max(axis=1)
    left = np.zeros(len(rows))
    for side in (recent, ~recent):
        places = kept[side[kept]]
        left[places] = beside_alike(rows.loss[places], sure[places])
    return left


def beside_alike(loss: Floats, answer: Floats) -> Floats:
    """Loss (n,) less the mean loss of the rows with an answer like it: in the same twentieth of answers."""
    edges = np.unique(np.quantile(answer, np.arange(1, BINS) / BINS)) if len(answer) else np.empty(0)
    cell = np.searchsorted(edges, answer, side="right")
    mean = np.bincount(cell, loss) / np.maximum(np.bincount(cell), 1)
    left: Floats = loss - mean[cell]
    return left


def _targets(rows: InsightRows) -> Indices:
    """Classes as they are; numbers as "above the median"."""
    if rows.classes:
        return rows.truth.astype(np.intp)
    return (rows.truth > np.median(rows.truth)).astype(np.intp)


def _class_name(rows: InsightRows, place: int) -> str:
    return repr(rows.classes[place]) if rows.classes else "a high number"


def _lost_there(both: Compared, chosen: Mask) -> float:
    """Share of the gap that recent rows among the chosen lose beyond what earlier rows lost."""
    rows, recent = both.rows, both.recent
    before = np.average(rows.loss[~recent], weights=rows.weight[~recent])
    over = np.dot(rows.weight[recent & chosen], rows.loss[recent & chosen] - before)
    return _share(both, float(over / rows.weight[recent].sum()))


def _lost_more(both: Compared, chosen: Mask) -> float:
    """Share of the gap that recent rows among the chosen lose beyond what earlier ones among them lost."""
    rows, recent = both.rows, both.recent
    inside, before = recent & chosen, ~recent & chosen
    if not rows.weight[before].sum() > 0 or not rows.weight[inside].sum() > 0:
        return nan
    over = np.dot(
        rows.weight[inside], rows.loss[inside] - np.average(rows.loss[before], weights=rows.weight[before])
    )
    return _share(both, float(over / rows.weight[recent].sum()))


def _share(both: Compared, part: float) -> float:
    return part / both.gap.value if both.gap.value > 0 else nan
