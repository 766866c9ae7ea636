"""Candidates as strategies see them: what models said, where rows lie among each other, and the rows already trained on."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from whorl.curate.strategies.embedding import Embedding
from whorl.curate.strategies.pool import Pool
from whorl.errors import DigestMismatch, ModelError
from whorl.models.model import Model, load_model
from whorl.records import ModelVersion
from whorl.spec import Spec
from whorl.stats.arrays import Floats, Indices
from whorl.stats.sampling.hashed_uniform import hashed_uniform, keyed_uniform
from whorl.storage import dataset_versions
from whorl.storage.tables import FEATURE
from whorl.workspace import Workspace

LEARNT_FROM = 10_000
WITH_OTHERS = "disagreement"


def pool_of(ws: Workspace, rows: pa.Table, severity: Floats, seed: str) -> Pool:
    """The pool of some examples (n,), with `score` or `scores` and their features."""
    places = _Places(ws, rows)
    classes = _classes(rows, ws.spec)
    return Pool(
        ids=_Texts(rows["id"]),
        probability=logged_probability(rows, ws.spec, classes),
        embedding=places.of,
        others=_others(ws, rows, classes) if ws.spec.curate.strategy == WITH_OTHERS else (),
        labelled=places.labelled if places.known.num_rows else None,
        severity=severity,
        seed=seed,
        keys=rows["draw_key"].to_numpy(),
        truth=places.truth(),
    )


def logged_probability(rows: pa.Table, spec: Spec, classes: list[str]) -> Floats:
    """(n, k) of each class, as it was logged; nan where it was not; k = 0 for a task without classes."""
    if spec.task == "binary":
        positive = rows["score"].cast(pa.float64()).to_numpy()
        inside = np.where((positive >= 0) & (positive <= 1), positive, np.nan)
        return np.column_stack([1 - inside, inside])
    if spec.task != "multiclass":
        return np.zeros((rows.num_rows, 0))
    place = {name: column for column, name in enumerate(classes)}
    said = np.full((rows.num_rows, len(classes)), np.nan)
    for row, scores in enumerate(rows["scores"].to_pylist()):
        if scores:
            said[row] = 0.0
            for name, value in scores:
                said[row, place[name]] = value
    return said


def _classes(rows: pa.Table, spec: Spec) -> list[str]:
    if spec.task != "multiclass":
        return []
    return sorted({name for scores in rows["scores"].to_pylist() for name, _ in scores or ()})


def _others(ws: Workspace, rows: pa.Table, classes: list[str]) -> tuple[Floats, ...]:
    """What the last challenger and the previous champion say of the rows, where they can still be asked."""
    champion, previous = ws.registry.champion(), ws.registry.previous()
    newest = ws.registry.versions()[-1:]
    asked = {version.id: version for version in (*newest, previous) if version is not None}
    asked.pop(champion.id if champion else "", None)
    models = [model for version in asked.values() if (model := readable_model(ws, version)) is not None]
    features = rows.select([FEATURE + name for name in ws.spec.features]).rename_columns(
        list(ws.spec.features)
    )
    return tuple(_said(model, features, classes) for model in models)


def readable_model(ws: Workspace, version: ModelVersion | None) -> Model | None:
    """A version's model; None when it is not ours to ask, or was made for another spec. Raises DigestMismatch."""
    if version is None or not version.digest:
        return None
    try:
        return load_model(ws.registry.path(version), version.digest, ws.spec, beside=ws.beside)
    except DigestMismatch:
        raise
    except ModelError:
        return None


def _said(model: Model, features: pa.Table, classes: list[str]) -> Floats:
    said = model.predict(features)
    if said.ndim == 1:
        return np.column_stack([1 - said, said])
    names = [str(name) for name in model.manifest.classes]
    blank = np.zeros(len(said))
    return np.column_stack([said[:, names.index(name)] if name in names else blank for name in classes])


class _Texts(Sequence[str]):
    """A column of texts, which become Python's when they are asked for."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        self._column = column

    def __len__(self) -> int:
        return len(self._column)

    def __getitem__(self, place: Any) -> Any:
        return self._texts[place]

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    @cached_property
    def _texts(self) -> list[str]:
        return cast("list[str]", self._column.to_pylist())


class _Places:
    """Where rows lie among each other; learnt from some of them when first asked for."""

    def __init__(self, ws: Workspace, rows: pa.Table) -> None:
        self._spec, self._rows = ws.spec, rows
        self.known = _trained_on(ws)

    def of(self, rows: Indices) -> Floats:
        return self._embedding.places(columns(self._rows.take(pa.array(rows)), self._spec))

    def labelled(self) -> Floats:
        return self._embedding.places(columns(self.known, self._spec))

    def truth(self) -> Indices | None:
        if not self.known.num_rows or self._spec.task == "regression":
            return None
        codes: Indices = self.known["label"].combine_chunks().dictionary_encode().indices.to_numpy()
        return codes.astype(np.intp)

    @cached_property
    def _embedding(self) -> Embedding:
        lots = keyed_uniform(self._rows["draw_key"].to_numpy(), "embedding")
        some = self._rows.take(pa.array(np.argsort(lots)[:LEARNT_FROM]))
        texts = frozenset(
            FEATURE + name for name, feature in self._spec.features.items() if feature.type == "text"
        )
        return Embedding(columns(some, self._spec), texts)


def columns(rows: pa.Table, spec: Spec) -> dict[str, npt.NDArray[np.generic]]:
    """Features of examples as arrays: numbers as float64 with nan, everything else as objects with None."""
    found: dict[str, npt.NDArray[np.generic]] = {}
    for name in spec.features:
        column = rows[FEATURE + name]
        number = pa.types.is_floating(column.type) or pa.types.is_integer(column.type)
        found[FEATURE + name] = (
            column.cast(pa.float64()).to_numpy() if number else np.array(column.to_pylist(), dtype=object)
        )
    return found


def _trained_on(ws: Workspace) -> pa.Table:
    """Features and labels of rows of the last training dataset, some of them when there are many; no rows where there is none."""
    made = [one for one, _ in dataset_versions.versions(ws.ledger, ws.name) if one.name == "training"]
    if not made or not Path(made[-1].path).exists():
        return pa.table({})
    stored = pq.read_table(made[-1].path)
    if set(ws.spec.features) - set(stored.column_names):
        return pa.table({})
    rows = stored.filter(pc.field("role") == "labelled")
    lots = hashed_uniform(rows["id"].to_pylist(), "labelled")
    some = rows.take(np.sort(np.argsort(lots)[:LEARNT_FROM])).select([*ws.spec.features, "label"])
    return some.rename_columns([*(FEATURE + name for name in ws.spec.features), "label"])
