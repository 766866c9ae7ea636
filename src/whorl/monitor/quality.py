"""How good the champion is, a period at a time, and for whom: its logged answers on holdout rows against what turned out true.

Rows are weighed as the gates weigh them, so that truth that comes sooner for one class is not taken for decay. Where people
were asked for truths, a period goes by those where they suffice: see `examples/asked.py`. What the model claims is shown beside accuracy as a
diagnosis, and decides nothing.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Literal, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from whorl.examples.answering import Answering, answering
from whorl.examples.asked import (
    ANSWERED,
    NEARLY_ALL,
    asked_for,
    asked_weights,
    beside_asked,
    can_be_asked,
    judge_draws,
    least_answers,
)
from whorl.examples.champions_answers import champions_answers
from whorl.examples.maturity import mature_s
from whorl.examples.said import groups_of, said_and_true
from whorl.examples.weights import exploration, judging_weight, late_truth_weight, standing_for
from whorl.models.spec_metric import spec_metric
from whorl.monitor.answered_quality import answered_figures
from whorl.monitor.smoothed_quality import smoothed_quality
from whorl.records import Record
from whorl.spec import Spec
from whorl.stats.answering.silent_share import with_silent
from whorl.stats.intervals.asymptotic_sequence import always_valid
from whorl.stats.intervals.estimate import Estimate
from whorl.stats.intervals.interval import interval
from whorl.stats.metrics.accuracy import hits
from whorl.stats.metrics.metric import Metric
from whorl.stats.sampling.claimed_accuracy import contradicted
from whorl.stats.sampling.doubt import doubt
from whorl.stats.sampling.few_labels import estimate_accuracy
from whorl.stats.sampling.horvitz_thompson import hajek
from whorl.storage.tables import PROTECTED, TIME
from whorl.workspace import Workspace

Floats = npt.NDArray[np.float64]
_TOO_YOUNG = "{n:,} rows with a truth are left out: they are so young that the truth of some class can hardly be known."


class PeriodQuality(Record, frozen=True, kw_only=True):
    """One period's figure; None where it is undefined or rests on fewer rows than `[monitor] min_rows`.

    `method`: by the rows whose truth came, the same weighted because it does not come by chance (why, and how much is left, is
    in `notes`), or by those that people were asked for; `waiting`: what is not told yet, and why. `smoothed`:
    by asked rows and the periods before. `claimed`: the accuracy that the model's
    confidence claims for all answered rows, only where accuracy is watched; `contradicted`: it lies outside the interval.
    `always`: the same figure with bounds that hold however often the period is looked at while its truths come in; `plain`: beside
    accuracy by asked rows, what they say without the model's help.
    """

    start: datetime
    rows: int
    value: float | None
    low: float | None
    high: float | None
    method: Literal["labelled", "weighted", "asked"] = "labelled"
    notes: tuple[str, ...] = ()
    waiting: str = ""
    smoothed: Estimate | None = None
    claimed: float | None = None
    contradicted: bool | None = None
    always: Estimate | None = None
    plain: Estimate | None = None


def watched_metric(ws: Workspace) -> Metric:
    """The metric that is watched."""
    return spec_metric(ws.spec, ws.spec.monitor.metric or ws.spec.metric, ws.beside)


class GroupQuality(Record, frozen=True, kw_only=True):
    """One protected group's figure beside that of everybody else of whom the attribute is known.

    `apart`: by how much the two intervals lie apart, with the group on the worse side; at most 0 where they overlap.
    """

    name: str
    period: datetime
    group: Estimate
    others: Estimate
    apart: float


def quality(ws: Workspace, as_of: datetime) -> list[PeriodQuality]:
    """Quality in each span of `[monitor] period`, oldest first, over mature holdout rows that were answered."""
    judged, metric = _judged(ws, as_of), watched_metric(ws)
    claims = _claims(ws, as_of) if metric.name == "accuracy" else {}
    span = _period_us(ws.spec)
    told = {} if judged.came is None else answered_figures(judged.came, metric, ws.spec, span)
    smoothed = smoothed_quality(ws, as_of, judged.rows["id"], judged.weight, judged.by_asked, span, metric)
    return [
        _period(
            judged.take(judged.period == p),
            _start(ws.spec, p, as_of),
            metric,
            ws.spec,
            _Beside(claims.get(p), told.get(p), smoothed.get(p), judged.waiting.get(p, "")),
        )
        for p in np.union1d(judged.period, list(judged.waiting)).astype(int).tolist()
    ]


def quality_by_protected(ws: Workspace, as_of: datetime, since: datetime | None) -> list[GroupQuality]:
    """Quality of each group of `[schema] protected` that has enough rows, over all periods from `since` on.

    Groups share the error, as the slices of a gate do.
    """
    if not ws.spec.protected:
        return []
    judged, metric = _judged(ws, as_of), watched_metric(ws)
    if judged.came is not None and judged.came.refusal:
        judged = judged.take(np.isin(judged.period, judged.by_asked))
    if since is not None:
        judged = judged.take(np.asarray(pc.greater_equal(judged.rows["time"], pa.scalar(since, TIME))))
    pairs = list(_slices(judged, ws.spec))
    level = 1 - (1 - ws.spec.evaluate.level) / max(len(pairs), 1)
    found = []
    for name, inside, others in pairs:
        one, rest = (_figure(part, metric, ws.spec, level) for part in (inside, others))
        apart = rest.low - one.high if metric.greater_is_better else one.low - rest.high
        period = _start(ws.spec, int(inside.period.max()), as_of)
        found.append(GroupQuality(name=name, period=period, group=one, others=rest, apart=apart))
    return found


class _Beside(NamedTuple):
    """What is known of a period apart from its judged rows: what the model claims, the figure by the chance of answering, and
    the one that leans on earlier periods; None where there is none. `waiting`: what is not told yet, and why.
    """

    claimed: float | None
    told: Estimate | None
    smoothed: Estimate | None
    waiting: str


class _Judged(NamedTuple):
    """Mature holdout rows in order of time; the weight and the number of the period of each (n,), and which periods are told
    by rows that people were asked for: those weigh as many rows as they stand for. `silent`: of those periods, the share of all
    rows that silent ones stand for; `waiting`: of periods not told by them, or not by all rows, why;
    `came`: how the truths of the others did.
    """

    rows: pa.Table
    weight: Floats
    period: npt.NDArray[np.int64]
    silent: dict[int, float]
    waiting: dict[int, str]
    came: Answering | None

    def take(self, chosen: npt.NDArray[np.bool_]) -> "_Judged":
        return self._replace(
            rows=self.rows.filter(pa.array(chosen)), weight=self.weight[chosen], period=self.period[chosen]
        )

    @property
    def by_asked(self) -> npt.NDArray[np.int64]:
        return np.array(sorted(self.silent), dtype=np.int64)

    @property
    def silent_share(self) -> float:
        shares = [self.silent.get(int(p), 0.0) for p in self.period]
        return float(np.average(shares, weights=self.weight)) if shares else 0.0

    @property
    def asked(self) -> bool:
        """Whether there are rows, all of periods that are told by asked ones."""
        return bool(len(self.period) and np.isin(self.period, self.by_asked).all())


def _judged(ws: Workspace, as_of: datetime) -> _Judged:
    spec = ws.spec
    answered = "score IS NOT NULL" if spec.task != "multiclass" else "scores IS NOT NULL"
    examples, champions = (
        ws.examples(as_of).name,
        champions_answers(ws.registry, spec, ws.examples(as_of).name),
    )
    period = f"epoch_us(time) // {_period_us(spec)}"
    asked = asked_weights(ws.engine, ws.lake, examples, spec, as_of)
    beside = beside_asked(ws.engine, ws.lake, examples, spec, as_of)
    judged = (
        f"(SELECT e.*, {period} AS period, a.weight AS stands_for, a.probability AS asked_with, r.asked_at,\n"
        f"  coalesce(b.stands_for, 1) AS beside FROM {examples} e LEFT JOIN {asked} a USING (id) LEFT JOIN {beside} b USING (id)\n"
        f"LEFT JOIN ({asked_for(ws.lake, as_of)}) r USING (id)) "
        f"WHERE split = 'holdout' AND {answered} AND {champions}"
    )
    came = answering(ws.examples(as_of), f"split = 'holdout' AND {champions}")
    chosen = came is not None and (came.how.weighted or bool(came.refusal))
    silent, waiting = _told_by_asked(ws, judged, as_of, even_few=chosen)
    inside = f"period IN ({', '.join(map(str, silent)) or 'NULL'})"
    rows = ws.engine.query(
        f"SELECT * REPLACE (CASE WHEN {inside} THEN stands_for END AS stands_for), {exploration(spec)} AS exploration\n"
        f"FROM {judged} AND status IN ('known', 'defaulted') AND CASE WHEN {inside} THEN stands_for > 0\n"
        f"  ELSE beside > 0 AND age_days * 86400 >= {mature_s(spec):.15g} END ORDER BY time, id"
    )
    late = late_truth_weight(rows, ws.examples(as_of).late_truth, spec)
    if came is not None:
        late = late * came.weight_of(rows["id"])
    late = late * rows["beside"].to_numpy()
    weight = standing_for(rows["stands_for"].to_numpy(), judging_weight(late, rows), rows)
    found = _Judged(
        rows, weight, np.asarray(rows["period"].to_numpy(), dtype=np.int64), silent, waiting, came
    )
    periods, left_out = np.unique(found.period[weight == 0], return_counts=True)
    for number, n in zip(periods.tolist(), left_out.tolist(), strict=True):
        waiting[number] = " ".join(filter(None, (waiting.get(number), _TOO_YOUNG.format(n=n))))
    return found.take(weight > 0)


def _told_by_asked(
    ws: Workspace, judged: str, as_of: datetime, *, even_few: bool
) -> tuple[dict[int, float], dict[int, str]]:
    """Periods that go by asked rows, with the share that silent ones stand for; and why others with asked rows do not.

    They go by them where draws that count had a chance at half of the rows, and at nearly all that are older than the last
    draw, and the answers are enough for a figure and no fewer than the other truths, which come by chance: `even_few` where those do not. Nobody may be silent where the metric is no mean of bounded rows: how far
    silent ones move it is not known. Else the rows that nobody was asked for tell the period.
    """
    metric = watched_metric(ws)
    bounded = metric.row_values is not None and np.isfinite([metric.lowest, metric.greatest]).all()
    least = least_answers(ws.spec, metric.name)
    others = "0" if even_few else "count(*) FILTER (asked_at IS NULL AND status = 'known' AND beside > 0)"
    rows = ws.engine.query(
        f"WITH last AS (SELECT max(until) AS until FROM ({judge_draws(ws.lake, as_of)}))\n"
        "SELECT period, count(asked_at) AS asked, count(*) FILTER (asked_at IS NOT NULL AND status = 'known') AS told,\n"
        "  coalesce(sum(1 / asked_with) FILTER (stands_for = 0) / sum(1 / asked_with), 0) AS silent, avg((label IS NOT NULL)::INT) AS known,\n"
        f"  2 * count(stands_for) >= count(*) AND count(stands_for) >= {ANSWERED} * count(*) FILTER (time < until)\n"
        f"  AND count(*) FILTER (stands_for > 0) >= greatest({least}, {others}) AS enough\n"
        f"FROM last, {judged} AND NOT censored GROUP BY period HAVING asked > 0 ORDER BY period"
    ).to_pylist()
    told, waiting = {}, {}
    for row in rows:
        if row["enough"] and (bounded or not row["silent"]):
            told[row["period"]] = row["silent"]
        elif row["enough"]:
            waiting[row["period"]] = (
                f"Rows asked for that stand for {row['silent']:.1%} of this period have no truth, and how far they may move '{metric.name}' is not "
                "known: it goes by asked rows once all have one. Metrics that are means of bounded rows (accuracy, brier) are told before."
            )
        elif row["known"] < NEARLY_ALL:
            waiting[row["period"]] = (
                f"People were asked for {row['asked']:,} rows of this period, and {row['told']:,} have a truth: too few to stand for all "
                f"({least} are needed, as many as there are of other truths, and nine tenths of its draw), or of too small a part of it."
            )
    return told, waiting


def _claims(ws: Workspace, as_of: datetime) -> dict[int, float]:
    """Mean confidence of all answered rows by period; periods in which a score is no probability are left out."""
    if ws.spec.task not in ("binary", "multiclass"):
        return {}
    said = "list_max(map_values(scores))" if ws.spec.task == "multiclass" else "greatest(score, 1 - score)"
    examples = ws.examples(as_of).name
    rows = ws.engine.query(
        f"SELECT epoch_us(time) // {_period_us(ws.spec)} AS period, avg({said}) AS claimed FROM {examples}\n"
        f"WHERE {can_be_asked(ws.spec)} AND {champions_answers(ws.registry, ws.spec, examples)} GROUP BY 1 HAVING bool_and({said} BETWEEN 0 AND 1)"
    )
    return dict(zip(rows["period"].to_pylist(), rows["claimed"].to_pylist(), strict=True))


def _slices(judged: _Judged, spec: Spec) -> Iterator[tuple[str, _Judged, _Judged]]:
    """Each group's rows, and those of the others, where both are enough to be judged."""
    for attribute in spec.protected:
        values = np.array(judged.rows[PROTECTED + attribute].to_pylist(), dtype=object)
        known = np.array([value is not None for value in values], dtype=np.bool_)
        for value in sorted(set(values[known])):
            inside = values == value
            others = known & ~inside
            if min(inside.sum(), others.sum()) >= max(spec.monitor.min_rows, 1):
                yield f"{attribute} = {value}", judged.take(inside), judged.take(others)


def _period_us(spec: Spec) -> int:
    return round(spec.monitor.period.seconds * 1e6)


def _start(spec: Spec, number: int, as_of: datetime) -> datetime:
    return datetime.fromtimestamp(number * _period_us(spec) / 1e6, as_of.tzinfo)


def _period(judged: _Judged, start: datetime, metric: Metric, spec: Spec, beside: _Beside) -> PeriodQuality:
    n, asked = judged.rows.num_rows, judged.asked
    weighted = not asked and judged.came is not None and judged.came.how.weighted
    found = PeriodQuality(
        start=start,
        rows=n,
        value=None,
        low=None,
        high=None,
        method="asked" if asked else "weighted" if weighted else "labelled",
        notes=tuple(judged.came.notes) if not asked and judged.came is not None else (),
        waiting=beside.waiting,
        smoothed=beside.smoothed,
        claimed=beside.claimed,
    )
    if n < (least_answers(spec, metric.name) if asked else max(spec.monitor.min_rows, 1)):
        return found
    figure = None if asked else beside.told
    figure = figure or _figure(judged, metric, spec, spec.evaluate.level)
    value, low, high = (None if np.isnan(x) else float(x) for x in (figure.value, figure.low, figure.high))
    doubted = None if beside.claimed is None else contradicted(beside.claimed, figure)
    return msgspec.structs.replace(
        found,
        value=value,
        low=low,
        high=high,
        contradicted=doubted,
        always=always_valid(figure, level=spec.evaluate.level),
        plain=_plain(judged, spec) if asked and metric.name == "accuracy" else None,
    )


def _plain(judged: _Judged, spec: Spec) -> Estimate:
    predicted, truth = said_and_true(judged.rows, spec)
    chance = np.minimum(1 / judged.weight, 1.0)
    plain = hajek(hits(truth, predicted), chance, level=spec.evaluate.level)
    return with_silent(plain, judged.silent_share, lowest=0.0, greatest=1.0, level=spec.evaluate.level)


def _figure(judged: _Judged, metric: Metric, spec: Spec, level: float) -> Estimate:
    predicted, truth = said_and_true(judged.rows, spec)
    if metric.name == "accuracy" and judged.asked:
        found = estimate_accuracy(
            hits(truth, predicted), doubt(predicted), 1 / judged.weight, level=level, like_these=True
        )
        return with_silent(found, judged.silent_share, lowest=0.0, greatest=1.0, level=level)
    found = interval(metric, truth, predicted, judged.weight, level=level, group=groups_of(judged.rows))
    if metric.row_values is None:
        return found
    return with_silent(
        found, judged.silent_share, lowest=metric.lowest, greatest=metric.greatest, level=level
    )
