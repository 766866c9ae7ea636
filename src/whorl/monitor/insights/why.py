"""Why did the champion get worse, or a challenger lose? Causes, each tested, ranked by how much of the loss they explain.

The champion: recent holdout rows against earlier ones, by the answers that were logged. A challenger: both sides on the same rows.

What is promised: where nothing has changed, the chance that any cause is named is at most 1 - level, all causes together.
A cause that is named was shown; one that is not named was not, which does not mean that it is not there.
"""

from datetime import datetime
from math import isfinite, sqrt

import numpy as np

from whorl.monitor.insights.causes import tested_causes
from whorl.monitor.insights.compared import Kind, Tested, compare, p_above
from whorl.monitor.insights.lost import judged, tested_losses
from whorl.monitor.insights.rows import InsightRows, Mask, champion_rows, row_losses
from whorl.records import ModelVersion, Record
from whorl.stats.arrays import Floats
from whorl.stats.intervals.estimate import Estimate, from_standard_error, normal_quantile
from whorl.stats.intervals.holm import holm
from whorl.stats.linear import variance
from whorl.workspace import Workspace

LEAST_ROWS = 200
LOOK_AT = 5


class Cause(Record, frozen=True, kw_only=True, omit_defaults=False):
    """One cause: what was seen, how likely that is without it, and what it explains.

    Args:
        p: Adjusted for all causes together (Holm); None where it could not be tested.
        explains: Share of the added loss, 0 to 1; None where it is not defined. Shares of several causes need not add up to 1.
        found: It was shown, at the level of `[evaluate] level`, and explains some of the loss: what changed and took from the loss
            is no cause of it.
        ids: Recent rows of it that lost most.
    """

    kind: Kind
    found: bool
    effect: str
    p: float | None
    explains: float | None
    ids: list[str]


class Why(Record, frozen=True, kw_only=True, omit_defaults=False):
    """`verdict`: the kind of the first cause, "not explained", "not worse", or "too few rows".

    Args:
        since: Where recent rows begin.
        added: Mean loss of recent rows less that of earlier ones; None with too few rows.
        causes: Those that were shown, by how much they explain; then the others.
    """

    verdict: str
    message: str
    loss: str
    since: datetime
    earlier_rows: int
    recent_rows: int
    added: Estimate | None
    causes: list[Cause]


def why_worse(ws: Workspace, as_of: datetime, since: datetime) -> Why:
    """What explains that the holdout rows from `since` on fared worse than those before."""
    rows = champion_rows(ws, as_of, logged=True)
    return explained(ws, rows, since)


def explained(ws: Workspace, rows: InsightRows, since: datetime) -> Why:
    """The same of given rows."""
    recent = rows.seconds >= since.timestamp()
    level = ws.spec.evaluate.level
    late, early = int(recent.sum()), int((~recent).sum())
    if min(late, early) < LEAST_ROWS:
        message = f"It cannot be told: {early:,} earlier and {late:,} recent labelled holdout rows, {LEAST_ROWS} of each needed."
        return _why(rows, since, recent, "too few rows", message, None, [])
    both = compare(rows, recent, ws.spec)
    added = from_standard_error(
        both.gap.value, sqrt(variance(both.gap.terms, both.group)), len(rows), quantile=normal_quantile(level)
    )
    if not both.gap_p <= 1 - level:
        message = f"Not worse than before, as far as {late:,} recent rows tell."
        return _why(rows, since, recent, "not worse", message, added, [])

    def losses(truth: Floats, said: Floats) -> Floats:
        return row_losses(ws, truth, said)[1]

    causes = _ranked(tested_causes(both, losses, level), rows, level)
    if not causes[0].found:
        message = "Worse than before, and none of the causes that were tested is shown."
        return _why(rows, since, recent, "not explained", message, added, causes)
    first = causes[0]
    return _why(rows, since, recent, first.kind, f"{_WORDS[first.kind]}: {first.effect}.", added, causes)


def why_lost(ws: Workspace, as_of: datetime, challenger: ModelVersion) -> Why:
    """What explains that a challenger does worse than the champion on the same holdout rows.

    `added` is what it loses beyond the champion, by Brier where there are classes; every judged row is a recent one.
    """
    lost, level = judged(ws, as_of, challenger), ws.spec.evaluate.level
    rows, every = lost.rows, np.ones(len(lost.rows), dtype=np.bool_)
    since = rows.table["time"][0].as_py() if len(rows) else as_of
    if len(rows) < LEAST_ROWS:
        message = f"It cannot be told: {len(rows):,} judged rows of {LEAST_ROWS} needed."
        return _why(rows, since, every, "too few rows", message, None, [])
    added = from_standard_error(
        lost.gap.value, sqrt(variance(lost.gap.terms, lost.group)), len(rows), quantile=normal_quantile(level)
    )
    if not p_above(lost.gap, lost.group) <= 1 - level:
        message = f"It does not do worse than the champion, as far as {len(rows):,} judged rows tell."
        return _why(rows, since, every, "not worse", message, added, [])
    causes = _ranked(tested_losses(ws, as_of, challenger, lost), rows, level)
    if not causes[0].found:
        message = "Worse than the champion, and none of the causes that were tested is shown."
        return _why(rows, since, every, "not explained", message, added, causes)
    first = causes[0]
    return _why(rows, since, every, first.kind, f"{_LOST_WORDS[first.kind]}: {first.effect}.", added, causes)


def _ranked(tests: list[Tested], rows: InsightRows, level: float) -> list[Cause]:
    """Those that are shown, by how much they explain; then the others, by how likely they are none."""
    adjusted = holm([one.p for one in tests])
    causes = [_cause(one, float(p), rows, level) for one, p in zip(tests, adjusted, strict=True)]
    shown = sorted((one for one in causes if one.found), key=lambda one: -(one.explains or 0.0))
    others = sorted((one for one in causes if not one.found), key=lambda one: 2.0 if one.p is None else one.p)
    return [*shown, *others]


_WORDS: dict[Kind, str] = {
    "new_class": "A class that is new",
    "broken_feature": "Recent values of a feature mislead",
    "label_definition": "What the label means has changed in a segment",
    "noisy_labels": "Labels have become noisier",
    "shifted_features": "Other rows come in than before",
    "segment": "One segment fares worse",
    "new_data": "It learnt from too few rows",
}
_LOST_WORDS: dict[Kind, str] = {
    "new_class": "It never learnt a class",
    "broken_feature": "Values of a feature mislead it",
    "label_definition": "What the label means differs between training and judged rows of a segment",
    "noisy_labels": "It learnt from wrong labels",
    "shifted_features": "It learnt from other rows than those it is judged on",
    "segment": "It loses in one segment",
    "new_data": "It learnt from too few rows",
}


def _why(
    rows: InsightRows,
    since: datetime,
    recent: Mask,
    verdict: str,
    message: str,
    added: Estimate | None,
    causes: list[Cause],
) -> Why:
    return Why(
        verdict=verdict,
        message=message,
        loss=rows.loss_name,
        since=since,
        earlier_rows=int((~recent).sum()),
        recent_rows=int(recent.sum()),
        added=added,
        causes=causes,
    )


def _cause(one: Tested, p: float, rows: InsightRows, level: float) -> Cause:
    places = np.flatnonzero(one.rows & (rows.seconds >= 0))
    order = places[np.lexsort((-rows.seconds[places], -rows.loss[places]))][:LOOK_AT]
    changed, explains = p <= 1 - level, one.explains > 0
    return Cause(
        kind=one.kind,
        found=changed and explains,
        effect=one.effect
        if explains or not changed
        else f"changed, but it does not explain the loss: {one.effect}",
        p=p if isfinite(p) else None,
        explains=min(max(one.explains, 0.0), 1.0) if isfinite(one.explains) else None,
        ids=[str(id) for id in rows.ids[order]],
    )
