"""Weights that make rows with known truth stand for all rows: those whose truth is not known yet, and the hidden ones.

Datasets, gates and the monitor weigh by these; what they are for is in docs/truth.md.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from whorl.examples.late_truth import LateTruth, relative_days
from whorl.examples.said import numbers
from whorl.spec import Spec
from whorl.stats.arrays import Floats

# One row may stand for at most this many: a larger weight buys no accuracy, only variance.
MAX_WEIGHT = 100.0


def late_truth_weight(rows: pa.Table, late: LateTruth, spec: Spec) -> Floats:
    """One over the chance (n,) that a truth such as this row's is known at its age; 0 where that of some class hardly is.

    All weigh 1 where delays are not modelled, or nothing tells of them.

    Args:
        rows: Examples with `label`, `age_days` and the horizon's feature.
    """
    if late.delays is None:
        return np.ones(len(rows))
    place = pc.index_in(rows["label"].cast(pa.string()), value_set=pa.array(late.delays.names, pa.string()))
    # A class of which no truth came by itself was asked for.
    label = place.fill_null(0).to_numpy()
    weight = late.delays.known.weights(label, relative_days(rows, "age_days", spec))
    return np.where(pc.is_null(place).to_numpy(), 1.0, weight)


def exploration(spec: Spec) -> str:
    """SQL over examples: one over the propensity of a row that was let through, which stands for those that were hidden.

    A row whose action hid the truth, but whose truth came all the same, stands for itself: the propensity of its action is
    not the chance that its truth came.
    """
    if not spec.schema.censored:
        return "1.0"
    return "CASE WHEN propensity > 0 AND NOT censored THEN 1 / propensity ELSE 1.0 END"


def judging_weight(late: Floats, rows: pa.Table) -> Floats:
    """Weights by late truth (n,) times the rows' column `exploration`, `MAX_WEIGHT` at most."""
    return np.minimum(late * numbers(rows["exploration"]), MAX_WEIGHT)


def standing_for(stands_for: Floats, weight: Floats, rows: pa.Table) -> Floats:
    """Weights (n,) where people were asked: by how many rows each stands for, times `exploration`; nan: its ordinary weight.

    Those are known, not modelled: no largest weight cuts them.
    """
    return np.where(np.isnan(stands_for), weight, stands_for * numbers(rows["exploration"]))
