"""The rows of a dataset version, as a trainer gets them: features, target, weight; open rows apart.

A target is 0 or 1 (binary), the place of the class (multiclass) or the number (regression). Weights have mean 1.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from whorl.errors import TooFewRows
from whorl.records import Task
from whorl.spec import Spec
from whorl.stats.arrays import Floats, Indices
from whorl.stats.delay.label_delay import DelayCurves
from whorl.stats.learning.power_recency import power_recency

MINIMUM_ROWS = 20
_DAY_S = 86400.0


@dataclass(frozen=True)
class TrainingRows:
    """What a trainer learns from.

    Args:
        columns: id, time, label and the features, a row a training row.
        target: (n,) as above.
        weight: (n,) non-negative, mean 1.
    """

    columns: pa.Table
    target: Floats
    weight: Floats

    def __len__(self) -> int:
        return len(self.target)

    @property
    def table(self) -> pa.Table:
        """id, time, label, weight, then the features: what trainers outside Whorl get."""
        return self.columns.add_column(3, "weight", pa.array(self.weight))

    @property
    def seconds(self) -> Floats:
        """Time of each row (n,) in seconds since 1970."""
        times: Floats = self.columns["time"].cast(pa.int64()).to_numpy() / 1e6
        return times

    def take(self, rows: Indices | npt.NDArray[np.bool_]) -> "TrainingRows":
        """Some of the rows, by position or by mask; their weights keep their proportions."""
        places = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        return TrainingRows(
            self.columns.take(pa.array(places)), self.target[places], mean_one(self.weight[places])
        )


@dataclass(frozen=True)
class DatasetRows:
    """A dataset version: labelled rows, and the open ones whose truth may still come.

    Args:
        labelled: With target; weights are on one scale with `open_weight`.
        delay_days: (labelled,) from prediction to its first label, at least 0.
        labelled_age_days: (labelled,) from prediction to the as-of time.
        open: id, time, null label and features.
        open_weight: (open,) how much each stands for.
        open_age_days: (open,) from prediction to the as-of time.
        classes: Binary [False, True]; multiclass the sorted names; regression none.
    """

    labelled: TrainingRows
    delay_days: Floats
    labelled_age_days: Floats
    open: pa.Table
    open_weight: Floats
    open_age_days: Floats
    classes: list[bool | str]

    @property
    def trained_through(self) -> datetime:
        """Time of the youngest row, labelled or open."""
        times = [self.labelled.columns["time"], self.open["time"]]
        youngest: datetime = max(pc.max(time).as_py() for time in times if len(time))
        return youngest


@dataclass(frozen=True)
class LateRows:
    """Labelled rows, then open ones, with what is known of how late their labels come.

    Args:
        columns: id, time, label and features.
        label: (n,) class, or `label_delay.OPEN`.
        weight: (n,) how much each stands for.
        delay: (n,) in days, or as a share of the row's horizon; inf where open.
        age: (n,) today, in the same unit.
        curves: How late the label of each class comes, whatever the features.
        survival: (n, k) by them, the chance that a row of each class would still be open at this row's age.
        share: (k,) of each class among them all, by estimate.
    """

    columns: pa.Table
    label: Indices
    weight: Floats
    delay: Floats
    age: Floats
    curves: DelayCurves
    survival: Floats
    share: Floats


def read_rows(path: str | Path, spec: Spec, as_of: datetime) -> DatasetRows:
    """The rows of a dataset's Parquet file, ready to be trained on.

    Weights are those of the dataset, halved for every `[train] half_life` of age, or less by `[train] recency`.

    Raises:
        TooFewRows: Fewer than 20 labelled rows, or only one class among them.
    """
    table = pq.read_table(path)
    labelled = table.filter(pc.field("role") == "labelled")
    still_open = table.filter(pc.field("role") == "open")
    classes = _classes(labelled["label"], spec.task)
    _check_enough(labelled, spec.task)
    age = _age_days(labelled, as_of)
    open_age = _age_days(still_open, as_of)
    recency = _recency(np.concatenate([age, open_age]), spec)
    weight = labelled["weight"].to_numpy() * recency[: len(age)]
    open_weight = still_open["weight"].to_numpy() * recency[len(age) :]
    scale = (len(weight) + len(open_weight)) / (weight.sum() + open_weight.sum())
    names = ["id", "time", "label", *spec.features]
    target = _target(labelled["label"], classes, spec.task)
    return DatasetRows(
        labelled=TrainingRows(labelled.select(names), target, weight * scale),
        delay_days=np.maximum(labelled["delay_days"].to_numpy(), 0.0),
        labelled_age_days=age,
        open=still_open.select(names),
        open_weight=open_weight * scale,
        open_age_days=open_age,
        classes=classes,
    )


def mean_one(weight: Floats) -> Floats:
    """The same proportions with mean 1; no rows stay no rows."""
    scaled: Floats = weight / weight.mean() if len(weight) else weight
    return scaled


def _classes(label: pa.ChunkedArray, task: Task) -> list[bool | str]:
    if task == "binary":
        return [False, True]
    return sorted(pc.unique(label).to_pylist()) if task == "multiclass" else []


def _check_enough(labelled: pa.Table, task: Task) -> None:
    rows = len(labelled)
    if rows < MINIMUM_ROWS:
        raise TooFewRows(
            f"{rows} labelled rows; {MINIMUM_ROWS} is the least that anything is learnt from.",
            where="train",
            hint="Send more labels, wait until more rows are older than [labels] lag, or raise [curate] budget.",
            rows=rows,
        )
    found = pc.unique(labelled["label"]).to_pylist()
    if task != "regression" and len(found) < 2:
        raise TooFewRows(
            f"All {rows} labelled rows say {found[0]!r}: there is nothing to tell apart.",
            where="train",
            hint="Wait for the other class; where no news means the other class, declare [labels] default_after.",
            rows=rows,
        )


def _target(label: pa.ChunkedArray, classes: list[bool | str], task: Task) -> Floats:
    if task == "multiclass":
        label = pc.index_in(label, value_set=pa.array(classes))
    target: Floats = label.to_numpy(zero_copy_only=False).astype(np.float64)
    return target


def _recency(age_days: Floats, spec: Spec) -> Floats:
    if spec.train.recency == "power":
        return power_recency(age_days)
    if spec.train.half_life is None:
        return np.ones(len(age_days))
    halved: Floats = 0.5 ** (age_days / spec.train.half_life.days)
    return halved


def _age_days(rows: pa.Table, as_of: datetime) -> Floats:
    return as_of.timestamp() / _DAY_S - _days(rows["time"])


def _days(time: pa.ChunkedArray) -> Floats:
    days: Floats = time.cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy() / (1e6 * _DAY_S)
    return days
