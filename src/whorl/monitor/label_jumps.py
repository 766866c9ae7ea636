"""Do the labels of one segment say something from one period to the next that neither scores nor earlier periods allow?

A labelling job that breaks, or a definition that changes, shows first as labels of a class where there cannot be that many. Two
counts must both have jumped, each against scores and earlier periods: those of all predictions, for of few labels one class may
come first and the others can but add; and those of the labelled ones, for whoever labels more finds more of every class. One SQL pass a segment column; nothing is fitted. Which cause explains a loss is asked by `whorl insights --why`.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np

from whorl.records import Finding
from whorl.stats.change.count_jump import count_jumps
from whorl.stats.intervals.holm import holm
from whorl.storage.sql_types import instant_literal, quoted
from whorl.storage.tables import FEATURE
from whorl.workspace import Workspace

EARLIER = 8
# The chance of any finding in one look, where nothing has changed.
LEVEL = 0.01
# Of a segment's labelled predictions, the share whose labels are beyond what is allowed.
LEAST_EXCESS = 0.05
SHOWN = 5


class _Tested(NamedTuple):
    """One class in one segment in the last period: labels, those of the class, how many are allowed, and the chance of it."""

    column: str | None
    segment: str | None
    label: str
    labels: int
    known: int
    allowed: float
    p: float

    @property
    def name(self) -> str:
        if self.column is None:
            return "all rows"
        return f"{self.column} is missing" if self.segment is None else f"{self.column} = {self.segment!r}"


def label_jumps(ws: Workspace, as_of: datetime) -> list[Finding]:
    """One finding for all segments in which a class is labelled more often than it can be; none for numbers and texts."""
    if ws.spec.task not in ("binary", "multiclass"):
        return []
    columns: list[str | None] = [*ws.spec.schema.segments] or [None]
    tested = [one for column in columns for one in _tested(ws, as_of, column)]
    adjusted = holm([one.p for one in tested])
    period = as_of - timedelta(seconds=ws.spec.monitor.period.seconds)
    found = [
        one
        for one, p in zip(tested, adjusted, strict=True)
        if p <= LEVEL and one.known - one.allowed >= LEAST_EXCESS * one.labels
    ]
    if not found:
        return []
    found.sort(key=lambda one: one.allowed - one.known)
    said = "; ".join(
        f"{one.name}: {one.known:,} of {one.labels:,} labels are {one.label}, "
        f"scores and earlier periods allow about {one.allowed:,.0f}"
        for one in found[:SHOWN]
    )
    worst, moved = found[0], next(iter(ws.registry.changes(limit=1)), None)
    return [
        Finding(
            kind="label_rate_jump",
            severity="warning",
            message=f"Labels jumped since {period:%Y-%m-%d}: {said}. Has a labelling job broken, or has it been decided "
            "anew what counts? Nothing was refused: see `whorl insights --why`.",
            value=worst.known / worst.labels,
            threshold=worst.allowed / worst.labels,
            facts={
                "period": period.isoformat(),
                "champion": moved.model_id if moved else None,
                "segments": [one.name for one in found],
                "ids": _ids(ws, as_of, worst),
            },
        )
    ]


def _tested(ws: Workspace, as_of: datetime, column: str | None) -> list[_Tested]:
    """Each segment and class with enough labels in the last period: what was seen, what is allowed, and p, the larger of both."""
    rows = ws.engine.query(_counts(ws, as_of, column)).to_pylist()
    places = list(dict.fromkeys((row["segment"], row["class"]) for row in rows))
    shape = (len(places), EARLIER + 1)
    known, of_all, of_labelled, n = (np.zeros(shape) for _ in range(4))
    for row in rows:
        at = places.index((row["segment"], row["class"])), EARLIER - row["ago"]
        known[at], of_all[at], of_labelled[at], n[at] = (
            row[name] for name in ("known", "of_all", "of_labelled", "labels")
        )
    both = [count_jumps(known, expected) for expected in (of_all, of_labelled)]
    allowed, p = np.maximum(*(one.allowed for one in both)), np.maximum(*(one.p for one in both))
    return [
        _Tested(
            column,
            segment,
            label,
            int(n[place, -1]),
            int(known[place, -1]),
            float(allowed[place]),
            float(p[place]),
        )
        for place, (segment, label) in enumerate(places)
        if n[place, -1] >= ws.spec.monitor.min_rows and np.isfinite(p[place])
    ]


def _counts(ws: Workspace, as_of: datetime, column: str | None) -> str:
    """SQL: by period, segment and class how many there are by the scores of all predictions, by those of the labelled ones, and by
    the labels; and how many labels there are.
    """
    period_s = ws.spec.monitor.period.seconds
    segment = "NULL::VARCHAR" if column is None else f"{quoted(FEATURE + column)}::VARCHAR"
    now = instant_literal(as_of)
    rows = (
        f"SELECT floor((epoch({now}) - epoch(time)) / {period_s})::INT AS ago, {segment} AS segment, score, scores, label\n"
        f"FROM {ws.examples(as_of).name} WHERE NOT censored AND time <= {now}\n"
        f"AND time > {now} - INTERVAL '{period_s * (EARLIER + 1):.15g}' SECOND"
    )
    if ws.spec.task == "binary":
        chance = "least(greatest(score, 0), 1)"
        classes = (
            f"SELECT ago, segment, 'true' AS class, {chance} AS chance, label AS hit FROM rows WHERE score IS NOT NULL\n"
            f"UNION ALL SELECT ago, segment, 'false', 1 - {chance}, NOT label FROM rows WHERE score IS NOT NULL"
        )
    else:
        classes = (
            "SELECT ago, segment, entry.key AS class, least(greatest(entry.value, 0), 1) AS chance,\n"
            "  label = entry.key AS hit FROM (SELECT ago, segment, label, unnest(map_entries(scores)) AS entry FROM rows)"
        )
    return (
        f"WITH rows AS ({rows}), classes AS ({classes})\n"
        "SELECT ago, segment, class, count(hit) AS labels, sum(chance) AS of_all,\n"
        "  coalesce(sum(chance) FILTER (hit IS NOT NULL), 0) AS of_labelled, count(*) FILTER (hit) AS known\n"
        f"FROM classes WHERE ago BETWEEN 0 AND {EARLIER} GROUP BY ALL ORDER BY segment, class, ago"
    )


def _ids(ws: Workspace, as_of: datetime, worst: _Tested) -> list[str]:
    """Rows of the segment and class of the last period whose score least expected their label."""
    period_s = ws.spec.monitor.period.seconds
    where = [f"time > {instant_literal(as_of)} - INTERVAL '{period_s:.15g}' SECOND", "NOT censored"]
    params: list[str | None] = [worst.label]
    if worst.column is not None:
        where.append(f"{quoted(FEATURE + worst.column)}::VARCHAR IS NOT DISTINCT FROM ?")
        params.append(worst.segment)
    order = {"true": "score", "false": "score DESC"}.get(worst.label, "time DESC")
    order = order if ws.spec.task == "binary" else "time DESC"
    rows = ws.engine.query(
        f"SELECT id FROM {ws.examples(as_of).name} WHERE label::VARCHAR = ? AND {' AND '.join(where)} "
        f"ORDER BY {order}, id LIMIT {SHOWN}",
        params,
    )
    return list(rows["id"].to_pylist())
