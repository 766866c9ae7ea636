"""Is truth late in a way that biases what is known today? One answer for training, judging and watching.

With `[labels] delay = "auto"` delays are modelled when a test shows that they are tied to the truth; with "survival" always,
with "none" never. Here: that switch, and the delays of known examples in the unit in which they are compared. The maths is
in `stats/delay/`; what is for whom, in docs/truth.md. Rows whose truth people were asked
for tell nothing of delays, whenever theirs came.
"""

from datetime import datetime
from math import ceil
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from whorl.examples.asked import asked_for
from whorl.examples.said import numbers
from whorl.spec import Spec
from whorl.stats.arrays import Floats, Indices
from whorl.stats.delay.known_by_age import KnownByAge, all_told
from whorl.stats.delay.label_delay import DelayCurves, relative_to_horizon
from whorl.stats.delay.label_delay_tie import LEAST_GAP, LEVEL, delay_tie
from whorl.storage.engine import Engine
from whorl.storage.lake import Lake
from whorl.storage.sql_types import instant_literal, quoted
from whorl.storage.tables import FEATURE

MOST_ROWS = 20_000
# Of rows so young that a truth may still come (95 % of those known came later than that), the share that has to be open for a bias.
LEAST_OPEN, YOUNG = 0.05, 0.95


class ClassDelays(NamedTuple):
    """How late the labels of each class come, by the classes' names in order."""

    names: list[str]
    known: KnownByAge


class LateTruth(NamedTuple):
    """Whether delays are modelled, and why or why not, where a test decided; None for delays while nothing tells of them."""

    modelled: bool
    notes: list[str]
    delays: ClassDelays | None = None


def late_truth(engine: Engine, lake: Lake, examples: str, spec: Spec, as_of: datetime) -> LateTruth:
    """The switch, for the examples of one as-of time.

    'auto' leaves it off without a test for a regression, where `[labels] lag` or `default_after` is the declared answer to
    late truth, and where hardly any prediction is open. Else at most 20,000 labels that came by themselves, as many of each class
    as there are, chosen by a hash of their ids, are tested.
    """
    labels = spec.labels
    if labels.delay == "none":
        return LateTruth(False, [])
    if labels.delay == "auto" and (
        spec.task not in ("binary", "multiclass") or labels.lag.seconds or labels.default_after is not None
    ):
        return LateTruth(False, [])
    by_itself = came_by_itself(lake, examples, as_of)
    if labels.delay == "auto" and _share_open(engine, examples, by_itself, as_of) < LEAST_OPEN:
        return LateTruth(False, [])
    horizon = f", {quoted(FEATURE + labels.horizon)}" if labels.horizon else ""
    # The chosen of a class are those with the least hashes: twice as many as can be are put in order, not all.
    low = f"hash(id) <= {2**64 - 1}::DOUBLE * least(1, {2 * MOST_ROWS} / of_class)"
    known = engine.query(
        f"WITH classes AS (SELECT label, count(*) AS of_class FROM {by_itself} GROUP BY label)\n"
        f"SELECT label, delay_days, age_days{horizon}, of_class FROM {by_itself} JOIN classes USING (label) WHERE {low}\n"
        f"ORDER BY row_number() OVER (PARTITION BY label ORDER BY hash(id), id), hash(id), id LIMIT {MOST_ROWS}"
    )
    found = LateTruth(True, []) if labels.delay == "survival" else _tested(known, spec)
    return found._replace(delays=_delays(known, spec)) if found.modelled and len(known) else found


def _share_open(engine: Engine, examples: str, by_itself: str, as_of: datetime) -> float:
    """Of the predictions young enough for their truth to be under way; 0 where there is none."""
    young = engine.query(f"SELECT quantile_cont(delay_days, {YOUNG}) AS days FROM {by_itself}")["days"][
        0
    ].as_py()
    # Said of the time as well, which leaves out older files.
    since = "" if young is None else f" AND age_days <= {young!r} AND time >= {_days_before(as_of, young)}"
    found = engine.query(
        f"SELECT coalesce(avg((status = 'open')::INT), 0) AS share FROM {examples} WHERE status IN ('known', 'open'){since}"
    )
    return float(found["share"][0].as_py())


def _days_before(as_of: datetime, days: float) -> str:
    """SQL: so many days before a time, or a little more."""
    return f"{instant_literal(as_of)} - to_microseconds({ceil(days * 86_400e6) + 1_000_000})"


def _delays(known: pa.Table, spec: Spec) -> ClassDelays:
    names, label = label_codes(known)
    age = relative_days(known, "age_days", spec)
    delay = np.minimum(relative_days(known, "delay_days", spec), age)
    curves = DelayCurves.fit(label, delay, age, classes=len(names))
    of_class = np.zeros(len(names))
    of_class[label] = known["of_class"].to_numpy()
    return ClassDelays(names, KnownByAge(curves, of_class / of_class.sum()))


def truth_told(engine: Engine, lake: Lake, examples: str, spec: Spec, as_of: datetime) -> bool:
    """Whether rows are old enough to tell how late truth comes, rows among them whose truth has not come."""
    horizon = f", {quoted(FEATURE + spec.labels.horizon)}" if spec.labels.horizon else ""
    rows = engine.query(
        f"SELECT CASE WHEN label IS NOT NULL THEN delay_days END AS delay_days, age_days{horizon} FROM {examples}\n"
        f"WHERE NOT censored AND id NOT IN (SELECT id FROM ({asked_for(lake, as_of)})) ORDER BY hash(id), id LIMIT {MOST_ROWS}"
    )
    return all_told(relative_days(rows, "delay_days", spec), relative_days(rows, "age_days", spec))


def came_by_itself(lake: Lake, examples: str, as_of: datetime) -> str:
    """SQL relation of the examples whose delay is known: their truth came, and nobody was asked for it."""
    return f"(FROM {examples} WHERE status = 'known' AND label IS NOT NULL AND id NOT IN (SELECT id FROM ({asked_for(lake, as_of)})))"


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
