"""Take in a model, or scores, that somebody else made from a dataset version which was handed out.

A model comes as a LightGBM text, as a folder, or as a URI that MLflow can fetch; it is copied, tried on rows of the
dataset, and registered like one of ours. Scores come as Parquet or CSV (id, score or scores); they are copied, and judged.
"""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote, urlsplit

from whorl.errors import ModelError
from whorl.models import lightgbm_model
from whorl.models.digest import folder_digest
from whorl.records import DatasetVersion, ModelVersion
from whorl.train.assemble import describe, seal, tried
from whorl.train.rows import read_rows

if TYPE_CHECKING:
    from whorl.workspace import Workspace

SCORES = "scores"


class Submitted(Protocol):
    """What was handed in: 'model' or 'scores', and where it is."""

    @property
    def kind(self) -> str: ...

    @property
    def uri(self) -> str: ...


def adopt(
    ws: "Workspace",
    dataset: DatasetVersion,
    cycle_id: str,
    submitted: Submitted,
    *,
    beside: Path | None = None,
) -> ModelVersion:
    """The model version of a submission.

    Raises:
        ModelError: It cannot be found, read or loaded, does not fit the spec, or does not answer for the dataset's rows.
        TooFewRows: The dataset has too few labelled rows, or one class only.
    """
    if submitted.kind == SCORES:
        return _adopt_scores(ws, dataset, cycle_id, submitted.uri)
    began = perf_counter()
    rows = read_rows(dataset.path, ws.spec, dataset.as_of)
    with TemporaryDirectory(dir=ws.place("scratch", ws.name)) as scratch:
        folder = Path(scratch, "model")
        _fetch(submitted.uri, folder)
        found = describe(folder, ws.spec, rows.classes)
        seal(
            folder,
            found,
            through=rows.trained_through,
            content_hash=dataset.content_hash,
            seed=ws.spec.train.seed,
            calibration=found.calibration,
        )
        tried(folder, ws.spec, rows.labelled.columns, beside=beside)
        return ws.registry.register(
            folder,
            trainer="external",
            digest=folder_digest(folder),
            dataset_id=dataset.id,
            trained_through=found.trained_through or rows.trained_through,
            spec_hash=ws.spec_hash,
            cycle_id=cycle_id,
            seconds=perf_counter() - began,
            notes=[f"Handed in: {submitted.uri}"],
        )


def _adopt_scores(ws: "Workspace", dataset: DatasetVersion, cycle_id: str, uri: str) -> ModelVersion:
    given = _local(uri)
    if given is None or not given.is_file():
        raise ModelError(
            "There is no such file.", where=uri, hint="Name a Parquet or CSV file of this machine."
        )
    kept = ws.place("scores", ws.name) / f"{cycle_id}{given.suffix}"
    shutil.copyfile(given, kept)
    return ws.registry.register(
        None,
        trainer=SCORES,
        uri=str(kept),
        dataset_id=dataset.id,
        spec_hash=ws.spec_hash,
        cycle_id=cycle_id,
        notes=[f"Handed in: {uri}"],
    )


def _fetch(uri: str, folder: Path) -> None:
    """Copy what a URI names into a new folder."""
    local = _local(uri)
    if local is None:
        _fetch_by_mlflow(uri, folder)
    elif local.is_dir():
        shutil.copytree(local, folder, symlinks=True)
    elif local.is_file():
        folder.mkdir()
        shutil.copyfile(local, folder / lightgbm_model.FILE)
    else:
        raise ModelError(
            "There is no such file or folder.",
            where=uri,
            hint="Name a LightGBM text, a model folder, or an MLflow URI (models:/name/1, runs:/...).",
        )


def _local(uri: str) -> Path | None:
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return Path(uri) if not parts.scheme else None


def _fetch_by_mlflow(uri: str, folder: Path) -> None:
    from mlflow.artifacts import download_artifacts

    with TemporaryDirectory(prefix="whorl-fetch-") as fetched:
        try:
            path = Path(download_artifacts(artifact_uri=uri, dst_path=fetched))
        except Exception as error:  # MLflow's stores raise whatever their clients do
            raise ModelError(
                f"MLflow cannot fetch it: {type(error).__name__}: {error}.",
                where=uri,
                hint="Check the URI and MLFLOW_TRACKING_URI, or name a local folder.",
            ) from error
        _fetch(str(path), folder)
