"""Quality of periods that few labels were bought for: their own labels, and what earlier periods make of the scores.

An estimate of its own beside the plain one, and never instead of it: it leans on the past, so it is later to see a sudden
change than a figure that does not, and nearer to the truth on average. The maths is in `stats/change/smoothed_means.py`.
"""

from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from whorl.examples.asked import can_be_asked
from whorl.examples.champions_answers import champions_answers
from whorl.examples.said import said_and_true
from whorl.stats.answering.score_regressors import number_regressors, score_regressors
from whorl.stats.arrays import Floats
from whorl.stats.change.smoothed_means import PeriodRows, smoothed_means
from whorl.stats.intervals.estimate import Estimate
from whorl.stats.metrics.metric import Metric
from whorl.workspace import Workspace

# A period that nobody asked about is a reference for those that follow where so many of its rows have their truth.
NEARLY_ALL = 0.95


def smoothed_quality(
    ws: Workspace, as_of: datetime, told: pa.ChunkedArray, weight: Floats, asked: npt.NDArray[np.int64], period_us: int,
    metric: Metric,
) -> dict[int, Estimate]:  # fmt: skip
    """Figures of the asked periods, by number; none for a metric that is no mean of rows.

    Args:
        told: Ids (m,) of the rows that judge, each with its weight (m,).
        asked: Numbers of the periods that go by rows that people were asked for.
    """
    if metric.row_values is None or not len(asked):
        return {}
    examples = ws.examples(as_of).name
    rows = ws.engine.query(
        f"SELECT *, epoch_us(time) // {period_us} AS period FROM {examples} "
        f"WHERE {can_be_asked(ws.spec)} AND {champions_answers(ws.registry, ws.spec, examples)} ORDER BY time, id"
    )
    said, truth = said_and_true(rows, ws.spec)
    known = number_regressors(said, said) if ws.spec.task == "regression" else score_regressors(said)
    place = pc.index_in(rows["id"], value_set=told.combine_chunks()).to_numpy(zero_copy_only=False)
    labelled = ~np.isnan(place)
    value, stands_for = np.zeros(len(rows)), np.ones(len(rows))
    value[labelled] = metric.row_values(truth[labelled], said[labelled])
    stands_for[labelled] = weight[place[labelled].astype(np.intp)]
    period = rows["period"].to_numpy()
    numbers = [int(p) for p in np.unique(period) if p in asked or labelled[period == p].mean() >= NEARLY_ALL]
    found = smoothed_means(
        [_of(period == p, labelled, value, known, stands_for) for p in numbers],
        level=ws.spec.evaluate.level,
        lowest=metric.lowest,
        greatest=metric.greatest,
    )
    return {p: figure for p, figure in zip(numbers, found, strict=True) if p in asked}


def _of(
    inside: npt.NDArray[np.bool_],
    labelled: npt.NDArray[np.bool_],
    value: Floats,
    known: Floats,
    weight: Floats,
) -> PeriodRows:
    here, rest = inside & labelled, inside & ~labelled
    expected = known[rest].mean(axis=0) if rest.any() else np.zeros(known.shape[1])
    return PeriodRows(value[here], known[here], weight[here], int(rest.sum()), expected)
