"""Quality of periods in which only some truths came, and not by chance: weighted by that chance, corrected by what scores tell.

Metrics that are means of rows only; others go by the weights alone. The chances are in `examples/answering.py`.
"""

from math import nan

import numpy as np
import pyarrow as pa

from whorl.examples.answering import Answering
from whorl.examples.said import said_and_true
from whorl.spec import Spec
from whorl.stats.answering.selective_answers import answered_mean
from whorl.stats.intervals.estimate import Estimate
from whorl.stats.metrics.metric import Metric


def answered_figures(came: Answering, metric: Metric, spec: Spec, period_us: int) -> dict[int, Estimate]:
    """Figures by number of period; nan in all where answers are refused, none where they come by chance."""
    period = came.rows["time"].cast(pa.int64()).to_numpy() // period_us
    if came.refusal:
        return {
            int(p): Estimate(nan, nan, nan, int(came.answered[period == p].sum())) for p in np.unique(period)
        }
    if not came.how.weighted or metric.row_values is None:
        return {}
    said, truth = said_and_true(came.rows, spec)
    share = (metric.lowest, metric.greatest) == (0, 1)
    value = np.full(len(truth), np.nan)
    value[came.answered] = metric.row_values(truth[came.answered], said[came.answered])
    chance = came.how.chance / np.where(came.answered, came.stands_for, 1.0)
    found: dict[int, Estimate] = {}
    for number in np.unique(period[came.answered]):
        rows = period == number
        found[int(number)], _ = answered_mean(
            value[rows],
            came.known[rows],
            came.how._replace(chance=chance[rows]),
            level=spec.evaluate.level,
            share=share,
        )
    return found
