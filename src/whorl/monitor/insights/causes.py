"""What may explain that more is lost than before, each cause by a test of its own; who ranks and reads them is `why.py`.

Each test compares recent rows with earlier ones and gives the chance of what it saw where its cause is not there, how much of
the loss it explains, and rows to look at. Rows that one cause has explained for good (of a new class; of a segment whose labels
mean something else) are set apart before the next, as are features that broke: a change of labels in one segment is no noise everywhere.
"""

from math import nan

import msgspec
import numpy as np

from whorl.monitor.insights.broken_feature import Losses, broken_feature, moved_features, moved_text
from whorl.monitor.insights.compared import Compared, Tested, p_above, share_of, shared_of, too_few_alike
from whorl.monitor.insights.probe import cross_fitted
from whorl.monitor.insights.rows import InsightRows, Mask
from whorl.stats.arrays import Floats, Indices
from whorl.stats.change.shift_parts import Part, shift_parts
from whorl.stats.learning.label_errors import class_thresholds, label_errors
from whorl.stats.metrics.auc import auc_linear
from whorl.stats.slices.conditions import holds
from whorl.stats.slices.slices import Slice, find_slices

LEAST_SLICE_ROWS = 30
MOST_CLASSES = 12
BINS = 20


def tested_causes(both: Compared, losses: Losses, level: float) -> list[Tested]:
    """Every cause, the most particular first; those that hold at `level` set their rows, or their features, apart.

    losses: (truth, answers) -> what each row loses.
    """
    found = [_new_class(both)]
    _set_apart(both, found[-1], level)
    broken, features = broken_feature(both, losses, level)
    both.grid = both.grid.without(features)
    both.columns = [one for one in both.columns if one.name not in features]
    found += [broken, label_definition(both)]
    _set_apart(both, found[-1], level)
    shared = np.ones(len(both.rows))
    kept = np.flatnonzero(both.kept)
    shared[kept], chance = shared_of(both, kept)
    found.append(_shifted_features(both, chance, shared, kept, level))
    found.append(noisy_labels(both, shared, kept))
    found.append(_segment(both, shared, kept))
    return found


def _set_apart(both: Compared, one: Tested, level: float) -> None:
    if one.p <= 1 - level:
        both.kept &= ~one.rows


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


def _shifted_features(both: Compared, chance: Floats, shared: Floats, kept: Indices, level: float) -> Tested:
    """Recent rows can be told from earlier ones, and that there are others explains a loss: the larger of both p-values.

    Could not be tested where too few rows of both periods are alike.
    """
    rows, recent = both.rows, both.recent[kept]
    told = auc_linear(recent.astype(np.float64), chance, rows.weight[kept])
    moved = moved_text(moved_features(both, np.arange(len(rows)), level))
    effect = f"recent rows are told from earlier ones with AUC {told.value:.2f}; {moved}"
    chosen = np.zeros(len(rows), bool)
    if too_few_alike(both, shared, kept):
        effect += "; too few rows are alike in both periods to compare what they lose"
        return Tested("shifted_features", effect, told.value, nan, nan, chosen)
    apart = p_above(Part(told.value - 0.5, told.terms), both.group[kept])
    parts = shift_parts(rows.loss[kept], rows.weight[kept], recent, shared[kept])
    p = float(np.max([apart, p_above(parts.rows, both.group[kept])]))
    unlike = chance >= np.quantile(chance[recent], 0.8) if recent.any() else np.zeros(len(kept), bool)
    chosen[kept[recent & unlike]] = True
    return Tested("shifted_features", effect, told.value, p, share_of(both, parts.rows.value), chosen)


def noisy_labels(both: Compared, shared: Floats, kept: Indices, *, strict: bool = True) -> Tested:
    """More labels than before contradict what features tell, by a model that knew of both periods.

    Which rows do is told by thresholds of each period: noise of a third of the labels leaves no class that a model is as sure of as
    before. `strict`: there must be more by the earlier thresholds too, for those of few rows are uncertain.
    """
    rows, recent = both.rows, both.recent[kept]
    if not rows.classes:
        return Tested("noisy_labels", "", nan, nan, nan, np.zeros(len(rows), bool))
    label, classes = _targets(rows)[kept], len(rows.classes)
    # It may learn that the periods differ: what can be learnt is no noise.
    values = np.column_stack([both.grid.values[kept], recent])
    said = cross_fitted(both.grid.take(kept)._replace(values=values), label, classes, both.group[kept])
    wrong = np.zeros(len(kept), bool)
    for side in (recent, ~recent):
        own = class_thresholds(label[side], said[side], shared[kept][side])
        wrong[side] = label_errors(label[side], said[side], own)
    more = _more(both, wrong, shared, kept)
    p = p_above(more, both.group[kept])
    if strict:
        before = class_thresholds(label[~recent], said[~recent])
        p = max(p, p_above(_more(both, label_errors(label, said, before), shared, kept), both.group[kept]))
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
    return Tested("noisy_labels", effect, more.value, p, share_of(both, part), chosen)


def _more(both: Compared, hit: Mask, shared: Floats, kept: Indices) -> Part:
    """How much more often it is so of recent rows, among rows alike."""
    weight, recent = both.rows.weight[kept], both.recent[kept]
    return shift_parts(hit.astype(np.float64), weight, recent, shared[kept]).outcomes


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
    return share_of(both, float(over / rows.weight[recent].sum()))


def _lost_more(both: Compared, chosen: Mask) -> float:
    """Share of the gap that recent rows among the chosen lose beyond what earlier ones among them lost."""
    rows, recent = both.rows, both.recent
    inside, before = recent & chosen, ~recent & chosen
    if not rows.weight[before].sum() > 0 or not rows.weight[inside].sum() > 0:
        return nan
    over = np.dot(
        rows.weight[inside], rows.loss[inside] - np.average(rows.loss[before], weights=rows.weight[before])
    )
    return share_of(both, float(over / rows.weight[recent].sum()))
