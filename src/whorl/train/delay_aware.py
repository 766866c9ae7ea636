"""What to learn from when truth comes late and one class later than another: known rows, and open ones as soft rows.

An open row is there once for each class that it may still turn out to be, weighted by the chance of that. LightGBM tells
it from the row's features and age (`trainers/lightgbm_late.py`). For every other trainer it is what its own model says of
the row, fitted, asked, and fitted again, times the share of that class that is still open at that age. The maths is in
`stats/delay/label_delay.py`; what was tried, in docs/experiments.md.
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
from whorl.stats.delay.label_delay import (
    OPEN,
    DelayCurves,
    class_shares,
    open_posterior,
    relative_to_horizon,
    soft_rows,
)
from whorl.train.rows import DatasetRows, LateRows, TrainingRows, mean_one
from whorl.train.trainer import FitSettings, estimator_of

KNOWN_WHEN_MATURE = 0.95
_CLASSES_TOLD = 5


class Learnable(NamedTuple):
    """Training rows; which of them (n,) have a label that waiting longer would hardly have changed; what to say."""

    rows: TrainingRows
    mature: npt.NDArray[np.bool_]
    notes: list[str]


def learnable(
    rows: DatasetRows,
    spec: Spec,
    settings: FitSettings,
    fit: Callable[[TrainingRows, str], Model],
    *,
    modelled: bool,
) -> Learnable:
    """The rows for the final fit.

    Args:
        rows: A dataset version.
        spec: `[labels] horizon` and `rounds`.
        settings: For a trainer with an estimate of its own.
        fit: Trains a model under a name, for a trainer without one; called `rounds` times.
        modelled: Whether delays are; if not, or without open rows, what is known is what is learnt from.
    """
    if not modelled or not len(rows.open):
        labelled = rows.labelled
        known = TrainingRows(labelled.columns, labelled.target, mean_one(labelled.weight))
        return Learnable(known, np.ones(len(known), dtype=np.bool_), [])
    late = _late(rows, spec)
    estimate = estimator_of(settings.trainer)
    chance = estimate(late, settings) if estimate else _in_rounds(late, rows, spec.labels.rounds, fit)
    learnt, mature = _soft(late, chance, rows.classes)
    return Learnable(learnt, mature, _notes(late, mature, rows.classes, spec))


def _in_rounds(
    late: LateRows, rows: DatasetRows, rounds: int, fit: Callable[[TrainingRows, str], Model]
) -> Floats:
    """Chance (m, k) of each class for the open rows, by a model that is fitted on what the last one said of them."""
    survival = late.survival[late.label == OPEN]
    chance = open_posterior(np.tile(late.share, (len(survival), 1)), survival)
    for turn in range(rounds):
        model = fit(_soft(late, chance, rows.classes)[0], f"round-{turn + 1}")
        chance = open_posterior(_probabilities(model, rows.open), survival)
    return chance


def _late(rows: DatasetRows, spec: Spec) -> LateRows:
    columns = pa.concat_tables([rows.labelled.columns, rows.open])
    known = len(rows.labelled)
    age = np.maximum(np.concatenate([rows.labelled_age_days, rows.open_age_days]), 0.0)
    delay = np.concatenate([np.minimum(rows.delay_days, age[:known]), np.full(len(rows.open), np.inf)])
    if spec.labels.horizon is not None:
        due = numbers(columns[spec.labels.horizon], spec.labels.horizon)
        age, delay = relative_to_horizon(age, due), relative_to_horizon(delay, due)
    place = rows.labelled.target.astype(np.intp)
    weight = np.concatenate([rows.labelled.weight, rows.open_weight])
    curves = DelayCurves.fit(
        place, delay[:known], age[:known], classes=len(rows.classes), weight=weight[:known]
    )
    label = np.concatenate([place, np.full(len(rows.open), OPEN, dtype=np.intp)])
    survival = curves.survival(age)
    share = class_shares(label, survival, weight)
    return LateRows(columns, label, weight, delay, age, curves, survival, share)


def _soft(
    late: LateRows, chance: Floats, classes: list[bool | str]
) -> tuple[TrainingRows, npt.NDArray[np.bool_]]:
    """Training rows (n,) by these chances (m, k) of what the open rows will turn out to be; which of them are mature."""
    target = np.eye(len(classes))[late.label]
    target[late.label == OPEN] = chance
    soft = soft_rows(target, late.weight)
    columns = late.columns.take(pa.array(soft.row))
    place = columns.schema.get_field_index("label")
    said = pa.array([classes[label] for label in soft.label], columns.schema.field(place).type)
    rows = TrainingRows(
        columns.set_column(place, "label", said), soft.label.astype(np.float64), mean_one(soft.weight)
    )
    known = late.label[soft.row] != OPEN
    return rows, known & (late.survival[soft.row].max(axis=1) <= 1 - KNOWN_WHEN_MATURE)


def _notes(late: LateRows, mature: npt.NDArray[np.bool_], classes: list[bool | str], spec: Spec) -> list[str]:
    """How many rows; when half of the labels of each class are there (of the rarest classes, where there are many)."""
    unit = f"shares of {spec.labels.horizon}" if spec.labels.horizon else "days"
    counted = sorted(zip(late.curves.classes, classes, strict=True), key=lambda pair: pair[0].rows)
    halves = [(name, curve.quantile(0.5)) for curve, name in counted[:_CLASSES_TOLD]]
    told = "; ".join(f"{name} {half.value:.3g} [{half.low:.3g}, {half.high:.3g}]" for name, half in halves)
    return [
        f"{(late.label == OPEN).sum()} open rows are learnt from as soft rows; {mature.sum()} labelled rows are mature.",
        f"Half of the labels of a class are there after, in {unit}: {told}.",
    ]


def _probabilities(model: Model, columns: pa.Table) -> Floats:
    chance = model.predict(columns)
    return np.column_stack([1 - chance, chance]) if chance.ndim == 1 else chance
