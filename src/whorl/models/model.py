"""A model that answers: loaded from its folder after its digest was checked, with its recalibration applied.

A format is one row of `FORMATS`: a module with `load(folder, manifest) -> Scorer`. Formats that cannot run code
come first; those that can are loaded only when the spec, or the caller, says so.
"""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from whorl.errors import ModelError
from whorl.models.answers import checked
from whorl.models.digest import check_digest, folder_digest
from whorl.models.manifest import Format, Manifest, check_fits, read_manifest
from whorl.spec.knobs import Spec
from whorl.stats.arrays import Floats

__all__ = ["FORMATS", "Model", "Scorer", "folder_digest", "load_model"]

FORMATS: dict[Format, str] = {
    "lightgbm": "whorl.models.lightgbm_model",
    "linear-text": "whorl.models.linear_text_model",
    "mlflow": "whorl.models.mlflow_model",
    "custom": "whorl.models.custom_model",
}


class Scorer(Protocol):
    """What a format gives: scores before recalibration, shaped as in `answers.py`."""

    def scores(self, features: pa.Table) -> Floats: ...

    def row_scores(self, features: Mapping[str, Any]) -> Floats: ...


class Model(Protocol):
    """Anything that answers: binary (n,) P(true); multiclass (n, k) in the manifest's order; regression (n,)."""

    @property
    def manifest(self) -> Manifest: ...

    def predict(self, features: pa.Table) -> Floats: ...

    def predict_row(self, features: Mapping[str, Any]) -> Floats: ...


class LoadedModel:
    """A scorer with its manifest; every answer is recalibrated and checked."""

    def __init__(self, manifest: Manifest, scorer: Scorer, *, where: str) -> None:
        self.manifest = manifest
        self._scorer = scorer
        self._where = where

    def predict(self, features: pa.Table) -> Floats:
        """Scores of rows with columns by bare feature name; others are ignored. Raises ModelError."""
        return self._answer(self._scorer.scores(features), len(features))

    def predict_row(self, features: Mapping[str, Any]) -> Floats:
        """Scores of one row of plain values, shape (1,) or (1, k); what is not given is null. Raises ModelError."""
        return self._answer(self._scorer.row_scores(features), 1)

    def _answer(self, scores: Floats, rows: int) -> Floats:
        scores = checked(scores, self.manifest, rows, where=self._where)
        return self.manifest.calibration.apply(scores) if rows else scores


def load_model(
    folder: str | Path,
    digest: str | None = None,
    spec: Spec | None = None,
    *,
    may_run_code: bool = False,
    beside: Path | None = None,
) -> Model:
    """The model in a folder.

    Args:
        folder: With `model.json` in it.
        digest: What the ledger recorded; None skips the check (a folder that was just written).
        spec: The model's task and features have to be the spec's.
        may_run_code: Load formats that can run code, whatever the spec says.
        beside: Folder of the spec, where code that it names is looked for.

    Raises:
        DigestMismatch: Files differ from what was registered. Nothing was loaded.
        ModelError: Files are missing or broken, the model does not fit the spec, or its format may not be loaded.
    """
    folder = Path(folder)
    if digest is not None:
        check_digest(folder, digest)
    manifest = read_manifest(folder)
    if spec is not None:
        check_fits(manifest, spec, where=str(folder))
    if not may_run_code:
        _check_may_run(manifest, spec, folder)
    scorer: Scorer = import_module(FORMATS[manifest.format]).load(folder, manifest, beside)
    return LoadedModel(manifest, scorer, where=str(folder))


def _check_may_run(manifest: Manifest, spec: Spec | None, folder: Path) -> None:
    if manifest.format == "mlflow" and not (spec is not None and spec.train.allow_pickle):
        raise ModelError(
            "An MLflow model can run code when it is loaded.",
            where=str(folder),
            hint="If you trust where it comes from, set allow_pickle = true in [train].",
        )
    if manifest.format == "custom" and not (spec is not None and spec.train.load == manifest.load):
        named = spec.train.load if spec is not None else None
        raise ModelError(
            f"The model is loaded by '{manifest.load}', and the spec names '{named}'.",
            where=str(folder),
            hint=f'If you trust it, set load = "{manifest.load}" in [train].',
        )
