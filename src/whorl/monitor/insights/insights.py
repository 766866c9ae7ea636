"""`whorl insights`: where the champion errs more than elsewhere, over recent holdout rows; and, when asked, why it got worse.

Diagnosis for people. It starts nothing and moves nothing.
"""

from datetime import datetime
from math import sqrt

import numpy as np

from whorl.clock import as_utc
from whorl.errors import StateError
from whorl.monitor.insights.rows import LEAST_LEVEL_ROWS, InsightRows, Mask, champion_rows, columns_of
from whorl.monitor.insights.why import Why, why_lost, why_worse
from whorl.records import Record
from whorl.stats.arrays import codes
from whorl.stats.intervals.estimate import Estimate, from_standard_error, student_quantile
from whorl.stats.linear import mean_linear, variance
from whorl.stats.slices.conditions import holds
from whorl.stats.slices.slices import Slice, find_slices
from whorl.storage import findings, verdicts
from whorl.workspace import Workspace

LOOK_AT = 5
DECAY = ("decay", "below_threshold", "error_rate_up")
LEAST = LEAST_LEVEL_ROWS


class SliceFound(Record, frozen=True, kw_only=True, omit_defaults=False):
    """A part of the rows in which more is lost than in the rest; figures are of rows that did not choose it.

    Args:
        text: Its conditions, as people say them.
        rows: Of it, among all rows that were looked at; `share` of them by weight.
        loss: Mean loss in it; `rest`: of all others; `difference` and `lift`: one less, and over, the other.
        p: Of "no worse than the rest", adjusted for every slice that was tested.
        ids: Rows of it that lost most.
    """

    text: str
    rows: int
    share: float
    loss: Estimate
    rest: float
    difference: Estimate
    lift: Estimate
    p: float
    ids: list[str]


class Insights(Record, frozen=True, kw_only=True, omit_defaults=False):
    """What `insights` found. `loss` is its name, `mean` its mean over all rows; None where there are none."""

    flywheel: str
    as_of: datetime
    champion: str | None
    loss: str
    rows: int
    mean: Estimate | None
    slices: list[SliceFound]
    counted: int
    tested: int
    notes: list[str]
    why: Why | None = None
    lost: Why | None = None


def insights(
    ws: Workspace, as_of: datetime, *, why: bool = False, since: datetime | str | None = None
) -> Insights:
    """Where the champion errs, over the holdout rows of `[evaluate] window`; and why it got worse.

    Args:
        why: Ask that too, of the champion and of the last challenger, if it was not promoted. It is asked of the champion by
            itself when it was found to decay, and of the challenger when it was rejected.
        since: Where the rows begin that got worse, as a time or in ISO 8601, in UTC where it names no zone; default: with the
            period in which decay was found, else the last `[monitor] period`.

    Raises:
        StateError: The task is generation: what is true of a text cannot be compared row by row. `since` is no time.
    """
    if ws.spec.task == "generation":
        raise StateError(
            "Insights compare answers with the truth, row by row; texts are judged, not compared.",
            where=ws.name,
            hint="They are there for binary, multiclass and regression.",
        )
    begin, champion = begin_of(since), ws.registry.champion()
    rows = champion_rows(ws, as_of)
    rows = rows.take(_recent(rows, ws.spec.evaluate.window.seconds))
    level = ws.spec.evaluate.level
    columns = columns_of(rows.table, ws.spec)
    found = find_slices(columns, rows.loss, rows.weight, rows.group, level=level, least=LEAST)
    return Insights(
        flywheel=ws.name,
        as_of=as_of,
        champion=champion.id if champion else ws.spec.champion.version,
        loss=rows.loss_name,
        rows=len(rows),
        mean=mean_loss(rows, level) if len(rows) else None,
        slices=[_found(one, rows, holds(one.conditions, columns)) for one in found.shown],
        counted=found.counted,
        tested=found.tested,
        notes=[*rows.notes, *_too_few(len(rows))],
        why=_why(ws, as_of, why, begin),
        lost=_lost(ws, as_of, why),
    )


def begin_of(since: datetime | str | None) -> datetime | None:
    """The time in UTC. Raises StateError when it is none."""
    if since is None:
        return None
    try:
        return as_utc(since if isinstance(since, datetime) else datetime.fromisoformat(str(since)))
    except (ValueError, OverflowError) as error:
        raise StateError(
            f"{str(since)!r} is no time.",
            where="since",
            hint='Give a datetime, or text such as "2026-04-01" or "2026-04-01T12:00:00Z".',
        ) from error


def _why(ws: Workspace, as_of: datetime, asked: bool, since: datetime | None) -> Why | None:
    decayed = _decayed(ws)
    if not (asked or since or decayed):
        return None
    return why_worse(ws, as_of, since or decayed or as_of - ws.spec.monitor.period.span)


def _lost(ws: Workspace, as_of: datetime, asked: bool) -> Why | None:
    last, champion = next(iter(ws.registry.versions()[::-1]), None), ws.registry.champion()
    if last is None or champion is None or last.version <= champion.version:
        return None
    verdict = verdicts.of_challenger(ws.ledger, ws.name, last.id)
    if not asked and (verdict is None or verdict.decision != "reject"):
        return None
    return why_lost(ws, as_of, last)


def _decayed(ws: Workspace) -> datetime | None:
    """When the first rows were answered that the champion of now was found to decay on; None where no finding says when."""
    moved = next(iter(ws.registry.changes(limit=1)), None)
    champion = moved.model_id if moved else None
    begins = [
        raised.finding.facts.get("since", None if kind == "error_rate_up" else raised.finding.facts["period"])
        for raised in findings.listed(ws.ledger, ws.name)
        if (kind := raised.finding.kind) in DECAY and raised.finding.facts.get("champion") == champion
    ]
    known = [begin for begin in begins if begin is not None]
    return datetime.fromisoformat(known[-1]) if known else None


def mean_loss(rows: InsightRows, level: float) -> Estimate:
    """Mean of the rows' losses with its interval; all nan without rows."""
    mean, group = mean_linear(rows.loss, rows.weight), codes(rows.group)
    units = min(mean.units, len(set(group.tolist())))
    spread = variance(mean.terms, group)
    return from_standard_error(mean.value, sqrt(spread), len(rows), quantile=student_quantile(level, units))


def worst_ids(rows: InsightRows, chosen: Mask) -> list[str]:
    """Those of the chosen rows that lost most, the youngest first where they lost the same."""
    places = np.flatnonzero(chosen)
    order = np.lexsort((-rows.seconds[places], -rows.loss[places]))
    return [str(id) for id in rows.ids[places[order[:LOOK_AT]]]]


def _recent(rows: InsightRows, window_s: float) -> Mask:
    """Counted back from the youngest row, as the gates count."""
    if not window_s or not len(rows):
        return np.ones(len(rows), dtype=np.bool_)
    recent: Mask = rows.seconds >= rows.seconds.max() - window_s
    return recent


def _found(one: Slice, rows: InsightRows, chosen: Mask) -> SliceFound:
    return SliceFound(
        text=one.text,
        rows=one.rows,
        share=one.share,
        loss=one.mean,
        rest=one.rest,
        difference=one.difference,
        lift=one.lift,
        p=one.p,
        ids=worst_ids(rows, chosen),
    )


def _too_few(rows: int) -> list[str]:
    """A slice has rows in both halves, and is at most half of each."""
    needed = 4 * LEAST
    if rows >= needed:
        return []
    return [f"Too few rows to look for slices: {rows:,} labelled holdout rows of {needed:,} needed."]
