"""How many labels, of which holdout rows, it takes to know the champion's accuracy to a precision, and what they cost.

Rows are those that were received since the last draw: each has one chance, however late it was sent. How many it takes is told from labels that are known already; without
any, from what the model claims, which is then not believed below 5 % errors. Where known labels show that asking by doubt
would lose against asking evenly, the draw is even, and says so. The method is in `stats/sampling/few_labels.py`; what
becomes of the labels in `monitor/quality.py`.
"""

from datetime import datetime
from math import isclose
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa

from whorl.errors import StateError, TruthError
from whorl.examples.asked import JUDGE, WITHDRAWN, can_be_asked, least_answers
from whorl.examples.champions_answers import champions_answers
from whorl.examples.said import said_and_true
from whorl.records import Record
from whorl.spec import Spec
from whorl.stats.arrays import Floats
from whorl.stats.calibration.logistic_line import sigmoid
from whorl.stats.metrics.accuracy import hits
from whorl.stats.sampling.claimed_accuracy import claimed_accuracy
from whorl.stats.sampling.doubt import doubt
from whorl.stats.sampling.error_chance import ErrorCurve, fit_error_curve, views_of_doubt
from whorl.stats.sampling.few_labels import asking_chances, draw, expected_reach, labels_for
from whorl.stats.sampling.hashed_uniform import hashed_uniform
from whorl.storage.sql_types import instant_literal
from whorl.workspace import Workspace

ENOUGH_KNOWN = 50
LEAST_CLAIMED_ERROR = 0.05


class PlanFacts(Record, frozen=True, kw_only=True, omit_defaults=False):
    """What is told of a draw.

    `strategy`: doubt, or random where doubt has been found to say nothing.
    `precision`: half the width that its interval is expected to have; `basis`: whether that goes by labels that are known
    or by what the model claims; `labelled`: rows to ask for whose truth has come already; `cost` in USD of the
    others, None without `[evaluate] label_cost`, as `reason` says then; `warning`: a precision out of reach, periods of the
    monitor for which the labels are too few.
    """

    draw: str
    strategy: Literal["doubt", "random"]
    since: datetime | None
    until: datetime
    rows: int
    labels: int
    labelled: int
    cost: float | None
    precision: float
    accuracy: float
    basis: Literal["known labels", "the model's claim"]
    warning: str | None
    reason: str | None


class HoldoutPlan(PlanFacts, frozen=True, kw_only=True):
    """A draw that has not been made yet; `picked`: columns id, time, probability, stratum, and what was answered."""

    picked: pa.Table

    def facts(self) -> PlanFacts:
        """All but the rows."""
        return PlanFacts(**{name: getattr(self, name) for name in PlanFacts.__struct_fields__})


def plan(
    ws: Workspace, as_of: datetime, *, labels: int | None = None, precision: float | None = None
) -> HoldoutPlan:
    """The draw of so many labels, or of as many as the precision takes; without both, of `[evaluate] ask`.

    Raises:
        StateError: What is asked for cannot be meant, the task has no classes, nothing may be spent, no row could be asked for.
        TruthError: A logged score is no probability.
    """
    _check(ws, labels, precision)
    if ws.spec.task not in ("binary", "multiclass"):
        raise StateError(
            f"Accuracy needs classes; the task is '{ws.spec.task}'.", where=f"{ws.name}: holdout"
        )
    number, since = _next(ws)
    rows, frame = _frame(ws, as_of, since)
    level, even = ws.spec.evaluate.level, _even_is_better(frame)
    if labels is None and precision is not None:
        labels = labels_for(frame.doubts, precision, frame.curve, frame.error_rate, level=level, even=even)
    budget = ws.spec.evaluate.ask if labels is None else labels
    if budget < 1:
        hint = "Give --labels or --precision, or set [evaluate] ask."
        raise StateError(
            f"A budget of {budget} labels asks for nothing.", where=f"{ws.name}: holdout", hint=hint
        )
    name = f"judge-{number:04d}"
    chances = asking_chances(frame.doubts, budget, even=even)
    picked = _picked(ws, rows, frame.doubts, chances, name)
    labelled = picked.num_rows - picked["label"].null_count
    reach = expected_reach(frame.doubts, budget, frame.curve, frame.error_rate, level=level, even=even)
    warnings = [_out_of_reach(precision, reach, rows.num_rows), _too_few_a_period(picked, ws.spec)]
    cost = ws.spec.evaluate.label_cost
    return HoldoutPlan(
        draw=name,
        strategy="random" if even else "doubt",
        since=since,
        until=as_of,
        rows=rows.num_rows,
        labels=picked.num_rows,
        labelled=labelled,
        cost=None if cost is None else cost * (picked.num_rows - labelled),
        precision=reach,
        accuracy=1 - frame.error_rate,
        basis=frame.basis,
        warning=" ".join(filter(None, warnings)) or None,
        reason="[evaluate] label_cost is not set: the price is not known." if cost is None else None,
        picked=picked.drop_columns(["label"]),
    )


def _check(ws: Workspace, labels: int | None, precision: float | None) -> None:
    where = f"{ws.name}: holdout"
    if labels is not None and precision is not None:
        raise StateError(
            "A number of labels and a precision were both given.",
            where=where,
            hint="Give one: the other follows from it.",
        )
    if precision is not None and not 0 < precision < 1:
        raise StateError(
            f"A precision of {precision:g} does not lie between 0 and 1.",
            where=where,
            hint="It is half the width of the interval: 0.01 is one point up, one point down.",
        )


class _Frame(NamedTuple):
    """Doubt (n,) of the rows that could be asked for, and how errors are thought to lie over it."""

    doubts: Floats
    curve: ErrorCurve
    error_rate: float
    basis: Literal["known labels", "the model's claim"]


def _even_is_better(frame: _Frame) -> bool:
    """Whether errors are known to lie so that a draw by doubt is expected to say less than an even one."""
    budget = max(1, len(frame.doubts) // 10)
    by_doubt, evenly = (
        expected_reach(frame.doubts, budget, frame.curve, frame.error_rate, even=even)
        for even in (False, True)
    )
    # Equal doubts make both draws the same, but for rounding.
    less = evenly < by_doubt and not isclose(evenly, by_doubt)
    return frame.basis == "known labels" and less


def _next(ws: Workspace) -> tuple[int, datetime | None]:
    """The number of the next draw, and since when rows have had no chance yet: a draw of a later time counts too."""
    table = ws.lake.relation("asked")
    withdrawn = f"draw IN (SELECT draw FROM {table} WHERE purpose = '{WITHDRAWN}')"
    made = ws.engine.query(
        f"SELECT count(DISTINCT draw) AS n, max(until) FILTER (NOT {withdrawn}) AS until FROM {table} WHERE purpose = '{JUDGE}'"
    ).to_pylist()[0]
    return made["n"] + 1, made["until"]


def _out_of_reach(wanted: float | None, reach: float, rows: int) -> str | None:
    """A precision that not even all rows give: more may come that are like them."""
    if wanted is None or reach <= wanted:
        return None
    return (
        f"A precision of {wanted:g} is out of reach: all {rows:,} rows that can be asked about give {reach:.2g}. "
        "Ask for less, or wait for more predictions."
    )


def _too_few_a_period(picked: pa.Table, spec: Spec) -> str | None:
    """Periods that would have too few answers for a figure, though all are answered."""
    least = least_answers(spec, spec.monitor.metric or spec.metric)
    number = picked["time"].cast(pa.int64()).to_numpy() // round(spec.monitor.period.seconds * 1e6)
    _, labels = np.unique(number, return_counts=True)
    few = int((labels < least).sum())
    if not few:
        return None
    return (
        f"{few} of {len(labels)} monitor periods ({spec.monitor.period}) would have fewer than {least} answers "
        "([monitor] min_rows; 20 for an accuracy): asked rows do not tell those. More labels, or a longer [monitor] period."
    )


def _frame(ws: Workspace, as_of: datetime, since: datetime | None) -> tuple[pa.Table, _Frame]:
    said = "scores" if ws.spec.task == "multiclass" else "score"
    columns = f"id, time, label, {said}"
    examples = ws.examples(as_of).name
    open_to = f"FROM {examples} WHERE {can_be_asked(ws.spec)} AND {champions_answers(ws.registry, ws.spec, examples)}"
    span = "true" if since is None else f"received_at > {instant_literal(since)}"
    rows = ws.engine.query(f"SELECT {columns} {open_to} AND {span} ORDER BY time, id")
    if not rows.num_rows:
        after = f" since {since:%Y-%m-%d %H:%M} UTC, when labels were last asked for" if since else ""
        hint = "Predictions need a score, and [curate] holdout_share a part of them." + (
            " A draw that was a mistake is taken back by: whorl holdout ask --withdraw DRAW" if since else ""
        )
        raise StateError(f"No holdout row was answered{after}.", where=f"{ws.name}: holdout", hint=hint)
    known = ws.engine.query(f"SELECT {columns} {open_to} AND status = 'known' ORDER BY time, id")
    return rows, _errors_over_doubt(rows, known, ws.spec)


def _errors_over_doubt(rows: pa.Table, known: pa.Table, spec: Spec) -> _Frame:
    """How errors lie over doubt, learnt from all known rows: given a row's doubt, why it was labelled does not matter."""
    said, _ = said_and_true(rows, spec)
    doubts = _doubt(said, spec)
    if known.num_rows < ENOUGH_KNOWN:
        claimed_error = max(1 - claimed_accuracy(said), LEAST_CLAIMED_ERROR)
        return _Frame(
            doubts, fit_error_curve(np.zeros(0), np.zeros((0, 2))), claimed_error, "the model's claim"
        )
    said_of_known, truth = said_and_true(known, spec)
    both = np.concatenate([doubts, _doubt(said_of_known, spec)])
    # The views are those of the rows that could be asked for.
    view = views_of_doubt(both, np.where(np.arange(len(both)) < len(doubts), 1.0, 1e-9))
    curve = fit_error_curve(1 - hits(truth, said_of_known), view[len(doubts) :])
    return _Frame(doubts, curve, float(sigmoid(curve.logit(view[: len(doubts)])).mean()), "known labels")


def _doubt(said: Floats, spec: Spec) -> Floats:
    try:
        return doubt(said)
    except ValueError as error:
        raise TruthError(
            str(error),
            where=f"{spec.name}: logged scores",
            hint="Log probabilities: [schema] score or scores must lie in [0, 1].",
        ) from error


def _picked(ws: Workspace, rows: pa.Table, doubts: Floats, chances: Floats, name: str) -> pa.Table:
    # By a secret key: nobody can aim at being asked about, or left alone.
    seed = f"{ws.holdout_key}/{name}"
    drawn = draw(chances, doubts, hashed_uniform(rows["id"].to_pylist(), seed), seed)
    return (
        rows.take(pa.array(drawn.picked))
        .append_column("probability", pa.array(drawn.probability))
        .append_column("stratum", pa.array([str(s) for s in drawn.stratum]))
    )
