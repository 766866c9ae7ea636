"""Look at the champion's quality and at the data; what is wrong becomes a finding, kept, logged and sent.

A finding may start a cycle (`[monitor] start_cycle`): see `serve/`. It never moves a pointer.
"""

import logging
from datetime import datetime
from math import isnan

import msgspec
from sqlalchemy import Connection, insert, select

from whorl.examples.maturity import mature_s
from whorl.monitor.drifted import drifted_features
from whorl.monitor.error_stream import risen_errors
from whorl.monitor.label_jumps import label_jumps
from whorl.monitor.quality import PeriodQuality, quality, quality_by_protected, watched_metric
from whorl.records import Finding
from whorl.stats.intervals.estimate import Estimate
from whorl.storage.ledger.tables import findings as table
from whorl.storage.outbox import Outbox
from whorl.workspace import Workspace

log = logging.getLogger("whorl.monitor")
MANY_UNMATCHED = 0.2


def watch(ws: Workspace, as_of: datetime) -> list[Finding]:
    """New findings as of a time, raised."""
    found = new_findings(ws, as_of)
    raise_findings(ws, found, as_of)
    return found


def new_findings(ws: Workspace, as_of: datetime) -> list[Finding]:
    """What is wrong as of a time, but for what was raised within `[monitor] cooldown`. Nothing is raised yet."""
    periods = quality(ws, as_of)
    found = [
        *_decay(ws, periods),
        *_selective(ws, periods),
        *risen_errors(ws, as_of),
        *_unfair(ws, as_of),
        *_data(ws, as_of),
        *label_jumps(ws, as_of),
        *drifted_features(ws, as_of),
    ]
    with ws.ledger.read() as connection:
        return [finding for finding in found if not _cooling(connection, ws, finding, as_of)]


def raise_findings(ws: Workspace, found: list[Finding], as_of: datetime) -> None:
    """Keep, log and send findings as of a time; one that was raised within `[monitor] cooldown`, by a call cut short say, is
    not again. A cycle that waited raises what it saw as of its own time: what was seen since is newer.
    """
    for finding in found:
        _raise(ws, finding, as_of)


def _decay(ws: Workspace, periods: list[PeriodQuality]) -> list[Finding]:
    """What the champion of now lost; periods in which another one still answered tell nothing about it.

    A period is looked at again and again while its truths come in, so the bounds are those that hold at all looks.
    """
    monitor, metric = ws.spec.monitor, watched_metric(ws)
    moved = next(iter(ws.registry.changes(limit=1)), None)
    own = [p for p in periods if moved is None or p.start >= moved.at]
    judged = [
        (p.start, p.always)
        for p in own
        if p.always is not None and not isnan(p.always.value + p.always.low + p.always.high)
    ]
    if not judged:
        return []
    (start, last), (_, first) = judged[-1], judged[0]
    best, worst_of_first = (last.high, first.low) if metric.greater_is_better else (last.low, first.high)
    sign = 1.0 if metric.greater_is_better else -1.0
    facts = {
        "metric": metric.name,
        "champion": moved.model_id if moved else None,
        "period": start.isoformat(),
        "low": last.low,
        "high": last.high,
        "rows": last.n,
    }
    figures = f"{metric.name} {last.value:.4f} [{last.low:.4f}, {last.high:.4f}] since {start.date()}"
    found: list[Finding] = []
    if monitor.threshold is not None and sign * (best - monitor.threshold) < 0:
        found.append(
            Finding(kind="below_threshold", severity="critical", message=f"{figures} lies beyond {monitor.threshold:g}.",
                    value=last.value, threshold=monitor.threshold, facts=facts)
        )  # fmt: skip
    lost = sign * (worst_of_first - best)
    if monitor.decay is not None and len(judged) > 1 and lost > monitor.decay:
        found.append(
            Finding(kind="decay", severity="warning", message=f"{figures}; at least {lost:.4f} worse than at first.",
                    value=last.value, threshold=monitor.decay, facts=facts)
        )  # fmt: skip
    return found


def _selective(ws: Workspace, periods: list[PeriodQuality]) -> list[Finding]:
    """The last period has rows enough and no figure, because of whose truth comes."""
    refused = [p for p in periods[-1:] if p.notes and p.value is None and p.rows >= ws.spec.monitor.min_rows]
    return [
        Finding(
            kind="selective_answers",
            severity="warning",
            message=period.notes[0],
            value=float(period.rows),
            facts={"period": period.start.isoformat(), "rows": period.rows},
        )
        for period in refused
    ]


def _unfair(ws: Workspace, as_of: datetime) -> list[Finding]:
    """Protected groups for whom the champion of now is surely worse than for the others; one finding for all of them."""
    moved, metric = next(iter(ws.registry.changes(limit=1)), None), watched_metric(ws)
    gap = ws.spec.monitor.protected_gap
    since = moved.at if moved else None
    worse = [found for found in quality_by_protected(ws, as_of, since) if found.apart > gap]
    if not worse:
        return []
    worst = max(worse, key=lambda found: found.apart)
    said = "; ".join(
        f"{one.name}: {metric.name} {_figures(one.group)}, others {_figures(one.others)}" for one in worse
    )
    facts = {
        "metric": metric.name,
        "champion": moved.model_id if moved else None,
        "period": worst.period.isoformat(),
        "groups": [one.name for one in worse],
    }
    message = f"Quality for protected groups lies more than {gap:g} below that for the others: {said}."
    return [
        Finding(
            kind="protected_gap",
            severity="warning",
            message=message,
            value=worst.apart,
            threshold=gap,
            facts=facts,
        )
    ]


def _figures(found: Estimate) -> str:
    return f"{found.value:.4f} [{found.low:.4f}, {found.high:.4f}] of {found.n:,} rows"


def _data(ws: Workspace, as_of: datetime) -> list[Finding]:
    """Labels that find no prediction, or too many, ids that stand for two things, and a truth that never varies."""
    counts = ws.examples(as_of).counts()
    found: list[Finding] = []
    known, unmatched = counts["labels"] - counts["labels.unmatched"], counts["labels.unmatched"]
    if unmatched and unmatched > MANY_UNMATCHED * (known + unmatched):
        found.append(
            Finding(kind="unmatched_labels", severity="warning", value=float(unmatched),
                    message=f"{unmatched:,} labels match no prediction ({known:,} do). Check [labels] on and the ids: "
                    "whorl labels list --unmatched.")
        )  # fmt: skip
    ambiguous = counts["labels.ambiguous"]
    if ambiguous:
        found.append(
            Finding(kind="ambiguous_labels", severity="warning", value=float(ambiguous),
                    message=f"{ambiguous:,} labels match several predictions and were not joined. See [labels] cardinality, and "
                    "whorl labels list --ambiguous.")
        )  # fmt: skip
    conflicts = counts["conflicts"]
    if conflicts:
        found.append(
            Finding(kind="conflicting_ids", severity="warning", value=float(conflicts),
                    message=f"{conflicts:,} predictions came in several records that contradict each other; the first value of "
                    "each field counts. Is an id used twice?")
        )  # fmt: skip
    if ws.spec.task in ("binary", "multiclass") and _one_class(ws, as_of):
        found.append(
            Finding(
                kind="one_class",
                severity="critical",
                message="Every label so far is of one class: nothing can be learnt.",
            )
        )
    return found


def _one_class(ws: Workspace, as_of: datetime) -> bool:
    row = ws.engine.query(
        f"SELECT count(DISTINCT label) AS classes, count(*) AS n FROM {ws.examples(as_of).name} WHERE label IS NOT NULL "
        f"AND age_days * 86400 >= {mature_s(ws.spec):.15g}"
    ).to_pylist()[0]
    return bool(row["n"] >= ws.spec.monitor.min_rows and row["classes"] == 1)


def _cooling(connection: Connection, ws: Workspace, finding: Finding, as_of: datetime) -> bool:
    """Whether it was said a short while ago, or of the same champion in the same period: that is no new evidence."""
    last = connection.execute(
        select(table.c.at, table.c.body)
        .where(table.c.flywheel == ws.name, table.c.kind == finding.kind)
        .order_by(table.c.at.desc())
        .limit(1)
    ).one_or_none()
    if last is None:
        return False
    said = last.body.get("facts", {})
    same = "period" in said and all(
        said.get(name) == finding.facts.get(name) for name in ("period", "champion")
    )
    return same or as_of - last.at < ws.spec.monitor.cooldown.span


def _raise(ws: Workspace, finding: Finding, as_of: datetime) -> None:
    with ws.ledger.write() as connection:
        if _cooling(connection, ws, finding, as_of):
            return
        body = msgspec.to_builtins(finding)
        connection.execute(
            insert(table).values(
                flywheel=ws.name, kind=finding.kind, severity=finding.severity, body=body, at=as_of
            )
        )
        if ws.spec.monitor.webhook is not None:
            message = {"event": "finding", "flywheel": ws.name, "at": as_of.isoformat(), "finding": body}
            Outbox(ws.ledger).put(connection, ws.name, ws.spec.monitor.webhook, message)
    log.warning("%s: %s: %s", ws.name, finding.kind, finding.message)
