"""Gradient-boosted trees for numbers and categories; text features are left out.

The number of trees is found on the youngest fifth of at most 100,000 rows, then all rows are fitted with it. One seed and one
set of rows give one text, whatever the number of processors.

Source: Ke et al. (2017), NeurIPS 30:3146-3154.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import lightgbm
import numpy as np
import pyarrow as pa

from whorl.errors import TrainingFailed
from whorl.models.lightgbm_model import FILE, column_names, matrix, read_booster, threads
from whorl.models.manifest import Manifest, write_manifest
from whorl.stats.arrays import Floats, Indices
from whorl.train.levels import common_levels
from whorl.train.rows import TrainingRows
from whorl.train.trainer import FitSettings

_TREES = ("trees", "num_iterations", "num_boost_round", "n_estimators", "num_trees", "n_iter")
_LEAST_TREES, _MOST_TREES, _PATIENCE = 150, 500, 30
_FEW_ROWS, _MANY_ROWS = 10_000, 50_000
_YOUNGEST, _LEAST_JUDGES, _MOST_ROWS = 0.2, 100, 100_000


def train(rows: TrainingRows, out: Path, settings: FitSettings) -> None:
    """Write model.txt and model.json.

    Params are LightGBM's own; `trees` (or one of LightGBM's names for it) fixes their number and saves the search.

    Raises:
        TrainingFailed: LightGBM refuses the parameters or the rows, or no feature is left.
    """
    grid = grid_of(rows.columns, rows.weight, settings)
    params, trees = params_for(len(rows), settings)
    with refusals():
        trees = trees or (_number_in(settings.like) if settings.like else _best_number(rows, grid, params))
        booster = lightgbm.train(dict(params), grid.dataset(rows.target, rows.weight, params), trees)
    # The number of threads is part of the text; the trees do not depend on it, so the digest must not either.
    text = re.sub(r"(?m)^\[num_threads: \d+\]$", "[num_threads: 0]", booster.model_to_string())
    (out / FILE).write_text(text, encoding="utf-8")
    manifest = Manifest(
        format="lightgbm",
        task=settings.task,
        features={name: settings.features[name].type for name in grid.names},
        classes=settings.classes,
        levels=grid.levels,
        made_with={"lightgbm": version("lightgbm")},
    )
    write_manifest(out, manifest)


@contextmanager
def refusals() -> Iterator[None]:
    """What LightGBM refuses, as TrainingFailed."""
    try:
        yield
    except lightgbm.basic.LightGBMError as error:
        raise TrainingFailed(
            f"LightGBM says: {error}.",
            where="train.params",
            hint="Correct [train] params, or leave them out.",
        ) from error


class Grid(NamedTuple):
    """Rows as LightGBM reads them: names, levels of the categories, values (n, d)."""

    names: list[str]
    levels: dict[str, list[str | None]]
    values: Floats

    def dataset(
        self, target: Floats, weight: Floats | None, params: dict[str, Any], rows: Indices | None = None
    ) -> lightgbm.Dataset:
        """All rows, or some by position."""
        some = slice(None) if rows is None else rows
        return lightgbm.Dataset(
            self.values[some],
            target[some],
            weight=None if weight is None else weight[some],
            feature_name=column_names(self.names),
            categorical_feature=[self.names.index(name) for name in self.levels],
            params=dict(params),
        )


def grid_of(columns: pa.Table, weight: Floats, settings: FitSettings) -> Grid:
    """The features that LightGBM takes. Raises TrainingFailed when there are none."""
    names = [name for name, feature in settings.features.items() if feature.type != "text"]
    if not names:
        raise TrainingFailed(
            "There is no feature but text.", where="train.trainer", hint='Use "linear-text".'
        )
    categories = [name for name in names if settings.features[name].type == "category"]
    levels = {name: common_levels(columns[name], weight) for name in categories}
    return Grid(names, levels, matrix(columns, names, levels))


def params_for(rows: int, settings: FitSettings) -> tuple[dict[str, Any], int | None]:
    """LightGBM's parameters for so many rows, the user's last, and the number of trees if the user named one."""
    params: dict[str, Any] = {
        "objective": settings.task,
        "learning_rate": 0.05 if rows < _MANY_ROWS else 0.1,
        "num_leaves": 15 if rows < _FEW_ROWS else 31,
        "feature_fraction": 0.6,
        "min_data_in_leaf": 20,
        "min_data_per_group": int(np.clip(rows // 100, 10, 100)),
        "cat_smooth": int(np.clip(rows // 200, 10, 50)),
        "cat_l2": int(np.clip(rows // 200, 10, 50)),
        "verbosity": -1,
        "seed": settings.seed,
        "num_threads": threads(rows),
        "deterministic": True,
        "force_col_wise": True,
    }
    if settings.task == "multiclass":
        params["num_class"] = len(settings.classes)
    params.update(settings.params)
    named = [int(params.pop(key)) for key in _TREES if key in params]
    return params, named[0] if named else None


def _number_in(folder: Path) -> int:
    booster = read_booster(folder / FILE)
    return int(booster.num_trees() // booster.num_model_per_iteration())


def _best_number(rows: TrainingRows, grid: Grid, params: dict[str, Any]) -> int:
    """Trees at the least loss on the youngest rows, fitted on the older ones; never fewer than 150.

    Under drift the youngest rows ask for very few trees, and the model that also knows those rows is the worse for it.
    """
    some = np.random.default_rng(params["seed"]).permutation(len(rows))[:_MOST_ROWS]
    order = some[np.lexsort((some, rows.seconds[some]))]
    border = int(len(order) * (1 - _YOUNGEST))
    old, young = order[:border], order[border:]
    if (
        len(young) < _LEAST_JUDGES
        or len(np.unique(rows.target[old])) < 2
        or len(np.unique(rows.target[young])) < 2
    ):
        return _LEAST_TREES
    learnt = grid.dataset(rows.target, rows.weight, params, old)
    judged = grid.dataset(rows.target, rows.weight, params, young).set_reference(learnt)
    stop: list[Any] = [lightgbm.early_stopping(_PATIENCE, verbose=False)]
    found = lightgbm.train(dict(params), learnt, _MOST_TREES, valid_sets=[judged], callbacks=stop)
    return max(found.best_iteration, _LEAST_TREES)
