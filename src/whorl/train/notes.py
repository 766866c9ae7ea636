"""What is odd about training rows, and no reason to stop: said beside the model version."""

import numpy as np
import pyarrow.compute as pc

from whorl.spec import Spec
from whorl.train.rows import DatasetRows

_FEW = 20


def notes_on(rows: DatasetRows, spec: Spec) -> list[str]:
    """Features that hold nothing or one value, and classes with fewer than 20 rows."""
    notes = []
    for name in spec.features:
        values = rows.labelled.columns[name]
        if values.null_count == len(values):
            notes.append(f"Feature '{name}' is null in every labelled row: it teaches nothing.")
        elif pc.count_distinct(values, mode="all").as_py() == 1:
            notes.append(f"Feature '{name}' has one value in every labelled row: it teaches nothing.")
    for place, class_name in enumerate(rows.classes):
        count = int(np.sum(rows.labelled.target == place))
        if count < _FEW:
            notes.append(f"Class {class_name!r} has {count} labelled rows: expect little of it.")
    return notes
