"""Weights that make rows with known truth stand for all rows: those whose truth is not known yet, and the hidden ones.

Datasets, gates and the monitor weigh by these; what they are for is in docs/truth.md.
"""

import numpy as np
import pyarrow as pa

from whorl.spec import Spec
from whorl.stats.arrays import Floats
from whorl.stats.label_delay import DelayCurves, inverse_known_weights, relative_to_horizon
from whorl.storage.tables import FEATURE

# One row may stand for at most this many: a larger weight buys no accuracy, only variance.
MAX_WEIGHT = 100.0


def late_truth_weight(rows: pa.Table, known: pa.Table, spec: Spec) -> Floats:
    """One over the chance (n,) that a truth such as this row's is known at its age; 1 where delay = 'none'.

    Args:
        rows: Examples with `label`, `age_days` and the horizon's feature.
        known: Examples whose label came by itself, from which the delays are learnt; without any, all weigh 1.
    """
    labels = [str(label) for label in rows["label"].to_pylist()]
    code = {name: place for place, name in enumerate(sorted(set(labels)))}
    known = known.filter(pa.array([str(label) in code for label in known["label"].to_pylist()], pa.bool_()))
    if spec.labels.delay == "none" or not labels or not len(known):
        return np.ones(len(labels))
    delay, age = _relative(known, "delay_days", spec), _relative(known, "age_days", spec)
    curves = DelayCurves.fit(
        [code[str(label)] for label in known["label"].to_pylist()],
        np.minimum(delay, age),
        age,
        classes=len(code),
    )
    return inverse_known_weights([code[name] for name in labels], _relative(rows, "age_days", spec), curves)


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
    return np.minimum(late * _numbers(rows["exploration"]), MAX_WEIGHT)


def _relative(table: pa.Table, column: str, spec: Spec) -> Floats:
    """Days, or shares of the row's horizon; never below 0."""
    days = np.maximum(_numbers(table[column]), 0.0)
    if spec.labels.horizon is None:
        return days
    return relative_to_horizon(days, _numbers(table[FEATURE + spec.labels.horizon]))


def _numbers(column: pa.ChunkedArray) -> Floats:
    values = column.cast(pa.float64()).combine_chunks()
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.float64)
