"""What each draw of rows that people were asked for says of all rows of its span: the one figure that was paid for.

Of these very rows, however they fall into periods: a draw of which every row was asked and answered has no interval left.
Periods are in `quality.py`, whose intervals are for rows like these.
"""

from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from whorl.examples.asked import JUDGE, asked_rows, can_be_asked, in_span, judge_draws
from whorl.examples.champions_answers import champions_answers
from whorl.examples.said import groups_of, said_and_true
from whorl.monitor.quality import watched_metric
from whorl.records import Record
from whorl.spec import Spec
from whorl.stats.answering.silent_share import with_silent
from whorl.stats.intervals.estimate import Estimate
from whorl.stats.intervals.interval import interval
from whorl.stats.metrics.accuracy import hits
from whorl.stats.metrics.metric import Metric
from whorl.stats.sampling.doubt import doubt
from whorl.stats.sampling.few_labels import estimate_accuracy
from whorl.workspace import Workspace

Floats = npt.NDArray[np.float64]


class DrawQuality(Record, frozen=True, kw_only=True):
    """One draw's figure: the watched metric over the `rows` of its span, by those `asked` for, of which so many have an answer.

    None where it is undefined; `reason` says why.
    """

    draw: str
    asked_at: datetime
    rows: int
    asked: int
    answered: int
    value: float | None
    low: float | None
    high: float | None
    reason: str | None


def draw_quality(ws: Workspace, as_of: datetime) -> list[DrawQuality]:
    """Each draw made by a time and not withdrawn, oldest first."""
    examples, metric = ws.examples(as_of).name, watched_metric(ws)
    champions = champions_answers(ws.registry, ws.spec, examples)
    inside = f"{can_be_asked(ws.spec)} AND {champions}"
    draws = ws.engine.query(
        f"SELECT d.draw, d.as_of, d.asked, count(*) AS rows FROM ({judge_draws(ws.lake, as_of)}) d\n"
        f"JOIN {examples} ON {in_span('d')} WHERE {inside} GROUP BY ALL ORDER BY d.as_of, d.draw"
    ).to_pylist()
    picked = ws.engine.query(
        f"SELECT e.*, a.draw, a.weight, a.probability FROM ({asked_rows(ws.lake, examples, ws.spec, as_of)}) a\n"
        f"JOIN {examples} e USING (id) WHERE {champions} ORDER BY time, id"
    )
    answers = ws.engine.query(
        f"SELECT draw, count(*) AS n FROM {ws.lake.relation('asked')} JOIN {examples} USING (id)\n"
        f"WHERE purpose = '{JUDGE}' AND status = 'known' GROUP BY draw"
    )
    answered = dict(zip(answers["draw"].to_pylist(), answers["n"].to_pylist(), strict=True))
    of_draw = np.array(picked["draw"].to_pylist(), dtype=object)
    found = []
    for row in draws:
        chosen = picked.filter(pa.array(of_draw == row["draw"]))
        figure, reason = _figure(chosen, metric, ws.spec)
        found.append(
            DrawQuality(
                draw=row["draw"],
                asked_at=row["as_of"],
                rows=row["rows"],
                asked=row["asked"],
                answered=answered.get(row["draw"], 0),
                value=figure.value if figure else None,
                low=figure.low if figure else None,
                high=figure.high if figure else None,
                reason=reason,
            )
        )
    return found


def _figure(rows: pa.Table, metric: Metric, spec: Spec) -> tuple[Estimate | None, str | None]:
    """The figure of a draw's rows; none, and why, where too many are silent or it is undefined."""
    if not rows.num_rows:
        return None, "Too few of its rows have a truth: nine tenths of what they stand for are needed."
    weight, chance = (rows[name].cast(pa.float64()).to_numpy() for name in ("weight", "probability"))
    silent = float((1 / chance)[weight == 0].sum() / (1 / chance).sum())
    bounded = metric.row_values is not None and np.isfinite([metric.lowest, metric.greatest]).all()
    if silent and not bounded:
        return None, f"{silent:.1%} are silent, and how far they may move '{metric.name}' is not known."
    told = rows.filter(pa.array(weight > 0))
    said, truth = said_and_true(told, spec)
    level, stands_for = spec.evaluate.level, weight[weight > 0]
    if metric.name == "accuracy":
        found = estimate_accuracy(hits(truth, said), doubt(said), 1 / stands_for, level=level)
    else:
        found = interval(metric, truth, said, stands_for, level=level, group=groups_of(told))
    if np.isnan([found.value, found.low, found.high]).any():
        return None, f"'{metric.name}' is undefined on the answered rows."
    if not bounded:
        return found, None
    return with_silent(found, silent, lowest=metric.lowest, greatest=metric.greatest, level=level), None
