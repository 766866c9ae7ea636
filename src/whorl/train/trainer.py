"""The contract of a trainer, and the table of those that are built in: one more is one more row.

A trainer learns from rows and writes files into an empty folder. It may write `model.json` itself (`Manifest`); where
it does not, `assemble.py` finds out what it wrote.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from whorl.records import Task
from whorl.spec import FeatureSpec, Spec
from whorl.stats.arrays import Floats
from whorl.train.rows import LateRows, TrainingRows


class FitSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a trainer is told beside its rows.

    Args:
        seed: Of everything random.
        params: `[train] params`, as they are.
        task: What the model is to do.
        features: Declared features in order.
        classes: In the order of the targets; none for regression.
        trainer: `[train] trainer`, for trainers that stand for many.
        command: `[train] command`.
        timeout_s: A command that takes longer has failed.
        log: File to which a command's output goes.
        beside: Folder of the spec, where code that it names is looked for.
        like: Folder of a model that this trainer made for the same spec: what it searched for there is taken over.
    """

    seed: int
    params: dict[str, Any]
    task: Task
    features: dict[str, FeatureSpec]
    classes: list[bool | str]
    trainer: str
    command: list[str]
    timeout_s: float
    log: Path
    beside: Path | None = None
    like: Path | None = None


Trainer: TypeAlias = Callable[[TrainingRows, Path, FitSettings], None]

Estimator: TypeAlias = Callable[[LateRows, FitSettings], Floats]
"""Chance (m, k) of each class for the open rows (m,), given that they are open at their age; see `delay_aware.py`."""

TRAINERS: dict[str, str] = {
    "lightgbm": "whorl.train.trainers.lightgbm:train",
    "linear-text": "whorl.train.trainers.linear_text:train",
    "command": "whorl.train.trainers.command:train",
}
ESTIMATORS: dict[str, str] = {"lightgbm": "whorl.train.trainers.lightgbm_late:estimate"}
FUNCTION = "whorl.train.trainers.function:train"


def trainer_named(name: str) -> Trainer:
    """The trainer of this name; any other name is a function's ('package.module:function')."""
    trainer: Trainer = _imported(TRAINERS.get(name, FUNCTION))
    return trainer


def estimator_of(name: str) -> Estimator | None:
    """How a trainer tells the chances of open rows by itself; None: by its fitted model, in rounds."""
    return _imported(ESTIMATORS[name]) if name in ESTIMATORS else None


def settings_of(
    spec: Spec, classes: list[bool | str], *, log: Path, beside: Path | None = None
) -> FitSettings:
    """What the spec says to its trainer."""
    return FitSettings(
        seed=spec.train.seed,
        params=spec.train.params,
        task=spec.task,
        features=spec.features,
        classes=classes,
        trainer=spec.train.trainer,
        command=spec.train.command,
        timeout_s=spec.train.timeout.seconds,
        log=log,
        beside=beside,
    )


def _imported(reference: str) -> Any:
    module, _, function = reference.partition(":")
    return getattr(import_module(module), function)
