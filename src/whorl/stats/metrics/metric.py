"""The table of metrics: gates, replay and monitor all speak of a metric by its name here, and mean the same.

A metric of your own is one more row: `Metric("profit", function, greater_is_better=True)`; its interval is bootstrapped.
"""

from collections.abc import Callable
from math import inf
from typing import Protocol

import msgspec
import numpy.typing as npt

from whorl.errors import NotFound, did_you_mean
from whorl.records import Task
from whorl.stats.arrays import Floats, Indices
from whorl.stats.intervals.estimate import Estimate
from whorl.stats.linear import Linear, Linearised, mean_linear
from whorl.stats.metrics.absolute_error import absolute_errors, mae
from whorl.stats.metrics.accuracy import accuracy, hits
from whorl.stats.metrics.auc import auc, auc_linear
from whorl.stats.metrics.auc_interval import auc_interval
from whorl.stats.metrics.average_precision import average_precision, average_precision_linear
from whorl.stats.metrics.brier import brier, brier_losses
from whorl.stats.metrics.calibration_error import calibration_error, calibration_error_interval
from whorl.stats.metrics.log_loss import log_loss, log_losses
from whorl.stats.metrics.squared_error import rmse, rmse_linear


class MetricFunction(Protocol):
    """(truth, prediction, weight) -> figure; nan where undefined. Shapes as in `arrays.py`; called by position."""

    def __call__(
        self, truth: npt.ArrayLike, prediction: npt.ArrayLike, weight: npt.ArrayLike | None = None, /
    ) -> float: ...


class Metric(msgspec.Struct, frozen=True):
    """One metric, and what is known about it that makes its interval cheap and right.

    Args:
        name: As in the spec and in reports.
        function: The figure itself.
        greater_is_better: Its direction.
        tasks: Kinds of task it fits.
        row_values: (truth, prediction) -> (n,), if the metric is their weighted mean.
        linear: Its terms (`linear.py`), if it is not a mean but smooth.
        own_interval: (truth, prediction, weight, group, level) -> Estimate, where the general ones would mislead.
        lowest: Least value it can have.
        greatest: Greatest value it can have.
    """

    name: str
    function: MetricFunction
    greater_is_better: bool
    tasks: tuple[Task, ...] = ("binary", "multiclass", "regression")
    row_values: Callable[[Floats, Floats], Floats] | None = None
    linear: Linearised | None = None
    own_interval: Callable[[Floats, Floats, Floats, Indices | None, float], Estimate] | None = None
    lowest: float = -inf
    greatest: float = inf

    def linearised(self, truth: Floats, prediction: Floats, weight: Floats) -> Linear | None:
        """Its terms, on rows that count; None for a metric about which nothing is known."""
        if self.row_values is not None:
            return mean_linear(self.row_values(truth, prediction), weight)
        return self.linear(truth, prediction, weight) if self.linear is not None else None


_CLASSES: tuple[Task, ...] = ("binary", "multiclass")

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "auc",
            auc,
            True,
            _CLASSES,
            linear=auc_linear,
            own_interval=auc_interval,
            lowest=0.0,
            greatest=1.0,
        ),
        Metric(
            "average_precision",
            average_precision,
            True,
            _CLASSES,
            linear=average_precision_linear,
            lowest=0.0,
            greatest=1.0,
        ),
        Metric("log_loss", log_loss, False, _CLASSES, row_values=log_losses, lowest=0.0),
        Metric("accuracy", accuracy, True, _CLASSES, row_values=hits, lowest=0.0, greatest=1.0),
        Metric("brier", brier, False, _CLASSES, row_values=brier_losses, lowest=0.0, greatest=1.0),
        Metric(
            "calibration_error",
            calibration_error,
            False,
            _CLASSES,
            own_interval=calibration_error_interval,
            lowest=0.0,
            greatest=1.0,
        ),
        Metric("mae", mae, False, ("regression",), row_values=absolute_errors, lowest=0.0),
        Metric("rmse", rmse, False, ("regression",), linear=rmse_linear, lowest=0.0),
    )
}


def metric_named(name: str) -> Metric:
    """The metric of this name. Raises NotFound with the nearest name.

    >>> metric_named("log_loss").greater_is_better
    False
    """
    if name not in METRICS:
        raise NotFound(
            f"There is no metric {name!r}.", where="metric", hint=did_you_mean(name, list(METRICS))
        )
    return METRICS[name]


def metrics_for(task: Task) -> list[Metric]:
    """The metrics that fit a kind of task, in the order of the table.

    >>> [metric.name for metric in metrics_for("regression")]
    ['mae', 'rmse']
    """
    return [metric for metric in METRICS.values() if task in metric.tasks]
