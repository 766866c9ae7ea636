"""model.json: what a model folder holds, what it was made from, and how its scores are to be read.

Nothing in it depends on when or where the model was made: the same dataset and seed give the same folder, byte for byte.
"""

from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from whorl.errors import ModelError, did_you_mean
from whorl.records import Task
from whorl.spec.knobs import FeatureType, Spec
from whorl.stats.calibration.calibration import Calibrator, Identity

FILE = "model.json"
Format = Literal["lightgbm", "linear-text", "mlflow", "custom"]


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a model folder says of itself.

    Args:
        format: Which reader understands the files.
        task: What the model does.
        features: Name to type, in the order in which the model takes them.
        classes: Binary: [False, True]. Multiclass: the names, in the order of the scores. Regression: none.
        levels: Known values of each category feature; a value's code is its place. Others are told to the model as
            missing. None stands for a null that was common enough to be a value of its own.
        load: 'package.module:function' that loads a custom format.
        calibration: Applied to the probabilities that the files give.
        trained_through: Time of the last row it was trained on.
        dataset_hash: Content hash of the dataset version.
        seed: Seed of the fit.
        made_with: Library to version.
    """

    format: Format
    task: Task
    features: dict[str, FeatureType]
    classes: list[bool | str] = []
    levels: dict[str, list[str | None]] = {}
    load: str | None = None
    calibration: Calibrator = Identity()
    trained_through: datetime | None = None
    dataset_hash: str | None = None
    seed: int | None = None
    made_with: dict[str, str] = {}


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a folder. Raises ModelError when it is missing, broken, or of a newer Whorl."""
    try:
        return msgspec.json.decode((folder / FILE).read_bytes(), type=Manifest)
    except FileNotFoundError:
        raise ModelError(
            f"There is no {FILE}.",
            where=str(folder),
            hint="Name the folder of a model that Whorl registered, or hand the files in with `whorl cycle submit --model`.",
        ) from None
    except msgspec.MsgspecError as error:
        raise ModelError(
            f"{FILE} cannot be read: {error}.",
            where=str(folder),
            hint="It is damaged, or was written by another version of Whorl. Restore the folder, or train again.",
        ) from None


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write model.json, indented; the same manifest gives the same bytes."""
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    (folder / FILE).write_bytes(text + b"\n")


def check_fits(manifest: Manifest, spec: Spec, *, where: str) -> None:
    """Raise ModelError unless the model's task and features are those of the spec; it may use fewer features."""
    if manifest.task != spec.task:
        raise ModelError(
            f"The model does {manifest.task}, the spec's task is {spec.task}.",
            where=where,
            hint="Use a model of this flywheel, or correct `task`.",
        )
    for name, kind in manifest.features.items():
        declared = spec.features.get(name)
        if declared is None:
            raise ModelError(
                f"The model takes feature '{name}', which the spec does not declare.",
                where=where,
                hint=f"{did_you_mean(name, list(spec.features))} Declare it in [schema.features], or train again.",
            )
        if declared.type != kind:
            raise ModelError(
                f"Feature '{name}' was {kind} when the model was trained, and is {declared.type} in the spec.",
                where=where,
                hint="Give it its old type back, or train again.",
            )
