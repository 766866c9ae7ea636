"""Train a challenger on a dataset version; or hand the dataset out, and take in what comes back.

Leaks are looked for before anything is trained, also when others train. The same dataset, spec and seed give the same
files and so the same digest, which is all that a resumed cycle needs.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from msgspec.structs import replace

from whorl.models.digest import folder_digest
from whorl.models.model import Model
from whorl.records import DatasetVersion, ModelVersion, Waiting
from whorl.stats.calibration.calibration import Calibrator, Identity
from whorl.train.assemble import describe, seal, tried
from whorl.train.calibrate import recalibration
from whorl.train.delay_aware import Learnable, learnable
from whorl.train.leak import check_leaks
from whorl.train.notes import notes_on
from whorl.train.rows import TrainingRows, read_rows
from whorl.train.trainer import FitSettings, settings_of, trainer_named

if TYPE_CHECKING:
    from whorl.spec import Spec
    from whorl.workspace import Workspace


def fit(
    ws: "Workspace", dataset: DatasetVersion, cycle_id: str, *, beside: Path | None = None
) -> ModelVersion | Waiting:
    """A new model version, registered; Waiting when the spec leaves training to others.

    Args:
        ws: The flywheel's workspace.
        dataset: What to learn from.
        cycle_id: Whose model it is: a cycle registers one.
        beside: Folder of the spec, where code that it names is looked for; default: the working directory.

    Raises:
        LeakFound: Held-out or golden rows, or the label in disguise, are among the rows.
        TooFewRows: Too few labelled rows, or one class only.
        TrainingFailed: The trainer stopped without a model.
        ModelError: What it wrote does not answer.
    """
    spec, began = ws.spec, perf_counter()
    rows = read_rows(dataset.path, spec, dataset.as_of)
    late = ws.examples(dataset.as_of).late_truth
    notes = [*check_leaks(ws, dataset, rows), *notes_on(rows, spec), *late.notes]
    if spec.train.trainer == "external":
        return _offer(dataset, cycle_id)
    log = ws.place("logs", ws.name) / f"{cycle_id}-train.log"
    with _scratch(ws, cycle_id) as scratch:
        settings = settings_of(spec, rows.classes, log=log, beside=beside)
        bench = _Bench(spec, settings, scratch)
        learnt = learnable(rows, spec, settings, bench.train, modelled=late.modelled)
        bench.train(learnt.rows, "model")
        calibration = bench.calibration(learnt)
        seal(
            scratch / "model",
            describe(scratch / "model", spec, rows.classes),
            through=rows.trained_through,
            content_hash=dataset.content_hash,
            seed=spec.train.seed,
            calibration=calibration,
        )
        return ws.registry.register(
            scratch / "model",
            trainer=spec.train.trainer,
            digest=folder_digest(scratch / "model"),
            dataset_id=dataset.id,
            trained_through=rows.trained_through,
            spec_hash=ws.spec_hash,
            cycle_id=cycle_id,
            seconds=perf_counter() - began,
            notes=[*notes, *learnt.notes, *bench.notes],
        )


class _Bench:
    """Trains by the spec's trainer, each time into a folder of its own."""

    def __init__(self, spec: "Spec", settings: FitSettings, scratch: Path) -> None:
        self._spec, self._settings, self._scratch = spec, settings, scratch
        self._trainer = trainer_named(spec.train.trainer)
        self.notes: list[str] = []

    def train(self, rows: TrainingRows, name: str, *, like: str | None = None) -> Model:
        """The model that these rows give, after it has answered for some of them.

        `like` names an earlier one, whose searches are not made again.
        """
        folder = self._scratch / name
        folder.mkdir()
        self._trainer(rows, folder, replace(self._settings, like=self._scratch / like if like else None))
        describe(folder, self._spec, self._settings.classes)
        return tried(folder, self._spec, rows.columns, beside=self._settings.beside)

    def calibration(self, learnt: Learnable) -> Calibrator:
        """What the model's probabilities need, if anything, and if it can be given."""
        spec = self._spec
        if not spec.train.calibrate or spec.task not in ("binary", "multiclass"):
            return Identity()
        if describe(self._scratch / "model", spec, self._settings.classes).format == "mlflow":
            self.notes.append("Not recalibrated: an MLflow folder is served by others as it is.")
            return Identity()
        twin = partial(self.train, name="twin", like="model")
        found = recalibration(learnt.rows, learnt.mature, twin, seed=spec.train.seed)
        if found != Identity():
            self.notes.append(f"Probabilities are recalibrated ({type(found).__name__.lower()}).")
        return found


def _offer(dataset: DatasetVersion, cycle_id: str) -> Waiting:
    return Waiting(
        what="model",
        where=dataset.path,
        hint=f"Train on it, then hand the model in: whorl cycle submit {cycle_id} --model PATH "
        "(a LightGBM text, a folder, or an MLflow URI).",
    )


@contextmanager
def _scratch(ws: "Workspace", cycle_id: str) -> Iterator[Path]:
    """An empty folder on the workspace's own disk: the finished model is moved from it, not copied."""
    folder = ws.place("scratch", ws.name) / cycle_id
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
