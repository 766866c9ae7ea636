"""Why did a challenger lose? Both sides on the same holdout rows, and what the challenger was taught, each cause tested.

What a cause cost is told by teaching a quick model again without it (with every label that is known, without the suspicious ones,
with rows weighted towards those that are judged) and comparing on the judged rows, pair by pair.
"""

from datetime import datetime
from math import nan
from typing import NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from whorl.monitor.insights.causes import LEAST_SLICE_ROWS, beside_alike, label_definition, noisy_labels
from whorl.monitor.insights.compared import Compared, Kind, Tested, compare, p_above, shared_of
from whorl.monitor.insights.probe import fitted_once
from whorl.monitor.insights.rows import InsightRows, Mask, champion_rows, columns_of
from whorl.records import ModelVersion
from whorl.spec import Spec
from whorl.stats.arrays import Floats, Indices, codes
from whorl.stats.change.shift_parts import Part
from whorl.stats.metrics.auc import auc_linear
from whorl.stats.metrics.brier import brier_losses
from whorl.stats.slices.conditions import holds
from whorl.stats.slices.slices import find_slices
from whorl.storage import dataset_versions
from whorl.workspace import Workspace


class Lost(NamedTuple):
    """Judged rows, how much more the challenger lost on each (n,), the champion's answers, and the mean of what was lost."""

    rows: InsightRows
    more: Floats
    answer: Floats
    group: Indices
    gap: Part


def judged(ws: Workspace, as_of: datetime, challenger: ModelVersion) -> Lost:
    """Rows that champion and challenger both answer."""
    theirs, ours = champion_rows(ws, as_of), champion_rows(ws, as_of, version=challenger)
    both = np.intersect1d(theirs.ids.astype(str), ours.ids.astype(str))
    theirs = theirs.take(np.isin(theirs.ids.astype(str), both))
    ours = ours.take(np.isin(ours.ids.astype(str), both))
    more = _losses(ours) - _losses(theirs)
    name = "brier" if ours.classes else ours.loss_name
    rows = msgspec.structs.replace(ours, loss=more, loss_name=name)
    answer = theirs.said if theirs.said.ndim == 1 else theirs.said.max(axis=1)
    return Lost(rows, more, answer, codes(rows.group), _mean(more, rows.weight))


def _losses(rows: InsightRows) -> Floats:
    """Classes by Brier, as the quick models are, so that shares of a loss are shares of one thing."""
    return brier_losses(rows.truth, rows.said) if rows.classes and len(rows) else rows.loss


def tested_losses(ws: Workspace, as_of: datetime, challenger: ModelVersion, lost: Lost) -> list[Tested]:
    """Every cause that can be tested with what is known of the challenger's training; `rows` are of the judged ones."""
    taught = _taught(ws, as_of, challenger)
    found = [_segment(lost, ws.spec)]
    if taught is None or ws.spec.task == "regression":
        return found
    pool = _Pool(lost, taught, ws.spec)
    return [
        *found,
        pool.new_class(),
        pool.new_data(),
        pool.noisy_labels(),
        pool.shifted_features(),
        pool.definition(),
    ]


def _taught(ws: Workspace, as_of: datetime, challenger: ModelVersion) -> pa.Table | None:
    """Every training row whose truth is known, and whether the challenger was taught it; None where that is not known."""
    if challenger.dataset_id is None:
        return None
    made, _ = dataset_versions.get(ws.ledger, ws.name, challenger.dataset_id)
    used = pq.read_table(made.path, columns=["id", "role", "label"])
    used = used.filter(pc.equal(used["role"], "labelled"))
    told = dict(zip(used["id"].to_pylist(), used["label"].to_pylist(), strict=True))
    if not told:
        return None
    rows = ws.examples(as_of).select(
        where="split = 'train' AND status IN ('known', 'defaulted')", order="time, id"
    )
    ids, labels = rows["id"].to_pylist(), rows["label"].to_pylist()
    # What it was taught, not what has been learnt since.
    taught = pa.array(
        [told.get(id, label) for id, label in zip(ids, labels, strict=True)], rows["label"].type
    )
    rows = rows.set_column(rows.schema.get_field_index("label"), "label", taught)
    return rows.append_column("taught", pa.array([id in told for id in ids], pa.bool_()))


def _segment(lost: Lost, spec: Spec) -> Tested:
    columns = columns_of(lost.rows.table, spec)
    # Whoever learnt from noise loses most where the champion is sure: that is no segment.
    beside = beside_alike(lost.more, lost.answer)
    found = find_slices(
        columns, beside, lost.rows.weight, lost.group, level=0.5, least=LEAST_SLICE_ROWS
    ).shown
    one = min(found, key=lambda each: each.p, default=None)
    if one is None:
        return Tested(
            "segment",
            "it lost in no slice more than elsewhere",
            0.0,
            1.0,
            0.0,
            np.zeros(len(lost.more), bool),
        )
    chosen = holds(one.conditions, columns)
    weight = lost.rows.weight
    part = float(np.dot(weight[chosen], lost.more[chosen]) / weight.sum())
    return Tested(
        "segment", f"it lost where {one.text}", one.difference.value, one.p, part / lost.gap.value, chosen
    )


class _Pool:
    """Judged rows, then every training row whose truth is known."""

    def __init__(self, lost: Lost, taught: pa.Table, spec: Spec) -> None:
        self.lost, judged_rows = lost, lost.rows
        names = sorted({*judged_rows.classes, *map(_class, taught["label"].to_pylist())})
        names = list(judged_rows.classes) + [name for name in names if name not in judged_rows.classes]
        label = [names.index(_class(one)) for one in taught["label"].to_pylist()]
        shared = [name for name in judged_rows.table.column_names if name in taught.column_names]
        table = pa.concat_tables([judged_rows.table.select(shared), taught.select(shared)])
        n, m = len(judged_rows), taught.num_rows
        groups = [*judged_rows.group, *(g if g is not None else i for g, i in zip(taught["group_id"].to_pylist(), taught["id"].to_pylist(), strict=True))]  # fmt: skip
        rows = InsightRows(
            table=table,
            classes=tuple(names),
            truth=np.concatenate([judged_rows.truth, np.array(label, dtype=np.float64)]),
            said=np.zeros(n + m),
            loss=np.concatenate([judged_rows.loss, np.zeros(m)]),
            loss_name="brier",
            weight=np.concatenate([judged_rows.weight, np.ones(m)]),
            group=np.array(groups, dtype=object),
            notes=[],
        )
        self.judges = np.arange(n + m) < n
        self.taught = np.concatenate([np.zeros(n, bool), np.array(taught["taught"].to_pylist(), bool)])
        used = self.judges | self.taught
        self.both: Compared = compare(rows, ~self.judges, spec)
        self.both.kept &= used
        self.used = np.flatnonzero(used)
        self.label = rows.truth.astype(np.intp)
        self.plain = self._losses(self.taught)

    def new_class(self) -> Tested:
        """Judged rows of a class that it was not taught: did it lose there?"""
        known = set(self.label[self.taught].tolist())
        truth = self.lost.rows.truth.astype(np.intp)
        chosen = ~np.isin(truth, sorted(known))
        if not chosen.any():
            return self._tested("new_class", "it was taught every class that is judged", None, chosen)
        part = _mean(self.lost.more * chosen, self.lost.rows.weight)
        effect = f"{int(chosen.sum()):,} judged rows are of a class that it was not taught"
        return self._tested("new_class", effect, part, chosen)

    def new_data(self) -> Tested:
        """Every label that is known instead of those that it was taught."""
        every, n = ~self.judges, int(self.taught.sum())
        if n == every.sum():
            return self._tested(
                "new_data", "it was taught every label that is known", None, np.zeros(len(self.plain), bool)
            )
        part = self._gain(self._losses(every))
        effect = f"it was taught {n:,} of {int(every.sum()):,} labels that are known"
        return self._tested("new_data", effect, part, self.plain > np.quantile(self.plain, 0.9))

    def noisy_labels(self) -> Tested:
        """More of its labels contradict their features than of those that judge; what it costs is told without them."""
        shared = np.ones(len(self.label))
        shared[self.used], _ = shared_of(self.both, self.used)
        found = noisy_labels(self.both, shared, self.used, strict=False)
        part = self._gain(self._losses(self.taught & ~found.rows))
        share = part.value / self.lost.gap.value
        effect = found.effect.replace("recent labels", "labels that it was taught").replace(
            "before", "of judged ones"
        )
        return found._replace(effect=effect, explains=share, rows=np.zeros(len(self.plain), bool))

    def shifted_features(self) -> Tested:
        """With training rows weighted towards those that are judged."""
        rows = self.used
        recent = ~self.judges[rows]
        shared, chance = shared_of(self.both, rows)
        told = auc_linear(recent.astype(np.float64), chance, self.both.rows.weight[rows])
        apart = p_above(Part(told.value - 0.5, told.terms), self.both.group[rows])
        weight = np.ones(len(self.label))
        weight[rows] = shared
        part = self._gain(self._losses(self.taught, weight))
        found = self._tested("shifted_features", f"rows that it was taught are told from judged ones with AUC {told.value:.2f}",
                             part, chance[~recent] < np.quantile(chance[~recent], 0.2))  # fmt: skip
        return found._replace(p=float(np.max([found.p, apart])))

    def definition(self) -> Tested:
        """A segment whose labels in training say something else than where it is judged."""
        found = label_definition(self.both)
        chosen = found.rows[self.judges]
        part = _mean(self.lost.more * chosen, self.lost.rows.weight)
        return found._replace(explains=part.value / self.lost.gap.value, rows=chosen)

    @property
    def classes(self) -> int:
        return max(len(self.both.rows.classes), 2)

    def _losses(self, taught: Mask, weight: Floats | None = None) -> Floats:
        said = fitted_once(self.both.grid, self.label, self.classes, taught, self.judges, weight=weight)
        return brier_losses(self.label[self.judges].astype(np.float64), said)

    def _gain(self, losses: Floats) -> Part:
        return _mean(self.plain - losses, self.lost.rows.weight)

    def _tested(self, kind: Kind, effect: str, part: Part | None, chosen: Mask) -> Tested:
        if part is None:
            return Tested(kind, effect, 0.0, 1.0, 0.0, chosen)
        return Tested(
            kind, effect, part.value, p_above(part, self.lost.group), part.value / self.lost.gap.value, chosen
        )


def _class(label: object) -> str:
    return str(label)


def _mean(value: Floats, weight: Floats) -> Part:
    total = weight.sum()
    if not total > 0:
        return Part(nan, np.full(len(value), nan))
    mean = float(np.dot(value, weight) / total)
    return Part(mean, weight * (value - mean) / total)
