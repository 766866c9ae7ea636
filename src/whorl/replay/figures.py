"""What the arms of a replay were worth: every metric over all rows and a period at a time, with intervals."""

from datetime import datetime
from math import isnan
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from whorl.records import Task
from whorl.replay.play import Played, Span
from whorl.stats.intervals.estimate import Estimate
from whorl.stats.intervals.interval import interval
from whorl.stats.intervals.paired_difference import paired_difference
from whorl.stats.metrics.metric import METRICS, Metric

Floats = npt.NDArray[np.float64]
REPORTED: dict[Task, tuple[str, ...]] = {
    "binary": ("auc", "average_precision", "log_loss", "accuracy"),
    "multiclass": ("auc", "average_precision", "log_loss", "accuracy"),
    "regression": ("mae", "rmse"),
}


class Judged(msgspec.Struct, frozen=True):
    """The rows on which the arms are compared: those whose truth became known, in order of time.

    Args:
        place: (n,) places among the replayed rows.
        truth: (n,) as `stats/arrays.py`.
        time_us: (n,) event time, microseconds since the epoch.
        group: (n,) whole numbers; None where every row is its own.
    """

    place: npt.NDArray[np.intp]
    truth: Floats
    time_us: npt.NDArray[np.int64]
    group: npt.NDArray[np.intp] | None

    def between(self, first: datetime, last: datetime) -> slice:
        begin, end = np.searchsorted(self.time_us, [first.timestamp() * 1e6, last.timestamp() * 1e6])
        return slice(int(begin), int(end))


def metrics_of(task: Task, deciding: Metric) -> list[Metric]:
    """The reported metrics of a task, and the one that decides."""
    names = [*REPORTED[task]]
    return [*(METRICS[name] for name in names), *([deciding] if deciding.name not in names else [])]


def arm_figures(
    played: Played, judged: Judged, span: Span, metrics: list[Metric], level: float
) -> dict[str, Any]:
    """One arm's part of the report."""
    periods = [_period(played, judged, first, last, metrics, level) for first, last in span.periods()]
    everything = slice(0, len(judged.place))
    return {
        "overall": {m.name: plain(_estimate(m, played, judged, everything, level)) for m in metrics},
        "mean_of_periods": {m.name: _mean(periods, m.name) for m in metrics},
        "periods": periods,
        "cycles": len(played.cycles) + len(played.failures),
        "cycles_by_findings": len(played.by_findings),
        "initial_labels": played.initial_labels,
        "labels_used": played.labels_used,
        "holdout_labels": played.holdout_labels,
        "rows_trained": played.rows_trained,
        "seconds": round(played.seconds, 2),
        "failures": played.failures,
    }


def ahead(metric: Metric, judged: Judged, ours: Played, other: Played, level: float) -> Estimate:
    """By how much our arm is better than another on the same rows; positive is better."""
    return paired_difference(
        metric,
        judged.truth,
        other.predicted[judged.place],
        ours.predicted[judged.place],
        level=level,
        group=judged.group,
    )


def plain(found: Estimate) -> dict[str, float | int | None]:
    """value, low, high (null where undefined) and n."""
    figures = {"value": found.value, "low": found.low, "high": found.high}
    return {name: None if isnan(value) else value for name, value in figures.items()} | {"n": found.n}


def _period(
    played: Played, judged: Judged, first: datetime, last: datetime, metrics: list[Metric], level: float
) -> dict[str, Any]:
    part = judged.between(first, last)
    cycles = [c for c in played.cycles if first <= c.as_of < last]
    verdict = cycles[-1].verdict if cycles else None
    return {
        "from": first.isoformat(),
        "to": last.isoformat(),
        "rows": part.stop - part.start,
        "metrics": {m.name: plain(_estimate(m, played, judged, part, level)) for m in metrics},
        "cycles": len(cycles),
        "by_findings": [
            {"at": at.isoformat(), "kind": kind}
            for at, kind in played.by_findings.items()
            if first <= at < last
        ],
        "labels_used": sum(n for as_of, n in played.bought.items() if first <= as_of < last),
        "rows_trained": sum(c.dataset.rows for c in cycles if c.dataset),
        "decision": verdict.decision if verdict else None,
        "reason": verdict.reason if verdict else None,
        "gates": [{"check": c.check, "decision": c.decision, "message": c.message} for c in verdict.checks]
        if verdict
        else [],
    }


def _estimate(metric: Metric, played: Played, judged: Judged, part: slice, level: float) -> Estimate:
    group = judged.group[part] if judged.group is not None else None
    return interval(
        metric, judged.truth[part], played.predicted[judged.place[part]], level=level, group=group
    )


def _mean(periods: list[dict[str, Any]], name: str) -> float | None:
    values = [p["metrics"][name]["value"] for p in periods if p["metrics"][name]["value"] is not None]
    return float(np.mean(values)) if values else None
