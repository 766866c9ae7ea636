"""What other people's `predict` gave, as the one shape that everything here computes with.

Binary (n,) the probability of true; multiclass (n, k) in the order of the classes; regression (n,). Anything else is
refused: a class name where a probability should be would be judged, and look like a very sure model.
"""

from typing import Any

import numpy as np

from whorl.errors import ModelError
from whorl.models.manifest import Manifest
from whorl.stats.arrays import Floats

_PROBABILITIES = (
    "Answer with probabilities: MLflow's scikit-learn flavor does so with pyfunc_predict_fn='predict_proba'."
)


def as_scores(answer: Any, manifest: Manifest, rows: int, *, where: str) -> Floats:
    """The answer of a foreign `predict` for this many rows; raises ModelError when it cannot be read as scores."""
    found = _array(answer, manifest)
    if manifest.task in ("binary", "multiclass") and found.dtype.kind not in "f":
        raise ModelError(
            f"predict answers with {found.dtype}, not with probabilities.", where=where, hint=_PROBABILITIES
        )
    try:
        scores = found.astype(np.float64)
    except (TypeError, ValueError):
        raise ModelError(f"predict answers with {found.dtype}, not with numbers.", where=where) from None
    if manifest.task != "multiclass" and scores.ndim == 2 and scores.shape[1] == 1:
        scores = scores[:, 0]
    if manifest.task == "binary" and scores.ndim == 2 and scores.shape[1] == 2:
        scores = scores[:, 1]
    return checked(scores, manifest, rows, where=where)


def checked(scores: Floats, manifest: Manifest, rows: int, *, where: str) -> Floats:
    """The same scores, when they have the task's shape, are finite, and are probabilities where they have to be."""
    shape = (rows, len(manifest.classes)) if manifest.task == "multiclass" else (rows,)
    if scores.shape != shape:
        raise ModelError(
            f"The model answers in shape {scores.shape} for {rows} rows; {manifest.task} needs {shape}.",
            where=where,
            hint="One score a row; multiclass: one probability a class, in the order of the sorted class names.",
        )
    if not np.isfinite(scores).all():
        bad = int(rows - np.isfinite(scores.reshape(rows, -1)).all(axis=1).sum())
        raise ModelError(f"The model answers {bad} of {rows} rows with nan or infinity.", where=where)
    if manifest.task != "regression" and rows and not (scores.min() >= 0 and scores.max() <= 1 + 1e-9):
        raise ModelError(
            f"The model answers from {scores.min():.4g} to {scores.max():.4g}.",
            where=where,
            hint=_PROBABILITIES,
        )
    return scores


def _array(answer: Any, manifest: Manifest) -> Any:
    names = [str(name) for name in getattr(answer, "columns", [])]
    classes = [str(name) for name in manifest.classes]
    if len(names) > 1 and set(names) == set(classes):
        answer = answer.iloc[:, [names.index(name) for name in classes]]
    return np.asarray(answer)
