"""What champion and challenger say about the same rows.

A model of ours predicts them anew. A champion that was trained elsewhere is taken at its logged word; a challenger that
was scored elsewhere, at the scores it handed in. Rows that one side did not answer are left out for both, and counted.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from whorl.errors import ModelError
from whorl.evaluate.rows import JudgedRows
from whorl.models.model import load_model
from whorl.records import ModelVersion
from whorl.workspace import Workspace

Floats = npt.NDArray[np.float64]
SCORED_ELSEWHERE = "scores"


def predictions_of(ws: Workspace, version: ModelVersion, rows: JudgedRows) -> Floats:
    """(n,) or (n, k) in the order of `rows.classes`; nan where the side did not answer."""
    if version.trainer == SCORED_ELSEWHERE:
        return _handed_in(Path(version.uri), rows, ws.spec.task)
    if not version.digest:
        return _logged(version.uri, rows, ws.spec.task)
    model = load_model(ws.registry.path(version), version.digest, ws.spec, beside=ws.beside)
    predicted = model.predict(rows.features(ws.spec))
    if ws.spec.task != "multiclass":
        return predicted
    return _in_order(predicted, tuple(str(name) for name in model.manifest.classes), rows.classes)


def logged_champion(ws: Workspace, rows: JudgedRows, version: str | None) -> Floats | None:
    """The scores that the model serving today has logged; None when no row has one.

    Args:
        version: How the records name it; None: whatever answered.
    """
    said = _logged(version, rows, ws.spec.task)
    return None if missing(said).all() else said


def missing(said: Floats) -> npt.NDArray[np.bool_]:
    """Rows (n,) that a side did not answer."""
    return np.isnan(said if said.ndim == 1 else said.sum(axis=1))


def _in_order(predicted: Floats, of: tuple[str, ...], wanted: tuple[str, ...]) -> Floats:
    """Columns for every class in the truth, then for those only the model knows: nothing it gave away is dropped."""
    columns = [predicted[:, of.index(name)] if name in of else np.zeros(len(predicted)) for name in wanted]
    others = [predicted[:, position] for position, name in enumerate(of) if name not in wanted]
    return np.stack([*columns, *others], axis=1)


def _logged(version: str | None, rows: JudgedRows, task: str) -> Floats:
    logged = np.array(rows.table["model_version"].to_pylist(), dtype=object)
    said = _said(rows.table, rows.classes, task)
    if version is not None:
        said[logged != version] = np.nan
    return said


def _handed_in(path: Path, rows: JudgedRows, task: str) -> Floats:
    try:
        scores = pa.csv.read_csv(path) if path.suffix == ".csv" else pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise ModelError(
            f"The scores cannot be read: {error}.", where=str(path), hint="Hand in Parquet or CSV."
        ) from error
    needed = "scores" if task == "multiclass" else "score"
    if not {"id", needed} <= set(scores.column_names):
        found = ", ".join(scores.column_names)
        raise ModelError(
            f"The scores have the columns {found}.", where=str(path), hint=f"They need id and {needed}."
        )
    ids = scores["id"].cast(pa.string()).combine_chunks()
    if len(ids.unique()) < len(ids):
        raise ModelError("Some ids have several scores.", where=str(path), hint="Hand in one row an id.")
    place = pc.index_in(rows.table["id"].cast(pa.string()), value_set=ids)
    return _said(scores.take(place), rows.classes, task)


def _said(table: pa.Table, classes: tuple[str, ...], task: str) -> Floats:
    if task != "multiclass":
        score = table["score"].combine_chunks().cast(pa.float64())
        return np.array(score.to_numpy(zero_copy_only=False), dtype=np.float64)
    said = np.full((table.num_rows, len(classes)), np.nan)
    for position, scores in enumerate(table["scores"].to_pylist()):
        if scores:
            given = dict(scores)
            said[position] = [given.get(name, 0.0) for name in classes]
    return said
