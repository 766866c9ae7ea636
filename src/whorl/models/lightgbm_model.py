"""LightGBM's text model: numbers only, it cannot run code. Columns go by position, so the matrix is built in one place."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pyarrow as pa

from whorl.errors import ModelError
from whorl.models.columns import code, codes, column, number, numbers
from whorl.models.manifest import Manifest
from whorl.stats.arrays import Floats

FILE = "model.txt"


def load(folder: Path, manifest: Manifest, beside: Path | None = None) -> "LightGBMScorer":
    """The scorer of a folder with `model.txt`. Raises ModelError when the text is missing, cut off or another model's."""
    del beside
    booster = read_booster(folder / FILE)
    expected = column_names(list(manifest.features))
    if booster.feature_name() != expected:
        raise ModelError(
            f"The trees split on {', '.join(booster.feature_name())}; the manifest names {', '.join(expected)}.",
            where=str(folder / FILE),
            hint="model.txt and model.json are not of one training run. Restore the folder, or train again.",
        )
    per_round = len(manifest.classes) if manifest.task == "multiclass" else 1
    if booster.num_model_per_iteration() != per_round:
        raise ModelError(
            f"The trees score {booster.num_model_per_iteration()} classes, the manifest says {per_round}.",
            where=str(folder / FILE),
            hint="Train with as many classes as the dataset has, in the order of their sorted names.",
        )
    return LightGBMScorer(booster, manifest)


def read_booster(path: Path) -> lightgbm.Booster:
    """The trees in a text file. Raises ModelError.

    LightGBM's own parser reads beyond the end of a cut-off file: its parts are counted first.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        raise ModelError(
            "There is no such file.", where=str(path), hint="Restore the folder, or train again."
        ) from None
    sizes = re.search(rb"^tree_sizes=([\d ]*)$", text, re.MULTILINE)
    end = text.find(b"\nend of trees\n") + 1
    if not text.startswith(b"tree\n") or sizes is None or not end or b"\nend of parameters\n" not in text:
        raise _damaged(path, "it is cut off, or not a LightGBM text model")
    trees = sum(map(int, sizes[1].split()))
    if trees and text.find(b"\nTree=0\n") + 1 != end - trees:
        raise _damaged(path, "its trees are longer or shorter than it says")
    try:
        return lightgbm.Booster(model_str=text.decode())
    except (lightgbm.basic.LightGBMError, ValueError) as error:
        raise _damaged(path, str(error)) from error


class LightGBMScorer:
    """Probabilities or numbers from trees; unseen categories and nulls go where missing values go."""

    def __init__(self, booster: lightgbm.Booster, manifest: Manifest) -> None:
        self._booster = booster
        self._manifest = manifest
        self._places = {
            name: {level: place for place, level in enumerate(levels)}
            for name, levels in manifest.levels.items()
        }

    def scores(self, features: pa.Table) -> Floats:
        return self._predict(matrix(features, list(self._manifest.features), self._manifest.levels))

    def row_scores(self, features: Mapping[str, Any]) -> Floats:
        row = [
            code(features.get(name), self._places[name])
            if name in self._places
            else number(features.get(name), name)
            for name in self._manifest.features
        ]
        return self._predict(np.array([row]))

    def _predict(self, values: Floats) -> Floats:
        if not len(values):
            return np.empty((0, len(self._manifest.classes)) if self._manifest.task == "multiclass" else 0)
        return np.asarray(self._booster.predict(values, num_threads=threads(len(values))), dtype=np.float64)


def matrix(features: pa.Table, names: Sequence[str], levels: Mapping[str, Sequence[str | None]]) -> Floats:
    """(n, d) float64 in the order of the names; used for training and for answers alike."""
    values = np.empty((len(features), len(names)))
    for position, name in enumerate(names):
        found = column(features, name)
        values[:, position] = codes(found, levels[name]) if name in levels else numbers(found, name)
    return values


def column_names(features: Sequence[str]) -> list[str]:
    """Feature names as LightGBM takes them: letters, digits and underscores.

    >>> column_names(["amount", "lead time"]), column_names(["a-b", "a_b"])
    (['amount', 'lead_time'], ['a_b_0', 'a_b_1'])
    """
    plain = [re.sub(r"\W", "_", name) for name in features]
    return plain if len(set(plain)) == len(plain) else [f"{name}_{i}" for i, name in enumerate(plain)]


def threads(rows: int) -> int:
    """One for small work: starting and joining threads costs more than it brings, and much more on a busy machine."""
    return 1 if rows < 50_000 else os.cpu_count() or 1


def _damaged(path: Path, why: str) -> ModelError:
    return ModelError(
        f"The model cannot be read: {why}.",
        where=str(path),
        hint="Restore the file from a backup, or train again.",
    )
