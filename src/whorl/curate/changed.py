"""How far a model's answers are from those that were logged for the same rows: what changed since it served."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from whorl.models.model import Model
from whorl.spec import Spec
from whorl.stats.arrays import Floats
from whorl.storage.tables import FEATURE


def change(rows: pa.Table, model: Model, spec: Spec) -> Floats:
    """One number a row (n,), at least 0; nan where no answer was logged.

    Regression: the absolute difference. Otherwise the total variation distance of the probabilities, in [0, 1]: the
    largest difference in the probability of any set of classes; for two classes, in that of either.
    """
    features = rows.select([FEATURE + name for name in spec.features]).rename_columns(list(spec.features))
    said = model.predict(features)
    if spec.task != "multiclass":
        return np.abs(_numbers(rows["score"]) - said)
    logged = np.column_stack([_of_class(rows["scores"], str(name)) for name in model.manifest.classes])
    of_others = 1 - logged.sum(axis=1)
    distance: Floats = (np.abs(logged - said).sum(axis=1) + np.abs(of_others)) / 2
    return distance


def _of_class(scores: pa.ChunkedArray, name: str) -> Floats:
    """What the map of each row gives to a class: 0 when it is not in it, nan when there is no map."""
    given = pc.map_lookup(scores, pa.scalar(name), "first").fill_null(0.0)
    return np.where(pc.is_null(scores).to_numpy(zero_copy_only=False), np.nan, _numbers(given))


def _numbers(column: pa.ChunkedArray) -> Floats:
    values: Floats = column.cast(pa.float64()).to_numpy()
    return values
