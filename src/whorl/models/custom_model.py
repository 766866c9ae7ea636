"""Whatever your trainer wrote, loaded by your own function: `load(folder: Path)` gives something with `predict(table)`.

`predict` gets a pyarrow table of the features and answers in the shapes of `answers.py`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from whorl.errors import ModelError
from whorl.models.answers import as_scores
from whorl.models.columns import column
from whorl.models.manifest import Manifest
from whorl.models.mlflow_model import one_row
from whorl.models.named_function import failure, named_function
from whorl.stats.arrays import Floats


def load(folder: Path, manifest: Manifest, beside: Path | None = None) -> "CustomScorer":
    """The scorer that `manifest.load` makes of a folder. Raises ModelError with what that function said."""
    if manifest.load is None:
        raise ModelError(
            "The manifest does not say what loads it.",
            where=str(folder),
            hint='Set load = "package.module:function" in [train], and train again.',
        )
    function = named_function(manifest.load, where="train.load", beside=beside)
    try:
        model = function(folder)
    except Exception as error:  # the user's code may raise anything
        raise ModelError(
            failure(manifest.load, error),
            where=str(folder),
            hint="It is called with the folder that the trainer wrote.",
        ) from error
    if not callable(getattr(model, "predict", None)):
        raise ModelError(
            f"{manifest.load} gives {type(model).__name__}, which has no predict(table).", where="train.load"
        )
    return CustomScorer(model, manifest)


class CustomScorer:
    """Asks the user's object with a table of the manifest's features."""

    def __init__(self, model: Any, manifest: Manifest) -> None:
        self._model = model
        self._manifest = manifest

    def scores(self, features: pa.Table) -> Floats:
        where = str(self._manifest.load)
        table = pa.table({name: column(features, name) for name in self._manifest.features})
        try:
            answer = self._model.predict(table)
        except Exception as error:
            raise ModelError(f"predict fails: {type(error).__name__}: {error}.", where=where) from error
        return as_scores(answer, self._manifest, len(features), where=where)

    def row_scores(self, features: Mapping[str, Any]) -> Floats:
        return self.scores(one_row(features, self._manifest))
