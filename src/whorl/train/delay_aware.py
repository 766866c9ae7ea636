"""What to learn from when truth comes late and one class later than another: known rows, and open ones as soft rows.

An open row is there once for each class that it may still turn out to be, weighted by the chance of that: what a model
says of it, times the share of that class that is still open at its age. Which model: LightGBM estimates the chances
while it boosts; for every other trainer its own model does, fitted, asked, and fitted again. The maths is in
`stats/label_delay.py`; what was tried, in docs/experiments.md.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from whorl.models.columns import numbers
from whorl.models.model import Model
from whorl.spec import Spec
from whorl.stats.arrays import Floats
from whorl.stats.label_delay import (
    OPEN,
    DelayCurves,
    class_shares,
    relative_to_horizon,
    soft_rows,
    soft_target,
)
from whorl.train.rows import DatasetRows, LateRows, TrainingRows, mean_one
from whorl.train.trainer import FitSettings, estimator_of

KNOWN_WHEN_MATURE = 0.95


class Learnable(NamedTuple):
    """Training rows; which of them (n,) have a label that waiting longer would hardly have changed; what to say."""

    rows: TrainingRows
    mature: npt.NDArray[np.bool_]
    notes: list[str]


def learnable(
    rows: DatasetRows, spec: Spec, settings: FitSettings, fit: Callable[[TrainingRows, str], Model]
) -> Learnable:
    """The rows for the final fit.

    Args:
        rows: A dataset version.
        spec: `[labels] delay`, `horizon` and `rounds`.
        settings: For a trainer with an estimate of its own.
        fit: Trains a model under a name, for a trainer without one; called `rounds` times.
    """
    if spec.labels.delay == "none" or not len(rows.open):
        labelled = rows.labelled
        known = TrainingRows(labelled.columns, labelled.target, mean_one(labelled.weight))
        return Learnable(known, np.ones(len(known), dtype=np.bool_), [])
    late = _late(rows, spec)
    estimate = estimator_of(settings.trainer)
    if estimate is not None:
        return _soft(late, estimate(late, settings), rows.classes)
    chance = np.tile(late.share, (len(late.label), 1))
    for turn in range(spec.labels.rounds):
        model = fit(_soft(late, chance, rows.classes).rows, f"round-{turn + 1}")
        chance = _probabilities(model, late.columns)
    return _soft(late, chance, rows.classes)


def _late(rows: DatasetRows, spec: Spec) -> LateRows:
    columns = pa.concat_tables([rows.labelled.columns, rows.open])
    known = len(rows.labelled)
    age = np.maximum(np.concatenate([rows.labelled_age_days, rows.open_age_days]), 0.0)
    delay = np.minimum(rows.delay_days, age[:known])
    if spec.labels.horizon is not None:
        due = numbers(columns[spec.labels.horizon], spec.labels.horizon)
        age, delay = relative_to_horizon(age, due), relative_to_horizon(delay, due[:known])
    place = rows.labelled.target.astype(np.intp)
    weight = np.concatenate([rows.labelled.weight, rows.open_weight])
    curves = DelayCurves.fit(place, delay, age[:known], classes=len(rows.classes), weight=weight[:known])
    label = np.concatenate([place, np.full(len(rows.open), OPEN, dtype=np.intp)])
    survival = curves.survival(age)
    return LateRows(columns, label, weight, survival, class_shares(label, survival, weight))


def _soft(late: LateRows, chance: Floats, classes: list[bool | str]) -> Learnable:
    """Training rows by these chances (n, k) of a model."""
    soft = soft_rows(soft_target(late.label, chance, late.survival), late.weight)
    columns = late.columns.take(pa.array(soft.row))
    place = columns.schema.get_field_index("label")
    said = pa.array([classes[label] for label in soft.label], columns.schema.field(place).type)
    rows = TrainingRows(
        columns.set_column(place, "label", said), soft.label.astype(np.float64), mean_one(soft.weight)
    )
    known = late.label[soft.row] != OPEN
    mature = known & (late.survival[soft.row].max(axis=1) <= 1 - KNOWN_WHEN_MATURE)
    still_open = int((late.label == OPEN).sum())
    note = (
        f"{still_open} open rows are learnt from as soft rows; {int(mature.sum())} labelled rows are mature."
    )
    return Learnable(rows, mature, [note])


def _probabilities(model: Model, columns: pa.Table) -> Floats:
    chance = model.predict(columns)
    return np.column_stack([1 - chance, chance]) if chance.ndim == 1 else chance
