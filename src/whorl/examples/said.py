"""What was answered for examples, what came true, and whose they are, as arrays."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from whorl.spec import Spec
from whorl.stats.arrays import Floats


def said_and_true(rows: pa.Table, spec: Spec) -> tuple[Floats, Floats]:
    """Logged predictions (n,) or (n, k) and truth (n,) of answered rows; truth is nan where no label is known.

    Classes are those of the scores and of the labels, sorted; a class that a row does not name has probability 0.
    """
    labels = rows["label"].to_pylist()
    if spec.task != "multiclass":
        truth = [np.nan if label is None else float(label) for label in labels]
        score = rows["score"].cast(pa.float64()).to_numpy(zero_copy_only=False)
        return np.asarray(score, dtype=np.float64), np.array(truth, dtype=np.float64)
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
    by = zip(rows["group_id"].to_pylist(), rows["id"].to_pylist(), strict=True)
    return np.array([group if group is not None else id for group, id in by], dtype=object)
