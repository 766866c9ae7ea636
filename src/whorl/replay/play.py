"""One arm of a replay: a workspace in simulated time, in which rows and labels arrive when they did and cycles turn.

The champion of the day scores each row of the next period; labels come in at their own times; at the period's end a
cycle turns. Where findings start cycles, the monitor looks after each `[monitor] period` beside. Whether one starts is
what the server decides (`monitor/starting.py`), and everything a cycle does is the product's own `cycle.turn`.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from time import perf_counter

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from whorl.clock import SimulatedClock
from whorl.cycle import CycleReport, Trigger, start, turn
from whorl.errors import TooFewRows, WhorlError
from whorl.models.model import Model, load_model
from whorl.monitor.starting import Known, Why, found_at, paced_from, started_by_findings, why_start
from whorl.monitor.watch import watch
from whorl.release.release import promote
from whorl.replay.history import History
from whorl.spec import Duration, Spec
from whorl.storage import cycles, findings
from whorl.storage.tables import FEATURE, TableName
from whorl.workspace import Workspace, open_workspace

Floats = npt.NDArray[np.float64]
Act = Callable[[pa.Table], pa.Table]
# Of an arm's engine: a replay runs on a laptop, beside other things.
MEMORY = "1500MB"


class Played(msgspec.Struct, frozen=True):
    """What an arm did: probability or value per row (in the order of the replayed rows), and its cycles.

    Args:
        cycles: Those that did not fail, the first day's among them.
        by_findings: When cycles after the first day were started by a finding, failed ones included, and by which kind.
        bought: Labels by the as-of time of the cycle that first chose their row; a failed one has bought its own too.
    """

    predicted: Floats
    cycles: list[CycleReport]
    by_findings: dict[datetime, str]
    failures: list[str]
    initial_labels: int
    bought: dict[datetime, int]
    holdout_labels: int
    rows_trained: int
    seconds: float

    @property
    def labels_used(self) -> int:
        """Labels bought after the first day."""
        return sum(n for as_of, n in self.bought.items() if as_of > min(self.bought))


class Span(msgspec.Struct, frozen=True):
    """What is played: [start, end) in periods of `every`."""

    start: datetime
    end: datetime
    every: timedelta

    def periods(self) -> list[tuple[datetime, datetime]]:
        """Periods in order; the last one may be shorter."""
        edges = [self.start]
        while edges[-1] + self.every < self.end:
            edges.append(edges[-1] + self.every)
        return list(zip(edges, [*edges[1:], self.end], strict=True))

    def parts(self, longest: timedelta) -> list[tuple[datetime, datetime]]:
        """Each period in parts that are at most so long."""
        return [part for first, last in self.periods() for part in Span(first, last, longest).periods()]


def play(
    spec: Spec,
    history: History,
    span: Span,
    root: Path,
    *,
    classes: tuple[str, ...],
    seed: int,
    retrain: bool = True,
    act: Act | None = None,
    beside: Path | None = None,
    progress: Callable[[], None] = lambda: None,
) -> Played:
    """Play one arm in an empty directory.

    Args:
        classes: Multiclass: the order of columns in the answer.
        retrain: False turns one cycle on the first day, and never again.
        act: Turns scored rows into rows with an action and its propensity, as the company's own system would.
        beside: Directory in which the spec's own functions are found.
        progress: Called after each period.

    Raises:
        TooFewRows: No model can be trained on the first day.
    """
    began = perf_counter()
    clock = SimulatedClock(span.start)
    with open_workspace(
        _of_arm(spec, span, seed),
        root,
        clock=clock,
        mirror=False,
        holdout_key=f"replay-{seed}",
        beside=beside,
        memory_limit=MEMORY,
    ) as ws:
        arm = _Arm(ws, history, classes, act)
        arm.receive_before(span.start)
        arm.turn("replay")
        arm.begin()
        if ws.registry.champion() is None:
            raise TooFewRows(
                f"No model came out of the first day: {arm.why_no_champion()}",
                where=span.start.isoformat(),
                hint="Begin later (--from), or give more history.",
            )
        ends = {last for _, last in span.periods()}
        looking = retrain and spec.monitor.start_cycle
        for first, last in span.parts(spec.monitor.period.span) if looking else span.periods():
            arm.serve(first, last)
            clock.move_to(last)
            if retrain and last < span.end:
                arm.receive_labels_before(last)
                arm.turn_if_due()
            if last in ends:
                progress()
        return arm.played(perf_counter() - began, retrain=retrain)


def _of_arm(spec: Spec, span: Span, seed: int) -> Spec:
    """The spec with the replay's seed and cadence."""
    replace = msgspec.structs.replace
    cadence = replace(spec.cadence, every=Duration(f"{span.every.total_seconds():.15g}s"))
    return replace(spec, train=replace(spec.train, seed=seed), cadence=cadence)


class _Arm:
    def __init__(self, ws: Workspace, history: History, classes: tuple[str, ...], act: Act | None) -> None:
        self.ws, self.history, self.classes, self.act = ws, history, classes, act
        self.cycles: list[CycleReport] = []
        self.by_findings: dict[datetime, str] = {}
        self.failures: list[str] = []
        self.predicted: list[Floats] = []
        self.appended: dict[TableName, int] = {"predictions": 0, "labels": 0}
        self.labels_from = 0
        self.hidden: set[str] = set()

    def receive_before(self, when: datetime) -> None:
        """What had happened before the first day."""
        first, last = self.history.prediction_range(None, when)
        self._append("predictions", self.history.predictions.slice(first, last - first))
        self.receive_labels_before(when)

    def receive_labels_before(self, when: datetime) -> None:
        """Labels that became known since the last call; none for rows whose action hid it."""
        last = self.history.labels_before(when)
        rows = self.history.labels.slice(self.labels_from, last - self.labels_from)
        self.labels_from = last
        if self.hidden and rows.num_rows:
            known = pa.array([i not in self.hidden for i in rows["prediction_id"].to_pylist()])
            rows = rows.filter(known)
        self._append("labels", rows)

    def serve(self, first: datetime, last: datetime) -> None:
        """Score a period's rows with the champion of the day and log them."""
        begin, end = self.history.prediction_range(first, last)
        rows = self.history.predictions.slice(begin, end - begin)
        champion = self.ws.registry.champion()
        assert champion is not None
        model = load_model(
            self.ws.registry.path(champion), champion.digest, self.ws.spec, beside=self.ws.beside
        )
        predicted = model.predict(_features(rows, self.ws.spec))
        self.predicted.append(_in_order(predicted, model, self.classes))
        rows = _answered(rows, predicted, model, champion.id)
        if self.act is not None:
            rows = self.act(rows)
            censored = pc.is_in(rows["action"], value_set=pa.array(self.ws.spec.schema.censored, pa.string()))
            self.hidden.update(rows.filter(censored)["id"].to_pylist())
        self._append("predictions", rows)

    def turn_if_due(self) -> None:
        """A cycle, where the server would start one now."""
        why = self._why_start()
        if why is None and self.ws.spec.monitor.start_cycle:
            watch(self.ws, self.ws.clock.now())
            why = self._why_start()
        if why is not None:
            if why == "finding":
                self.by_findings[self.ws.clock.now()] = self._newest_finding()
            self.turn(why)

    def turn(self, trigger: Trigger) -> None:
        """One cycle; a cycle that fails is told, and the champion stays, as in production."""
        cycle_id = start(self.ws, trigger)
        try:
            self.cycles.append(turn(self.ws, cycle_id))
        except WhorlError as error:
            self.failures.append(f"{self.ws.clock.now().date()}: {error}")

    def _newest_finding(self) -> str:
        """The kind of the last one that may start a cycle."""
        raised = findings.listed(self.ws.ledger, self.ws.name)
        return next(o.finding.kind for o in raised if o.finding.kind in self.ws.spec.monitor.start_on)

    def _why_start(self) -> Why | None:
        spec, now = self.ws.spec, self.ws.clock.now()
        last = cycles.listed(self.ws.ledger, self.ws.name, limit=1)[0]
        with self.ws.ledger.read() as conn:
            paced = paced_from(conn, spec) or now
            found, by_findings = found_at(conn, spec), started_by_findings(conn, spec, now)
        return why_start(spec, now, Known(paced, last.created_at, found, by_findings))

    def begin(self) -> None:
        """The first day's model serves whatever a gate says: there is nothing to replay without one."""
        challenger = self.cycles[-1].challenger if self.cycles else None
        if self.ws.registry.champion() is None and challenger is not None:
            promote(self.ws, challenger.id, by="replay", reason="the first day's model")

    def why_no_champion(self) -> str:
        verdicts = [c.verdict.reason for c in self.cycles if c.verdict]
        return "; ".join([*self.failures, *verdicts]) or "no cycle finished."

    def played(self, seconds: float, *, retrain: bool) -> Played:
        datasets = [c.dataset for c in self.cycles if c.dataset]
        initial = datasets[0].labelled_rows
        holdout = self._holdout_labels() if retrain else 0
        return Played(
            predicted=np.concatenate(self.predicted),
            cycles=self.cycles,
            by_findings=self.by_findings,
            failures=self.failures,
            initial_labels=initial,
            bought=self._bought(),
            holdout_labels=holdout,
            rows_trained=sum(d.rows for d in datasets),
            seconds=seconds,
        )

    def _bought(self) -> dict[datetime, int]:
        found = self.ws.engine.query(
            "SELECT as_of, count(*) AS n FROM (SELECT id, min(as_of) AS as_of "
            f"FROM {self.ws.lake.relation('cases')} GROUP BY id) GROUP BY as_of ORDER BY as_of"
        )
        return {row["as_of"]: row["n"] for row in found.to_pylist()}

    def _holdout_labels(self) -> int:
        found = self.ws.engine.query(
            f"SELECT count(*) AS n FROM {self.ws.examples(self.cycles[-1].as_of).name} "
            "WHERE split = 'holdout' AND status = 'known'"
        )
        return int(found["n"][0].as_py())

    def _append(self, table: TableName, rows: pa.Table) -> None:
        if table == "predictions" and self.ws.spec.curate.holdout_share == 0:
            everyone = pa.array(["train"] * rows.num_rows, pa.string())
            rows = rows.set_column(rows.schema.get_field_index("split"), "split", everyone)
        if rows.num_rows:
            self.appended[table] += 1
            self.ws.lake.append(table, rows, app=f"replay/{table}", version=self.appended[table])


def _features(rows: pa.Table, spec: Spec) -> pa.Table:
    names = list(spec.features)
    return rows.select([FEATURE + name for name in names]).rename_columns(names)


def _in_order(predicted: Floats, model: Model, classes: tuple[str, ...]) -> Floats:
    if predicted.ndim == 1:
        return predicted
    known = [str(name) for name in model.manifest.classes or ()]
    return np.stack(
        [predicted[:, known.index(c)] if c in known else np.zeros(len(predicted)) for c in classes], axis=1
    )


def _answered(rows: pa.Table, predicted: Floats, model: Model, version: str) -> pa.Table:
    """The rows with score, scores, output and model version as the champion would have logged them."""
    n = rows.num_rows
    answers = {"model_version": pa.array([version] * n, pa.string())}
    if predicted.ndim == 1:
        answers["score"] = pa.array(predicted)
    else:
        names = [str(name) for name in model.manifest.classes or ()]
        best = predicted.argmax(axis=1)
        offsets = pa.array(np.arange(n + 1, dtype=np.int32) * len(names))
        answers["scores"] = pa.MapArray.from_arrays(offsets, pa.array(names * n), pa.array(predicted.ravel()))
        answers["score"] = pa.array(predicted.max(axis=1))
        answers["output"] = pa.array([names[place] for place in best], pa.string())
    for name, values in answers.items():
        place = rows.schema.get_field_index(name)
        rows = rows.append_column(name, values) if place < 0 else rows.set_column(place, name, values)
    return rows
