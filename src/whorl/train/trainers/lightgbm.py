"""Gradient-boosted trees for numbers and categories; text features are left out.

The number of trees is found on the youngest fifth of the rows, then all rows are fitted with it. One seed and one
set of rows give one text, whatever the number of processors.

Source: Ke et al. (2017), NeurIPS 30:3146-3154.
"""

import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np

from whorl.errors import TrainingFailed
from whorl.models.lightgbm_model import FILE, column_names, matrix, threads
from whorl.models.manifest import Manifest, write_manifest
from whorl.stats.arrays import Floats
from whorl.train.levels import common_levels
from whorl.train.rows import TrainingRows
from whorl.train.trainer import FitSettings

_TREES = ("trees", "num_iterations", "num_boost_round", "n_estimators", "num_trees", "n_iter")
_PATIENCE, _MOST_TREES, _YOUNGEST, _LEAST_JUDGES, _PLAIN_TREES = 30, 500, 0.2, 100, 100


def train(rows: TrainingRows, out: Path, settings: FitSettings) -> None:
    """Write model.txt and model.json.

    Params are LightGBM's own; `trees` (or one of LightGBM's names for it) fixes their number and saves the search.

    Raises:
        TrainingFailed: LightGBM refuses the parameters or the rows, or no feature is left.
    """
    names = [name for name, feature in settings.features.items() if feature.type != "text"]
    if not names:
        raise TrainingFailed(
            "There is no feature but text.", where="train.trainer", hint='Use "linear-text".'
        )
    levels = {
        name: common_levels(rows.columns[name], rows.weight)
        for name in names
        if settings.features[name].type == "category"
    }
    params = _params(rows, settings)
    trees = next((int(params.pop(key)) for key in _TREES if key in params), None)
    data = _Data(
        rows, matrix(rows.columns, names, levels), names, [names.index(name) for name in levels], params
    )
    try:
        booster = data.fit(None, trees or _best_number(data))
    except lightgbm.basic.LightGBMError as error:
        raise TrainingFailed(
            f"LightGBM says: {error}.",
            where="train.params",
            hint="Correct [train] params, or leave them out.",
        ) from error
    # The number of threads is part of the text; the trees do not depend on it, so the digest must not either.
    text = re.sub(
        r"^\[num_threads: \d+\]$", "[num_threads: 0]", booster.model_to_string(), flags=re.MULTILINE
    )
    (out / FILE).write_text(text, encoding="utf-8")
    manifest = Manifest(
        format="lightgbm",
        task=settings.task,
        features={name: settings.features[name].type for name in names},
        classes=settings.classes,
        levels=levels,
        made_with={"lightgbm": version("lightgbm")},
    )
    write_manifest(out, manifest)


class _Data:
    """The rows as LightGBM sees them."""

    def __init__(
        self,
        rows: TrainingRows,
        values: Floats,
        names: list[str],
        categories: list[int],
        params: dict[str, Any],
    ) -> None:
        self.rows, self.values, self.names, self.categories, self.params = (
            rows,
            values,
            names,
            categories,
            params,
        )

    def fit(self, places: Any, trees: int, judges: Any = None) -> lightgbm.Booster:
        """Trees on some rows (None: all); with `judges`, stopped where these rows' loss is least."""
        data = self._dataset(places)
        stop = [lightgbm.early_stopping(_PATIENCE, verbose=False)] if judges is not None else []
        valid = [self._dataset(judges, data)] if judges is not None else None
        return lightgbm.train(dict(self.params), data, trees, valid_sets=valid, callbacks=stop)

    def _dataset(self, places: Any, reference: lightgbm.Dataset | None = None) -> lightgbm.Dataset:
        some = slice(None) if places is None else places
        return lightgbm.Dataset(
            self.values[some],
            self.rows.target[some],
            weight=self.rows.weight[some],
            feature_name=column_names(self.names),
            categorical_feature=self.categories,
            params=dict(self.params),
            reference=reference,
        )


def _best_number(data: _Data) -> int:
    """Trees at the least loss on the youngest rows, fitted on the older ones; a plain number when they are few."""
    rows = data.rows
    border = np.quantile(rows.seconds, 1 - _YOUNGEST)
    young = rows.seconds > border
    if young.sum() < _LEAST_JUDGES or not _same_classes(rows.target[young], rows.target[~young], data.params):
        return _PLAIN_TREES
    return max(data.fit(np.flatnonzero(~young), _MOST_TREES, np.flatnonzero(young)).best_iteration, 1)


def _same_classes(young: Floats, old: Floats, params: dict[str, Any]) -> bool:
    if params["objective"] != "binary":
        return True
    return len(np.unique(young)) == len(np.unique(old)) == 2


def _params(rows: TrainingRows, settings: FitSettings) -> dict[str, Any]:
    few = len(rows) < 100_000
    params: dict[str, Any] = {
        "objective": settings.task,
        "learning_rate": 0.05 if few else 0.1,
        "num_leaves": 31,
        "min_data_in_leaf": 20,
        "min_data_per_group": int(np.clip(len(rows) // 100, 10, 100)),
        "feature_fraction": 0.8,
        "verbosity": -1,
        "seed": settings.seed,
        "num_threads": threads(len(rows)),
        "deterministic": True,
        "force_col_wise": True,
    }
    if settings.task == "multiclass":
        params["num_class"] = len(settings.classes)
    return {**params, **settings.params}
