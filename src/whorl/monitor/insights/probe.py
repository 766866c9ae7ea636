"""A quick model of anything that the features may tell: chances for each row by a model that was not fitted on it.

What it is fitted for is to be tested, not to be served: see `causes.py`. Trees on numbers and categories; free text as its main
directions (latent semantic analysis).
"""

from collections.abc import Callable, Collection
from typing import NamedTuple

import lightgbm
import numpy as np
import pyarrow as pa

from whorl.models.columns import codes as places
from whorl.models.columns import column, numbers, texts
from whorl.spec import Spec
from whorl.stats.arrays import Floats, Indices
from whorl.stats.slices.conditions import Mask
from whorl.storage.tables import FEATURE

FOLDS = 5
ROUNDS, ROUNDS_OF_MANY, MANY_CLASSES = 60, 20, 10
DIRECTIONS = 40


class Grid(NamedTuple):
    """Features as numbers (n, d), which columns are categories, and of which feature each column (d,) is."""

    values: Floats
    categories: list[int]
    features: list[str]

    def take(self, rows: Indices) -> "Grid":
        """These rows."""
        return self._replace(values=self.values[rows])

    def without(self, features: Collection[str]) -> "Grid":
        """The columns of all other features."""
        left = [place for place, name in enumerate(self.features) if name not in features]
        categories = [number for number, place in enumerate(left) if place in self.categories]
        return Grid(self.values[:, left], categories, [self.features[place] for place in left])


def grid_of(table: pa.Table, spec: Spec) -> Grid:
    """The features of examples; a missing value is nan."""
    parts: list[Floats] = []
    categories: list[int] = []
    features: list[str] = []
    for name, feature in spec.features.items():
        values = column(table, FEATURE + name)
        if feature.type == "text":
            parts += list(_directions(values).T)
        elif feature.type == "category":
            categories.append(len(parts))
            parts.append(places(values, sorted(set(texts(values).to_pylist()) - {None})))
        else:
            parts.append(numbers(values, name))
        features += [name] * (len(parts) - len(features))
    return Grid(np.column_stack(parts) if parts else np.empty((table.num_rows, 0)), categories, features)


def cross_fitted(
    grid: Grid,
    target: Indices,
    classes: int,
    group: Indices,
    fitted: Indices | None = None,
    *,
    weight: Floats | None = None,
    seed: int = 0,
) -> Floats:
    """Chances (n, classes) of each row's target.

    Args:
        target: (n,) from 0.
        group: (n,) whole numbers; the rows of a group are in one fold.
        fitted: Rows that models are fitted on, of the other folds; None: all.
        weight: (n,) what each of them counts; None: 1.
    """
    fold = np.random.default_rng(seed).permutation(int(group.max()) + 1)[group] % FOLDS
    may = np.ones(len(target), dtype=np.bool_)
    if fitted is not None:
        may[:] = False
        may[fitted] = True
    chance = np.empty((len(target), classes))
    for number in range(FOLDS):
        inside = may & (fold != number)
        outside = fold == number
        chance[outside] = fitted_once(grid, target, classes, inside, outside, weight=weight, seed=seed)
    return chance


def fitted_once(
    grid: Grid,
    target: Indices,
    classes: int,
    inside: Mask,
    outside: Mask,
    *,
    weight: Floats | None = None,
    seed: int = 0,
) -> Floats:
    """Chances of the rows `outside` (n,), by a model of the rows `inside`, each of which counts its weight (n,)."""
    found = np.unique(target[inside])
    if len(found) < 2 or not grid.values.shape[1]:
        share = np.bincount(target[inside], minlength=classes) / max(int(inside.sum()), 1)
        return np.tile(share, (int(outside.sum()), 1))
    params = {
        "objective": "binary" if len(found) == 2 else "multiclass", "num_leaves": 15, "learning_rate": 0.1,
        "feature_fraction": 0.8, "min_data_in_leaf": 20, "min_data_per_group": 20, "max_bin": 63, "seed": seed,
        "deterministic": True, "force_row_wise": True, "verbosity": -1,
    }  # fmt: skip
    if len(found) > 2:
        params["num_class"] = len(found)
    rows = lightgbm.Dataset(
        grid.values[inside],
        np.searchsorted(found, target[inside]),
        weight=None if weight is None else weight[inside],
        categorical_feature=grid.categories,
        free_raw_data=False,
        params={"verbosity": -1, "max_bin": 63},
    )
    rounds = ROUNDS if len(found) <= MANY_CLASSES else ROUNDS_OF_MANY
    said = np.asarray(lightgbm.train(params, rows, rounds).predict(grid.values[outside]))
    chance = np.zeros((int(outside.sum()), classes))
    chance[:, found] = np.column_stack([1 - said, said]) if len(found) == 2 else said
    return chance


def answers_like(
    grid: Grid, said: Floats, inside: Mask, *, numbers: bool, seed: int = 0
) -> Callable[[Floats], Floats]:
    """What answers the values of a grid (m, d) as whoever said this (n,) or (n, k) of the rows `inside`; truth is not looked at.

    `numbers`: answers are no chances.
    """
    params = {
        "objective": "regression" if numbers else "cross_entropy", "num_leaves": 31, "learning_rate": 0.1,
        "min_data_in_leaf": 10, "min_data_per_group": 10, "max_bin": 63, "seed": seed, "deterministic": True,
        "force_row_wise": True, "verbosity": -1,
    }  # fmt: skip
    rows = lightgbm.Dataset(
        grid.values[inside],
        categorical_feature=grid.categories,
        free_raw_data=False,
        params={"verbosity": -1, "max_bin": 63},
    )
    columns = said[inside].reshape(int(inside.sum()), -1)
    rounds = ROUNDS if columns.shape[1] <= MANY_CLASSES else ROUNDS_OF_MANY
    fitted = [lightgbm.train(params, rows.set_label(one), rounds) for one in columns.T]

    def answers(values: Floats) -> Floats:
        each = np.column_stack([np.asarray(one.predict(values)) for one in fitted])
        return each[:, 0] if said.ndim == 1 else each / each.sum(axis=1, keepdims=True)

    return answers


def _directions(values: pa.ChunkedArray) -> Floats:
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    said = [text or "" for text in values.to_pylist()]
    try:
        counted = TfidfVectorizer(sublinear_tf=True, min_df=2).fit_transform(said)
    except ValueError:
        # Not one word occurs twice.
        return np.empty((len(said), 0))
    size = min(DIRECTIONS, min(counted.shape) - 1)
    if size < 1:
        return np.empty((len(said), 0))
    directions: Floats = TruncatedSVD(size, random_state=0).fit_transform(counted)
    return directions
