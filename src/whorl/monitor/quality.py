"""How good the champion is, a period at a time: its logged answers on holdout rows against what turned out true.

Rows are weighed as the gates weigh them, so that truth that comes sooner for one class is not taken for decay.
"""

from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from whorl.examples.weights import exploration, judging_weight, late_truth_weight
from whorl.models.spec_metric import spec_metric
from whorl.records import Record
from whorl.spec import Spec
from whorl.stats.interval import interval
from whorl.stats.metric import Metric
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


def quality(ws: Workspace, as_of: datetime) -> list[PeriodQuality]:
    """Quality in each span of `[monitor] period`, oldest first, over mature holdout rows that were answered."""
    spec, period_us = ws.spec, round(ws.spec.monitor.period.seconds * 1e6)
    answered = "score IS NOT NULL" if spec.task != "multiclass" else "scores IS NOT NULL"
    judged = f"{ws.examples(as_of).name} WHERE split = 'holdout' AND {answered}"
    rows = ws.engine.query(
        f"SELECT *, {exploration(spec)} AS exploration, epoch_us(time) // {period_us} AS period FROM {judged} AND status IN ('known', 'defaulted') "
        f"AND age_days >= {spec.labels.lag.days} ORDER BY time, id"
    )
    known = ws.engine.query(f"SELECT * FROM {judged} AND status = 'known'")
    weight = judging_weight(late_truth_weight(rows, known, spec), rows)
    periods = np.asarray(rows["period"].to_numpy(), dtype=np.int64)
    metric = watched_metric(ws)
    return [
        _period(
            rows.filter(pa.array(periods == p)),
            weight[periods == p],
            datetime.fromtimestamp(int(p) * period_us / 1e6, as_of.tzinfo),
            metric,
            spec,
        )
        for p in np.unique(periods)
    ]


def _period(rows: pa.Table, weight: Floats, start: datetime, metric: Metric, spec: Spec) -> PeriodQuality:
    n = rows.num_rows
    if n < spec.monitor.min_rows:
        return PeriodQuality(start=start, rows=n, value=None, low=None, high=None)
    truth, predicted = _arrays(rows, spec)
    groups = [
        g if g is not None else i
        for g, i in zip(rows["group_id"].to_pylist(), rows["id"].to_pylist(), strict=True)
    ]
    found = interval(
        metric, truth, predicted, weight, level=spec.evaluate.level, group=np.array(groups, dtype=object)
    )
    value, low, high = (None if np.isnan(x) else float(x) for x in (found.value, found.low, found.high))
    return PeriodQuality(start=start, rows=n, value=value, low=low, high=high)


def _arrays(rows: pa.Table, spec: Spec) -> tuple[Floats, Floats]:
    if spec.task != "multiclass":
        return np.array(rows["label"].to_pylist(), dtype=np.float64), rows["score"].to_numpy(
            zero_copy_only=False
        )
    given, labels = [dict(s) for s in rows["scores"].to_pylist()], rows["label"].to_pylist()
    classes = sorted({name for scores in given for name in scores} | set(labels))
    predicted = np.array([[scores.get(name, 0.0) for name in classes] for scores in given], dtype=np.float64)
    return np.array([classes.index(label) for label in labels], dtype=np.float64), predicted
