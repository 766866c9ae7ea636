"""A quick model of anything that the features may tell: chances for each row by a model that was not fitted on it.

What it is fitted for is to be tested, not to be served: see `causes.py`. Trees on numbers and categories; free text as its main
directions (latent semantic analysis).
"""

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
    """Features as numbers (n, d), and which columns are categories."""

    values: Floats
    categories: list[int]


def grid_of(table: pa.Table, spec: Spec) -> Grid:
    """The features of examples; a missing value is nan."""
    parts: list[Floats] = []
    categories: list[int] = []
    for name, feature in spec.features.items():
        values = column(table, FEATURE + name)
        if feature.type == "text":
            parts += list(_directions(values).T)
        elif feature.type == "category":
            categories.append(len(parts))
            parts.append(places(values, sorted(set(texts(values).to_pylist()) - {None})))
        else:
            parts.append(numbers(values, name))
    return Grid(np.column_stack(parts) if parts else np.empty((table.num_rows, 0)), categories)


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
