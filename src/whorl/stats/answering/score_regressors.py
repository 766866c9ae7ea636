"""What a model's answers say of where it may be wrong, as a few numbers a row: how sure it is, and what it says."""

import numpy as np
import numpy.typing as npt

from whorl.stats.arrays import Floats


def score_regressors(prediction: npt.ArrayLike) -> Floats:
    """Regressors (n, k) of about unit size for the errors of probabilities.

    Args:
        prediction: (n,) probability of the positive class: how sure (-1/2 to 1/2), and which class (-1 or 1). (n, c) of the
            classes: how sure.

    >>> score_regressors([0.5, 0.9, 0.2]).round(3).tolist()
    [[-0.5, 1.0], [0.3, 1.0], [0.1, -1.0]]
    >>> score_regressors([[0.25, 0.75], [1.0, 0.0]]).tolist()
    [[0.25], [0.5]]
    """
    p = np.asarray(prediction, dtype=np.float64)
    if p.ndim == 2:
        sure: Floats = p.max(axis=1, initial=0.0)[:, None] - 0.5
        return sure
    return np.column_stack([np.abs(2 * p - 1) - 0.5, np.where(p >= 0.5, 1.0, -1.0)])


def number_regressors(prediction: npt.ArrayLike, among: npt.ArrayLike) -> Floats:
    """Regressors (n, 1) for the errors of predicted numbers: by how many standard deviations of `among` they lie off its mean.

    Where `among` does not vary, or is empty: 0.

    >>> number_regressors([1.0, 4.0], [0.0, 2.0]).tolist(), number_regressors([1.0], [3.0, 3.0]).tolist()
    ([[0.0], [3.0]], [[0.0]])
    """
    p, all_ = np.asarray(prediction, dtype=np.float64), np.asarray(among, dtype=np.float64)
    spread = float(all_.std()) if len(all_) else 0.0
    off = (p - all_.mean()) / spread if spread > 0 else np.zeros(len(p))
    return np.asarray(off, dtype=np.float64)[:, None]
