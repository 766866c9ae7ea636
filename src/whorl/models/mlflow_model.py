"""An MLflow pyfunc folder of someone else's, as it is. It can hold pickles and code: loaded only by explicit choice."""

import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from whorl.errors import ModelError
from whorl.models.answers import as_scores
from whorl.models.columns import column
from whorl.models.manifest import Manifest
from whorl.stats.arrays import Floats

FILE = "MLmodel"


def load(folder: Path, manifest: Manifest, beside: Path | None = None) -> "MlflowScorer":
    """The scorer of a folder with an `MLmodel`. Raises ModelError with what MLflow said."""
    del beside
    pyfunc = _pyfunc()
    try:
        with _no_bytecode():
            model = pyfunc.load_model(str(folder), suppress_warnings=True)
    except Exception as error:  # the model's own code may raise anything
        raise ModelError(
            f"MLflow cannot load it: {type(error).__name__}: {error}.",
            where=str(folder),
            hint="Install what the model needs (requirements.txt in its folder), or restore the folder.",
        ) from error
    return MlflowScorer(model, manifest, where=str(folder))


class MlflowScorer:
    """Asks the pyfunc with a pandas frame of the manifest's features."""

    def __init__(self, model: Any, manifest: Manifest, *, where: str) -> None:
        self._model = model
        self._manifest = manifest
        self._where = where

    def scores(self, features: pa.Table) -> Floats:
        frame = pa.table({name: column(features, name) for name in self._manifest.features}).to_pandas()
        try:
            answer = self._model.predict(frame)
        except Exception as error:
            raise ModelError(f"predict fails: {type(error).__name__}: {error}.", where=self._where) from error
        return as_scores(answer, self._manifest, len(features), where=self._where)

    def row_scores(self, features: Mapping[str, Any]) -> Floats:
        return self.scores(one_row(features, self._manifest))


def one_row(features: Mapping[str, Any], manifest: Manifest) -> pa.Table:
    """A table of one row with the manifest's types. Raises ModelError for a value of another type."""
    kinds = {
        "float": pa.float64(),
        "int": pa.int64(),
        "bool": pa.bool_(),
        "category": pa.string(),
        "text": pa.string(),
    }
    columns = {}
    for name, kind in manifest.features.items():
        try:
            columns[name] = pa.array([features.get(name)], kinds[kind])
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise ModelError(f"Feature '{name}' has to be {kind}: {error}.", where="predict") from None
    return pa.table(columns)


def _pyfunc() -> Any:
    """MLflow's module: it would report its use, and warns about type hints of its own when it is imported."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "(?s).*Any type hint is inferred as AnyType", UserWarning)
        import mlflow.pyfunc
    return mlflow.pyfunc


@contextmanager
def _no_bytecode() -> Iterator[None]:
    """Code in the folder must not leave a __pycache__ there: the folder would be another model then."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before
