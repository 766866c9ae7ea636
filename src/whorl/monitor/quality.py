"""How good the champion is, a period at a time, and for whom: its logged answers on holdout rows against what turned out true.

Rows are weighed as the gates weigh them, so that truth that comes sooner for one class is not taken for decay.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from whorl.examples.weights import exploration, judging_weight, late_truth_weight
from whorl.models.spec_metric import spec_metric
from whorl.records import Record
from whorl.spec import Spec
from whorl.stats.estimate import Estimate
from whorl.stats.interval import interval
from whorl.stats.metric import Metric
from whorl.storage.tables import PROTECTED, TIME
from whorl.workspace import Workspace

Floats = npt.NDArray[np.float64]


class PeriodQuality(Record, frozen=True, kw_only=True):
    """One period's figure; None where it is undefined or rests on fewer rows than `[monitor] min_rows`."""

    start: datetime
    rows: int
    value: float | None
    low: float | None
    high: float | None


def watched_metric(ws: Workspace) -> Metric:
    """The metric that is watched."""
    return spec_metric(ws.spec, ws.spec.monitor.metric or ws.spec.metric, ws.beside)


class GroupQuality(Record, frozen=True, kw_only=True):
    """One protected group's figure beside that of everybody else of whom the attribute is known.

    `apart`: by how much the two intervals lie apart, with the group on the worse side; at most 0 where they overlap.
    """

    name: str
    period: datetime
    group: Estimate
    others: Estimate
    apart: float


def quality(ws: Workspace, as_of: datetime) -> list[PeriodQuality]:
    """Quality in each span of `[monitor] period`, oldest first, over mature holdout rows that were answered."""
    judged, metric = _judged(ws, as_of), watched_metric(ws)
    return [
        _period(judged.take(judged.period == p), _start(ws.spec, int(p), as_of), metric, ws.spec)
        for p in np.unique(judged.period)
    ]


def quality_by_protected(ws: Workspace, as_of: datetime, since: datetime | None) -> list[GroupQuality]:
    """Quality of each group of `[schema] protected` that has enough rows, over all periods from `since` on.

    Groups share the error, as the slices of a gate do.
    """
    if not ws.spec.protected:
        return []
    judged, metric = _judged(ws, as_of), watched_metric(ws)
    if since is not None:
        judged = judged.take(np.asarray(pc.greater_equal(judged.rows["time"], pa.scalar(since, TIME))))
    pairs = list(_slices(judged, ws.spec))
    level = 1 - (1 - ws.spec.evaluate.level) / max(len(pairs), 1)
    found = []
    for name, inside, others in pairs:
        one, rest = (_figure(part, metric, ws.spec, level) for part in (inside, others))
        apart = rest.low - one.high if metric.greater_is_better else one.low - rest.high
        period = _start(ws.spec, int(inside.period.max()), as_of)
        found.append(GroupQuality(name=name, period=period, group=one, others=rest, apart=apart))
    return found


class _Judged(NamedTuple):
    """Mature holdout rows in order of time; the weight and the number of the period of each (n,)."""

    rows: pa.Table
    weight: Floats
    period: npt.NDArray[np.int64]

    def take(self, chosen: npt.NDArray[np.bool_]) -> "_Judged":
        return _Judged(self.rows.filter(pa.array(chosen)), self.weight[chosen], self.period[chosen])


def _judged(ws: Workspace, as_of: datetime) -> _Judged:
    spec = ws.spec
    answered = "score IS NOT NULL" if spec.task != "multiclass" else "scores IS NOT NULL"
    judged = f"{ws.examples(as_of).name} WHERE split = 'holdout' AND {answered}"
    rows = ws.engine.query(
        f"SELECT *, {exploration(spec)} AS exploration, epoch_us(time) // {_period_us(spec)} AS period FROM {judged} "
        f"AND status IN ('known', 'defaulted') AND age_days >= {spec.labels.lag.days} ORDER BY time, id"
    )
    known = ws.engine.query(f"SELECT * FROM {judged} AND status = 'known'")
    weight = judging_weight(late_truth_weight(rows, known, spec), rows)
    return _Judged(rows, weight, np.asarray(rows["period"].to_numpy(), dtype=np.int64))


def _slices(judged: _Judged, spec: Spec) -> Iterator[tuple[str, _Judged, _Judged]]:
    """Each group's rows, and those of the others, where both are enough to be judged."""
    for attribute in spec.protected:
        values = np.array(judged.rows[PROTECTED + attribute].to_pylist(), dtype=object)
        known = np.array([value is not None for value in values], dtype=np.bool_)
        for value in sorted(set(values[known])):
            inside = values == value
            others = known & ~inside
            if min(inside.sum(), others.sum()) >= max(spec.monitor.min_rows, 1):
                yield f"{attribute} = {value}", judged.take(inside), judged.take(others)


def _period_us(spec: Spec) -> int:
    return round(spec.monitor.period.seconds * 1e6)


def _start(spec: Spec, number: int, as_of: datetime) -> datetime:
    return datetime.fromtimestamp(number * _period_us(spec) / 1e6, as_of.tzinfo)


def _period(judged: _Judged, start: datetime, metric: Metric, spec: Spec) -> PeriodQuality:
    n = judged.rows.num_rows
    if n < spec.monitor.min_rows:
        return PeriodQuality(start=start, rows=n, value=None, low=None, high=None)
    found = _figure(judged, metric, spec, spec.evaluate.level)
    value, low, high = (None if np.isnan(x) else float(x) for x in (found.value, found.low, found.high))
    return PeriodQuality(start=start, rows=n, value=value, low=low, high=high)


def _figure(judged: _Judged, metric: Metric, spec: Spec, level: float) -> Estimate:
    truth, predicted = _arrays(judged.rows, spec)
    by = zip(judged.rows["group_id"].to_pylist(), judged.rows["id"].to_pylist(), strict=True)
    groups = np.array([group if group is not None else id for group, id in by], dtype=object)
    return interval(metric, truth, predicted, judged.weight, level=level, group=groups)


def _arrays(rows: pa.Table, spec: Spec) -> tuple[Floats, Floats]:
    if spec.task != "multiclass":
        return np.array(rows["label"].to_pylist(), dtype=np.float64), rows["score"].to_numpy(
            zero_copy_only=False
        )
    given, labels = [dict(s) for s in rows["scores"].to_pylist()], rows["label"].to_pylist()
    classes = sorted({name for scores in given for name in scores} | set(labels))
    predicted = np.array([[scores.get(name, 0.0) for name in classes] for scores in given], dtype=np.float64)
    return np.array([classes.index(label) for label in labels], dtype=np.float64), predicted
