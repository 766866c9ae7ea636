"""Refuse to train on what would make a model look better than it is: held-out rows, golden rows, the label in disguise.

A feature is taken for the label in disguise when it alone tells the label (almost) without error in both halves of time:
AUC above 0.999, or a correlation above 0.9999. Honest features do not reach that with 20 rows of each class in a half; one
that does makes a model needless, or is known only because the outcome is. Where it is honest all the same, name it in
`[train] trusted`. A feature that is missing wherever the model answers, but known afterwards and more often for one
outcome, is the second form of the same leak.
"""

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from whorl.errors import LeakFound
from whorl.models.columns import numbers, texts
from whorl.records import DatasetVersion
from whorl.spec import FeatureSpec, Spec
from whorl.stats.arrays import Floats, Indices
from whorl.storage.tables import FEATURE
from whorl.train.rows import DatasetRows, TrainingRows
from whorl.train.single_feature import telling

if TYPE_CHECKING:
    from whorl.workspace import Workspace

PERFECT = {"binary": 0.999, "multiclass": 0.999, "regression": 0.9999}
NEWEST_ROWS = 2000
_LEAST_NEWEST = 200
_GONE = 0.1
_UNEVEN = 0.2
_MOST_ROWS = 10_000


def check_leaks(ws: "Workspace", dataset: DatasetVersion, rows: DatasetRows) -> list[str]:
    """Every check, on a dataset version; returns notes on what is odd but no leak.

    Raises:
        LeakFound: Names the rows or the feature, the figure, and what to do.
    """
    ids = pa.chunked_array([*rows.labelled.columns["id"].chunks, *rows.open["id"].chunks], pa.string())
    # Of the completed rows: an answer that came without its group was split by its id, which means nothing.
    ws.engine.register("trained_ids", pa.table({"id": ids}))
    held = ws.engine.query(
        f"SELECT id FROM {ws.examples(dataset.as_of).name} WHERE split = 'holdout' AND id IN (FROM trained_ids)"
    )
    golden = ws.engine.query(f"SELECT DISTINCT id FROM {ws.lake.relation('members')} WHERE role = 'golden'")
    check_ids(ids, held["id"], golden["id"], where=dataset.id)
    check_features(rows.labelled, ws.spec, where=dataset.id)
    columns = ", ".join(f'"{FEATURE}{name}" AS "{name}"' for name in ws.spec.features)
    newest = ws.engine.query(
        f"SELECT {columns} FROM {ws.examples(dataset.as_of).name} ORDER BY time DESC, id LIMIT {NEWEST_ROWS}"
    )
    return check_served(rows.labelled, newest, ws.spec, where=dataset.id)


def check_ids(ids: pa.ChunkedArray, holdout: pa.ChunkedArray, golden: pa.ChunkedArray, *, where: str) -> None:
    """Raise LeakFound when a training row is held out, or golden."""
    for name, kept_out in (("holdout", holdout), ("golden", golden)):
        found = ids.filter(pc.is_in(ids, value_set=kept_out.cast(ids.type)))
        if len(found):
            some = ", ".join(found[:3].to_pylist())
            raise LeakFound(
                f"{len(found)} of {len(ids)} training rows are {name} rows: {some}.",
                where=where,
                hint="Quality is measured on them: a model that has seen them cannot be judged. Build the dataset anew.",
                rows=len(found),
            )


def check_features(rows: TrainingRows, spec: Spec, *, where: str) -> None:
    """Raise LeakFound when one feature tells the label by itself."""
    if spec.task == "generation":
        return
    order = _some_in_order(rows, spec)
    sample = rows.columns.take(pa.array(order))
    for name, feature in spec.features.items():
        if name in spec.train.trusted:
            continue
        values, levels = _values(sample[name], feature)
        figure = telling(values, levels, rows.target[order], spec.task)
        if figure > PERFECT[spec.task]:
            measure = "correlation" if spec.task == "regression" else "AUC"
            raise LeakFound(
                f"Feature '{name}' tells the label by itself ({measure} {figure:.4f} in both halves of {len(order)} rows).",
                where=where,
                hint="If it is known only after the outcome, take it out of [schema.features]. If it is known before, "
                f'let the check pass with trusted = ["{name}"] in [train].',
                feature=name,
                figure=figure,
            )


def check_served(rows: TrainingRows, newest: pa.Table, spec: Spec, *, where: str) -> list[str]:
    """Compare what training knows with what the newest predictions knew.

    Returns:
        A note for each feature that has stopped to come.

    Raises:
        LeakFound: A feature is (almost) never known when the model answers, was known in training, and more often for
            one outcome than for another: it is filled in afterwards.
    """
    notes: list[str] = []
    if len(newest) < _LEAST_NEWEST:
        return notes
    for name in spec.features:
        known = pc.is_valid(rows.columns[name]).to_numpy(zero_copy_only=False).astype(np.float64)
        trained = float(np.average(known, weights=rows.weight))
        served = float(pc.mean(pc.is_valid(newest[name]).cast(pa.int8())).as_py())
        if not _gone(trained, served, len(newest)):
            continue
        seen = f"is known in {trained:.1%} of the training rows and in {served:.1%} of the newest {len(newest)} predictions"
        if name not in spec.train.trusted and _by_outcome(known, rows, spec) > _UNEVEN:
            raise LeakFound(
                f"Feature '{name}' {seen}, and where it is known depends on the outcome.",
                where=where,
                hint="It is filled in after the fact, so the model will miss it when it answers. Take it out of "
                "[schema.features], or send its value as it was at the time of the prediction.",
                feature=name,
                figure=trained,
            )
        notes.append(f"Feature '{name}' {seen}: a model that leans on it will miss it.")
    return notes


def _some_in_order(rows: TrainingRows, spec: Spec) -> Indices:
    """Places in order of time, of every class at most 10,000, evenly spread: perfection shows on those as well."""
    order = np.argsort(rows.seconds, kind="stable")
    group = np.zeros(len(rows)) if spec.task == "regression" else rows.target[order]
    kept = [_spread(np.flatnonzero(group == value)) for value in np.unique(group)]
    return order[np.sort(np.concatenate(kept))]


def _spread(places: Indices) -> Indices:
    return places[np.unique(np.linspace(0, len(places) - 1, min(len(places), _MOST_ROWS)).astype(np.intp))]


def _gone(trained: float, served: float, rows: int) -> bool:
    """Known at a tenth of the old rate or less, and by more than chance (5 Poisson standard errors, at least 25 rows)."""
    expected = trained * rows
    return served <= _GONE * trained and expected - served * rows > max(5 * np.sqrt(expected), 25.0)


def _by_outcome(known: Floats, rows: TrainingRows, spec: Spec) -> float:
    """Greatest difference between outcomes in the share of rows that know the feature (regression: lower, upper half)."""
    outcome = rows.target > np.median(rows.target) if spec.task == "regression" else rows.target
    shares = [known[outcome == value].mean() for value in np.unique(outcome)]
    return float(max(shares) - min(shares))


def _values(column: pa.ChunkedArray, feature: FeatureSpec) -> tuple[Floats, bool]:
    """A column as numbers, or as the codes of its levels (null is a level)."""
    if feature.type in ("category", "text"):
        encoded = pc.dictionary_encode(texts(column), null_encoding="encode").combine_chunks()
        return encoded.indices.to_numpy().astype(np.float64), True
    return numbers(column, ""), False
