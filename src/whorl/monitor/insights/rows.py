"""Holdout rows whose truth is known, with what the champion says of them and what each loses: what insights look at.

A champion of ours answers anew; one from elsewhere is taken at its logged answers. Rows that people were asked for stand for all
of their draw's span. While a draw does not count, those that nobody was asked for do (`examples/asked.py`).
"""

from datetime import datetime
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from whorl.errors import DigestMismatch, ModelError
from whorl.examples.asked import asked_weights, beside_asked
from whorl.examples.champions_answers import name_in_records
from whorl.examples.maturity import mature_s
from whorl.examples.said import groups_of
from whorl.examples.weights import exploration, judging_weight, late_truth_weight, standing_for
from whorl.models.model import load_model
from whorl.models.spec_metric import spec_metric
from whorl.records import ModelVersion
from whorl.spec import Spec
from whorl.stats.arrays import Floats
from whorl.stats.metrics.absolute_error import absolute_errors
from whorl.stats.metrics.brier import brier_losses
from whorl.stats.slices.conditions import Column, cut
from whorl.storage.tables import FEATURE, PROTECTED
from whorl.workspace import Workspace

Mask = npt.NDArray[np.bool_]
LEAST_LEVEL_ROWS = 30


class InsightRows(msgspec.Struct, frozen=True):
    """Rows in order of time.

    Args:
        table: Columns of an example.
        classes: What `truth` counts: (False, True), the sorted class names, or none for regression.
        truth: (n,) as in `stats/arrays.py`.
        said: (n,) or (n, k); nan where nothing was answered.
        loss: (n,) of each row, by `loss_name`; smaller is better.
        weight: (n,) what each row stands for.
        group: (n,) whose rows are not independent.
    """

    table: pa.Table
    classes: tuple[str, ...]
    truth: Floats
    said: Floats
    loss: Floats
    loss_name: str
    weight: Floats
    group: npt.NDArray[np.object_]
    notes: list[str]

    def __len__(self) -> int:
        return len(self.truth)

    def take(self, chosen: Mask) -> "InsightRows":
        """The rows where `chosen` (n,) is true."""
        return msgspec.structs.replace(
            self,
            table=self.table.filter(pa.array(chosen)),
            truth=self.truth[chosen],
            said=self.said[chosen],
            loss=self.loss[chosen],
            weight=self.weight[chosen],
            group=self.group[chosen],
        )

    @property
    def ids(self) -> npt.NDArray[np.object_]:
        return np.array(self.table["id"].to_pylist(), dtype=object)

    @property
    def seconds(self) -> Floats:
        """Time of each row (n,) in seconds since 1970."""
        times: Floats = self.table["time"].cast(pa.int64()).to_numpy() / 1e6
        return times


def champion_rows(
    ws: Workspace, as_of: datetime, *, version: ModelVersion | None = None, logged: bool = False
) -> InsightRows:
    """Mature holdout rows that were answered by the champion, or by `version`; `logged`: by whatever answered at the time."""
    table = _table(ws, as_of)
    weight = _weight(ws, table, as_of)
    young = int((weight == 0).sum())
    table, weight = table.filter(pa.array(weight > 0)), weight[weight > 0]
    classes = _classes(table, ws.spec)
    if logged:
        (said, classes), notes = _logged(table, classes, ws.spec), list[str]()
    else:
        said, classes, notes = _said(ws, version or ws.registry.champion(), table, classes)
    if young:
        notes.append(
            f"{young:,} rows left out: they are so young that the truth of some class can hardly be known."
        )
    answered = ~np.isnan(said if said.ndim == 1 else said.sum(axis=1))
    if not answered.all():
        notes.append(
            f"{int((~answered).sum()):,} rows left out: no answer of the champion is known for them."
        )
        table, said, weight = table.filter(pa.array(answered)), said[answered], weight[answered]
    truth = _truth(table, classes, ws.spec)
    name, loss = row_losses(ws, truth, said)
    return InsightRows(table, classes, truth, said, loss, name, weight, groups_of(table), notes)


def row_losses(ws: Workspace, truth: Floats, said: Floats) -> tuple[str, Floats]:
    """What each row loses (n,), and its name: by the watched metric if it is a mean over rows, else Brier or absolute error."""
    metric = spec_metric(ws.spec, ws.spec.monitor.metric or ws.spec.metric, ws.beside)
    if not len(truth):
        return metric.name, np.empty(0)
    if metric.row_values is None:
        regression = ws.spec.task == "regression"
        return ("mae", absolute_errors(truth, said)) if regression else ("brier", brier_losses(truth, said))
    values = metric.row_values(truth, said)
    if not metric.greater_is_better:
        return metric.name, values
    return f"1 - {metric.name}" if metric.name != "accuracy" else "error rate", 1 - values


def columns_of(rows: pa.Table, spec: Spec) -> list[Column]:
    """What slices are made of: features and protected attributes, but no free text."""
    named = {FEATURE + name: name for name, feature in spec.features.items() if feature.type != "text"}
    named |= {PROTECTED + name: name for name in spec.protected}
    return [cut(name, values_of(rows[column]), least=LEAST_LEVEL_ROWS) for column, name in named.items()]


def values_of(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    """Numbers as floats, null as nan; anything else as objects, null as None."""
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        numbers: npt.NDArray[np.float64] = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
        return numbers
    return np.array(column.to_pylist(), dtype=object)


def _table(ws: Workspace, as_of: datetime) -> pa.Table:
    examples, spec = ws.examples(as_of).name, ws.spec
    asked = asked_weights(ws.engine, ws.lake, examples, spec, as_of)
    beside = beside_asked(ws.engine, ws.lake, examples, spec, as_of)
    return ws.engine.query(
        f"SELECT e.*, a.weight AS stands_for, coalesce(b.stands_for, 1) AS beside, {exploration(spec)} AS exploration\n"
        f"FROM {examples} e LEFT JOIN {asked} a USING (id) LEFT JOIN {beside} b USING (id)\n"
        f"WHERE split = 'holdout' AND status IN ('known', 'defaulted') AND CASE WHEN a.weight IS NOT NULL THEN a.weight > 0\n"
        f"  ELSE age_days * 86400 >= {mature_s(spec):.15g} AND beside > 0 END ORDER BY time, id"
    )


def _weight(ws: Workspace, table: pa.Table, as_of: datetime) -> Floats:
    """What each row stands for (n,); 0 for rows so young that some class can hardly be known."""
    late = ws.examples(as_of).late_truth
    weight = late_truth_weight(table, late, ws.spec) * table["beside"].to_numpy()
    return standing_for(table["stands_for"].to_numpy(), judging_weight(weight, table), table)


def _classes(table: pa.Table, spec: Spec) -> tuple[str, ...]:
    if spec.task != "multiclass":
        return ("False", "True") if spec.task == "binary" else ()
    return tuple(sorted(set(table["label"].to_pylist())))


def _truth(table: pa.Table, classes: tuple[str, ...], spec: Spec) -> Floats:
    labels = table["label"].to_pylist()
    if spec.task != "multiclass":
        return np.array(labels, dtype=np.float64)
    place = {name: position for position, name in enumerate(classes)}
    return np.array([place[label] for label in labels], dtype=np.float64)


def _said(
    ws: Workspace, version: ModelVersion | None, table: pa.Table, classes: tuple[str, ...]
) -> tuple[Floats, tuple[str, ...], list[str]]:
    """Answers, the classes in the order of their columns, and notes."""
    notes = []
    if version is not None and version.digest and table.num_rows:
        try:
            names = list(ws.spec.features)
            features = table.select([FEATURE + name for name in names]).rename_columns(names)
            model = load_model(ws.registry.path(version), version.digest, ws.spec, beside=ws.beside)
            said = model.predict(features)
            if ws.spec.task != "multiclass":
                return said, classes, []
            known = tuple(str(name) for name in model.manifest.classes)
            unseen = tuple(name for name in classes if name not in known)
            return np.hstack([said, np.zeros((len(said), len(unseen)))]), (*known, *unseen), []
        except DigestMismatch:
            raise
        except ModelError as error:
            notes = [f"The champion is judged by its logged answers: {error}"]
    said, classes = _logged(table, classes, ws.spec)
    named = name_in_records(version, ws.spec)
    if named is not None:
        said[np.array(table["model_version"].to_pylist(), dtype=object) != named] = np.nan
    return said, classes, notes


def _logged(table: pa.Table, classes: tuple[str, ...], spec: Spec) -> tuple[Floats, tuple[str, ...]]:
    if spec.task != "multiclass":
        logged = table["score"].cast(pa.float64()).to_numpy(zero_copy_only=False)
        return np.array(logged, dtype=np.float64), classes
    given = [dict(scores) if scores else {} for scores in table["scores"].to_pylist()]
    every = tuple(sorted({name for scores in given for name in scores} | set(classes)))
    filled = [[scores.get(name, 0.0) if scores else np.nan for name in every] for scores in given]
    return np.array(filled, dtype=np.float64).reshape(len(given), len(every)), every
