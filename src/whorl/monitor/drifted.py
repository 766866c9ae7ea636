"""Features that have drifted since the champion was released, as one finding."""

from datetime import datetime, timedelta
from typing import NamedTuple

from whorl.monitor.drift import FeatureDrift, drift
from whorl.records import Finding
from whorl.storage.sql_types import instant_literal
from whorl.storage.tables import FEATURE
from whorl.workspace import Workspace


class Sides(NamedTuple):
    """Reference: reference_from <= time < reference_until; current: current_from <= time."""

    reference_from: datetime
    reference_until: datetime
    current_from: datetime


def drifted_features(ws: Workspace, as_of: datetime) -> list[Finding]:
    """One finding that names them all; none while a side has fewer rows than `[monitor] min_rows`."""
    found = [one for one in feature_drift(ws, as_of) if one.drifted] if ws.spec.monitor.drift else []
    if not found:
        return []
    found.sort(key=lambda one: -(one.moved_share or 0.0))
    monitor, sides, worst = ws.spec.monitor, compared_sides(ws, as_of), found[0]
    champion = ws.registry.champion()
    named = "; ".join(_said(one) for one in found[:5]) + (
        f"; and {len(found) - 5} more" if len(found) > 5 else ""
    )
    return [
        Finding(
            kind="feature_drift",
            severity="info",
            message=f"Features differ between two windows, the rows since {sides.current_from.date()} and those of "
            f"{sides.reference_from.date()} to {sides.reference_until.date()}: {named}. The windows are what was compared; when the change "
            "began they do not tell. This alone does not say that the champion got worse.",
            value=worst.moved_share,
            threshold=monitor.drift_floor,
            facts={
                "champion": champion.id if champion else None,
                "period": _period_start(ws, as_of),
                "features": [one.feature for one in found],
                "reference_rows": worst.reference_rows,
                "current_rows": worst.current_rows,
            },
        )
    ]


def feature_drift(ws: Workspace, as_of: datetime) -> list[FeatureDrift]:
    """Every feature's difference between the rows before the champion's release and those of the last period.

    Empty while a side has fewer rows than `[monitor] min_rows`.
    """
    monitor, sides = ws.spec.monitor, compared_sides(ws, as_of)
    current = f"time >= {instant_literal(sides.current_from)}"
    rows = (
        f"(SELECT * FROM {ws.examples(as_of).name} WHERE ({current}) OR (time >= {instant_literal(sides.reference_from)} "
        f"AND time < {instant_literal(sides.reference_until)}))"
    )
    found = drift(
        ws.engine,
        rows,
        {FEATURE + name: feature.type for name, feature in ws.spec.features.items()},
        current=current,
        fdr=monitor.drift_fdr,
        floor=monitor.drift_floor,
    )
    least = max(monitor.min_rows, 1)
    return [one for one in found if min(one.reference_rows, one.current_rows) >= least]


def compared_sides(ws: Workspace, as_of: datetime) -> Sides:
    """The release parts them; where fewer than `[monitor] min_rows` rows came before it, the beginning of the last period."""
    monitor = ws.spec.monitor
    period, window = monitor.period.span, monitor.drift_window.span
    until = as_of - period
    moved = next(iter(ws.registry.changes(limit=1)), None)
    if moved is not None and _rows(ws, as_of, moved.at - window, moved.at) >= max(monitor.min_rows, 1):
        until = moved.at
    return Sides(until - window, until, max(until, as_of - period))


def _rows(ws: Workspace, as_of: datetime, first: datetime, last: datetime) -> int:
    between = f"time >= {instant_literal(first)} AND time < {instant_literal(last)}"
    return int(
        ws.engine.query(f"SELECT count(*) AS n FROM {ws.examples(as_of).name} WHERE {between}")["n"][
            0
        ].as_py()
    )


def _period_start(ws: Workspace, as_of: datetime) -> str:
    """Of the period that holds a time, periods being counted from 1970: one finding in each."""
    span = ws.spec.monitor.period.span
    beginning = datetime.fromtimestamp(0, as_of.tzinfo)
    return (beginning + timedelta(seconds=(as_of - beginning) // span * span.total_seconds())).isoformat()


def _said(one: FeatureDrift) -> str:
    most = one.moved[0]
    share = one.moved_share or 0.0
    return f"{one.feature.removeprefix(FEATURE)} ({share:.0%} of rows moved; {most.level}: {most.before:.0%} then, {most.now:.0%} now)"
