"""Make what a trainer wrote, or somebody handed in, into a model folder: know its format, describe it, try it.

Ends with `model.json`, an `MLmodel` where there is none, and a model that has answered for real rows.
"""

import re
from datetime import datetime
from pathlib import Path

import msgspec
import pyarrow as pa

from whorl.errors import ModelError, TrainingFailed, did_you_mean
from whorl.models import lightgbm_model, manifest, mlflow_model
from whorl.models.manifest import Manifest, read_manifest, write_manifest
from whorl.models.mlmodel import write_mlmodel
from whorl.models.model import Model, load_model
from whorl.spec import Spec
from whorl.stats.calibration.calibration import Calibrator, Identity

_TRIED_ROWS = 100


def describe(folder: Path, spec: Spec, classes: list[bool | str]) -> Manifest:
    """Read or find out what the files are, and write it down. Raises TrainingFailed when there is no model among them."""
    if (folder / manifest.FILE).is_file():
        found = read_manifest(folder)
    elif (folder / lightgbm_model.FILE).is_file():
        found = _lightgbm(folder / lightgbm_model.FILE, spec, classes)
    elif (folder / mlflow_model.FILE).is_file() and spec.train.load is None:
        found = _foreign("mlflow", spec, classes)
    elif spec.train.load is not None and any(folder.iterdir()):
        found = _foreign("custom", spec, classes)
    else:
        names = ", ".join(sorted(path.name for path in folder.iterdir())) or "nothing"
        raise TrainingFailed(
            f"No model was written; the folder holds {names}.",
            where="train",
            hint=f"Write a LightGBM text as {lightgbm_model.FILE}, an MLflow folder, or set [train] load to your loader.",
        )
    write_manifest(folder, found)
    return found


def seal(
    folder: Path, found: Manifest, *, through: datetime, content_hash: str, seed: int, calibration: Calibrator
) -> None:
    """Write down what the model was made from. Nothing may change in the folder afterwards."""
    sealed = msgspec.structs.replace(
        found,
        calibration=calibration,
        trained_through=found.trained_through or through,
        dataset_hash=content_hash,
        seed=seed,
    )
    write_manifest(folder, sealed)
    if found.format != "mlflow":
        write_mlmodel(folder, sealed)


def tried(folder: Path, spec: Spec, features: pa.Table, *, beside: Path | None = None) -> Model:
    """The model in the folder, after it has answered for some rows. Raises ModelError."""
    model = load_model(folder, spec=spec, beside=beside)
    model.predict(features.slice(0, _TRIED_ROWS))
    return model


def _lightgbm(path: Path, spec: Spec, classes: list[bool | str]) -> Manifest:
    """A LightGBM text of someone else's: features by name, levels from the pandas categories it was trained with."""
    booster = lightgbm_model.read_booster(path)
    _check_objective(path, spec)
    known = dict(zip(lightgbm_model.column_names(list(spec.features)), spec.features.items(), strict=True))
    features = {}
    for column in booster.feature_name():
        if column not in known:
            raise ModelError(
                f"The model takes '{column}', which is no feature of the spec.",
                where=str(path),
                hint=f"{did_you_mean(column, list(known))} Train with named columns (a pandas frame, or feature_name).",
            )
        name, feature = known[column]
        features[name] = feature.type
    categories = [name for name, kind in features.items() if kind == "category"]
    levels = booster.pandas_categorical or []
    if len(levels) != len(categories):
        raise ModelError(
            f"The model knows the values of {len(levels)} categories; the spec has {len(categories)} among its "
            f"features: {', '.join(categories) or 'none'}.",
            where=str(path),
            hint="Train on pandas columns of dtype 'category': their values are then kept in the model.",
        )
    return Manifest(
        format="lightgbm",
        task=spec.task,
        features=features,
        classes=classes,
        levels={
            name: [str(value) for value in values] for name, values in zip(categories, levels, strict=True)
        },
    )


def _check_objective(path: Path, spec: Spec) -> None:
    """Trees of another objective would answer with raw scores, which can look like probabilities."""
    found = re.search(rb"(?m)^objective=(\w+)", path.read_bytes())
    objective = found[1].decode() if found else "one of your own"
    of_classes = {"binary": ("binary", "cross_entropy"), "multiclass": ("multiclass", "multiclassova")}
    expected = of_classes.get(spec.task)
    fits = objective in expected if expected else objective not in sum(of_classes.values(), ())
    if not fits:
        raise ModelError(
            f"The trees were grown for objective {objective}; the task is {spec.task}.",
            where=str(path),
            hint=f"Train with objective {' or '.join(expected or ('regression',))}.",
        )


def _foreign(kind: manifest.Format, spec: Spec, classes: list[bool | str]) -> Manifest:
    return Manifest(
        format=kind,
        task=spec.task,
        features={name: feature.type for name, feature in spec.features.items()},
        classes=classes,
        load=spec.train.load if kind == "custom" else None,
        calibration=Identity(),
    )
