"""Is truth late in a way that biases what is known today? One answer for training, judging and watching.

With `[labels] delay = "auto"` delays are modelled when a test shows that they are tied to the truth; with "survival" always,
with "none" never. Here: that switch, and the delays of known examples in the unit in which they are compared. The maths is
in `stats/delay/label_delay.py` and `stats/delay/label_delay_tie.py`; what is for whom, in docs/truth.md. Rows whose truth people were asked
for tell nothing of delays, whenever theirs came.
"""

from datetime import datetime
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from whorl.examples.asked import asked_for
from whorl.spec import Spec
from whorl.stats.arrays import Floats, Indices
from whorl.stats.delay.label_delay import relative_to_horizon
from whorl.stats.delay.label_delay_tie import LEAST_GAP, LEVEL, delay_tie
from whorl.storage.engine import Engine
from whorl.storage.lake import Lake
from whorl.storage.sql_types import quoted
from whorl.storage.tables import FEATURE

MOST_ROWS = 20_000


class LateTruth(NamedTuple):
    """Whether delays are modelled, and why or why not, where a test decided."""

    modelled: bool
    notes: list[str]


def late_truth(engine: Engine, lake: Lake, examples: str, spec: Spec, as_of: datetime) -> LateTruth:
    """The switch, for the examples of one as-of time.

    'auto' leaves it off without a test for a regression, where `[labels] lag` or `default_after` is the declared answer to
    late truth, and where no prediction is open. Else at most 20,000 labels that came by themselves, by a hash of their ids, are
    tested.
    """
    labels = spec.labels
    if labels.delay != "auto":
        return LateTruth(labels.delay == "survival", [])
    if spec.task not in ("binary", "multiclass") or labels.lag.seconds or labels.default_after is not None:
        return LateTruth(False, [])
    if not engine.query(f"SELECT id FROM {examples} WHERE status = 'open' LIMIT 1").num_rows:
        return LateTruth(False, [])
    horizon = f", {quoted(FEATURE + labels.horizon)}" if labels.horizon else ""
    known = engine.query(
        f"SELECT label, delay_days, age_days{horizon} FROM {came_by_itself(lake, examples, as_of)} "
        f"WHERE label IS NOT NULL ORDER BY hash(id), id LIMIT {MOST_ROWS}"
    )
    return _tested(known, spec)


def came_by_itself(lake: Lake, examples: str, as_of: datetime) -> str:
    """SQL relation of the examples whose delay is known: their truth came, and nobody was asked for it."""
    return (
        f"(FROM {examples} WHERE status = 'known' AND id NOT IN (SELECT id FROM ({asked_for(lake, as_of)})))"
    )


def _tested(known: pa.Table, spec: Spec) -> LateTruth:
    tie = delay_tie(
        label_codes(known)[1],
        relative_days(known, "delay_days", spec),
        relative_days(known, "age_days", spec),
    )
    found = f"log-rank p = {tie.p_value:.2g}, delay curves of the classes up to {tie.gap:.2f} apart"
    if tie.shown:
        return LateTruth(
            True, [f"How late truth comes depends on what it is ({found}): delays are modelled."]
        )
    if np.isnan(tie.p_value):
        found = f"{known.num_rows:,} known labels are too few of two classes, or all equally late"
    asked = f"p < {LEVEL:g} and {LEAST_GAP:g} apart are asked for"
    return LateTruth(
        False,
        [
            f"That late truth depends on what it is, is not shown ({found}; {asked}): open predictions are left out."
        ],
    )


def label_codes(rows: pa.Table) -> tuple[list[str], Indices]:
    """The names of the labels, sorted, and which of them each row has (n,)."""
    encoded = rows["label"].cast(pa.string()).combine_chunks().dictionary_encode()
    names = encoded.dictionary.to_pylist()
    order = sorted(names)
    place = np.array([order.index(name) for name in names], dtype=np.intp)
    return order, place[encoded.indices.to_numpy(zero_copy_only=False)]


def relative_days(rows: pa.Table, column: str, spec: Spec) -> Floats:
    """Days (n,), or shares of each row's horizon; never below 0."""
    days = np.maximum(numbers(rows[column]), 0.0)
    if spec.labels.horizon is None:
        return days
    return relative_to_horizon(days, numbers(rows[FEATURE + spec.labels.horizon]))


def numbers(column: pa.ChunkedArray) -> Floats:
    """A column as floats (n,); null is nan."""
    values = column.cast(pa.float64()).combine_chunks()
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.float64)
