"""What was answered for examples, what came true, and whose they are, as arrays."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from whorl.spec import Spec
from whorl.stats.arrays import Floats


def said_and_true(rows: pa.Table, spec: Spec) -> tuple[Floats, Floats]:
    """Logged predictions (n,) or (n, k) and truth (n,) of answered rows; truth is nan where no label is known.

    Classes are those of the scores and of the labels, sorted; a class that a row does not name has probability 0.
    """
    if spec.task != "multiclass":
        return numbers(rows["score"]), numbers(rows["label"])
    labels = rows["label"].to_pylist()
    given = [dict(scores) for scores in rows["scores"].to_pylist()]
    classes = sorted(
        {name for scores in given for name in scores} | {name for name in labels if name is not None}
    )
    place = {name: number for number, name in enumerate(classes)}
    said = np.zeros((len(given), len(classes)))
    for row, scores in enumerate(given):
        for name, probability in scores.items():
            said[row, place[name]] = probability
    return said, np.array([np.nan if label is None else place[label] for label in labels], dtype=np.float64)


def groups_of(rows: pa.Table) -> npt.NDArray[np.object_]:
    """Whose each row is (n,): its group, else its id. Rows of one group are not independent."""
    whose = pc.coalesce(rows["group_id"], rows["id"])
    return np.array(whose.to_numpy(zero_copy_only=False), dtype=object)


def numbers(column: pa.ChunkedArray) -> Floats:
    """A column as floats (n,), true as 1; null is nan."""
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    values = column.cast(pa.float64()).combine_chunks()
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.float64)
