"""Has the champion begun to err more often? Its errors in the order in which their truth became known, and who watches them.

Computed from the rows each time, so that it is the same wherever and however often it is looked at. A row comes in once its
truth is known and it is as old as `[labels] lag` and `default_after` ask: before, one class may be known sooner than the
other. Where delays are modelled it is as old as 95 % of the labels of each class are late, and none comes in while rows are too
young to tell how late that is. Of a span in which people were asked, rows whose truth was not known by then do not come in, asked or not: whose truth
comes then goes by what the model said. The detectors are in `detectors/`. Since when there are more is told in the order in which
the rows were answered: truth of old rows that comes late says something of then (`stats/change/rise.py`).
"""

from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np

from whorl.examples.asked import TRAIN, draws_made, in_span
from whorl.examples.champions_answers import champions_answers
from whorl.examples.maturity import mature_at
from whorl.monitor.detectors.detector import alarms, detector_named
from whorl.records import Finding
from whorl.spec import Spec
from whorl.stats.arrays import Floats
from whorl.stats.change.rise import rise
from whorl.storage.sql_types import instant_literal
from whorl.workspace import Workspace

# What a large loss is goes by the first so many, which are not watched themselves: this share of them is smaller.
LEARNT_FROM, SMALLER = 200, 0.8
# The answer of a model that gives one score a class.
_ANSWER = "map_keys(scores)[list_position(map_values(scores), list_max(map_values(scores)))]"
_WRONG = {"binary": "((score >= 0.5) <> label)::DOUBLE", "multiclass": f"({_ANSWER} <> label)::DOUBLE"}
# In the order of log loss, and of absolute error.
_LOSS = {
    "binary": "CASE WHEN label THEN 1 - score ELSE score END",
    "multiclass": "1 - coalesce(scores[label], 0)",
    "regression": "abs(score - label)",
}


Times = np.ndarray[Any, np.dtype[np.int64]]


class ErrorStream(NamedTuple):
    """Errors (n,), 0 or 1, in the order in which they became known; when they did, and when the rows were answered (n,), both in
    microseconds since 1970.
    """

    errors: Floats
    known_us: Times
    time_us: Times


_NONE = ErrorStream(np.empty(0), np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))


def error_stream(ws: Workspace, as_of: datetime) -> ErrorStream:
    """Errors of the champion of now on rows that it answered; of everything answered while there is no champion.

    Empty for a task without scores, and while fewer than `LEARNT_FROM` rows say what a large loss is.
    """
    spec = ws.spec
    large = not _counts_wrong(spec)
    measure = (_LOSS if large else _WRONG).get(spec.task)
    if measure is None:
        return _NONE
    mature = mature_at(ws.examples(as_of))
    if mature is None:
        return _NONE
    rows = ws.engine.query(_known_rows(ws, as_of, measure, mature))
    value = rows["value"].to_numpy().astype(np.float64)
    known_us, time_us = (rows[name].to_numpy().astype(np.int64) for name in ("known_us", "time_us"))
    if not large:
        return ErrorStream(value, known_us, time_us)
    if len(value) < LEARNT_FROM:
        return _NONE
    limit = np.quantile(value[:LEARNT_FROM], SMALLER)
    errors = (value[LEARNT_FROM:] > limit).astype(np.float64)
    return ErrorStream(errors, known_us[LEARNT_FROM:], time_us[LEARNT_FROM:])


def risen_errors(ws: Workspace, as_of: datetime) -> list[Finding]:
    """The last rise that a detector of `[monitor]` has seen, by the first that saw it; nothing when none has raised an alarm."""
    monitor = ws.spec.monitor
    stream = error_stream(ws, as_of) if monitor.detectors else None
    if stream is None or not len(stream.errors):
        return []
    raised = []
    for name in monitor.detectors:
        begun = 0
        for place in alarms(detector_named(name, ws.beside), stream.errors, monitor.false_alarms):
            raised.append(_Alarm(place, begun, name))
            begun = place + 1
    return [_finding(ws, seen, stream) for seen in _rises(raised, stream.errors)[-1:]]


class _Alarm(NamedTuple):
    """At which row, since which one the detector had watched, and which it is."""

    place: int
    begun: int
    detector: str


def _rises(raised: list[_Alarm], errors: Floats) -> list[list[_Alarm]]:
    """Alarms of one rise together, in order: of those after the first, what they saw had begun by the first."""
    rises: list[list[_Alarm]] = []
    for one in sorted(raised):
        start = one.begun + rise(errors[one.begun : one.place + 1]).start
        if rises and start <= rises[-1][0].place:
            rises[-1].append(one)
        else:
            rises.append([one])
    return rises


def _finding(ws: Workspace, seen: list[_Alarm], stream: ErrorStream) -> Finding:
    (place, begun, detector), names = seen[0], sorted({one.detector for one in seen})
    order = begun + np.argsort(stream.time_us[begun : place + 1], kind="stable")
    watched = stream.errors[order]
    found = rise(watched)
    since = _day(stream.time_us[order[found.start]]) if found.shown else None
    before = found.start if found.shown else len(watched)
    champion = ws.registry.champion()
    what = "errors" if _counts_wrong(ws.spec) else "large errors"
    rates = (
        f"{found.after:.1%} of {len(watched) - before:,} rows since about {since[:10]}, {found.before:.1%} of {before:,} before"
        if since is not None
        else f"{watched.mean():.1%} of {len(watched):,} rows, more of those whose truth came last, not of those that were answered last"
    )
    return Finding(
        kind="error_rate_up",
        severity="warning",
        message=f"The champion's {what} have become more frequent: {rates} ({', '.join(names)}). See [monitor] detectors.",
        value=found.after if found.shown else float(watched.mean()),
        threshold=found.before if found.shown else None,
        facts={
            "detector": detector,
            "seen_by": names,
            "champion": champion.id if champion else None,
            "period": _day(stream.known_us[place]),
            "since": since,
            "rows_before": before,
            "rows_since": len(watched) - before,
            "false_alarms": ws.spec.monitor.false_alarms if detector == "e-detector" else None,
        },
    )


def _known_rows(ws: Workspace, as_of: datetime, measure: str, mature: str) -> str:
    """SQL: `value` and `known_us` of the rows that are watched, in order."""
    spec = ws.spec
    examples, moved = ws.examples(as_of).name, next(iter(ws.registry.changes(limit=1)), None)
    conditions = [
        "status IN ('known', 'defaulted')",
        "isfinite(value)",
        f"known_at <= {instant_literal(as_of)}",
        f"NOT EXISTS (FROM draws d WHERE label_received_at > d.as_of AND {in_span('d')})",
        f"id NOT IN (SELECT id FROM {ws.lake.relation('asked')} a WHERE strategy <> 'random' AND purpose = '{TRAIN}' "
        "AND known.label_received_at > a.as_of)",
    ]
    if spec.monitor.errors_of == "holdout":
        conditions.append("split = 'holdout'")
    if moved is not None:
        conditions.append(f"time >= {instant_literal(moved.at)}")
    return (
        f"WITH draws AS ({draws_made(ws.lake, as_of)}),\n"
        f"known AS (SELECT id, time, received_at, split, status, label_received_at, ({measure}) AS value,\n"
        f"  greatest(label_received_at, {mature}) AS known_at\n"
        f"FROM {examples} WHERE (isfinite(score) OR scores IS NOT NULL)\n"
        f"AND {champions_answers(ws.registry, spec, examples, now=True)})\n"
        f"SELECT value, epoch_us(known_at) AS known_us, epoch_us(time) AS time_us FROM known WHERE {' AND '.join(conditions)}\n"
        "ORDER BY known_at, time, id"
    )


def _counts_wrong(spec: Spec) -> bool:
    return (spec.monitor.error or ("large" if spec.task == "regression" else "wrong")) == "wrong"


def _day(microseconds: int) -> str:
    return datetime.fromtimestamp(int(microseconds) / 1e6, UTC).isoformat()
