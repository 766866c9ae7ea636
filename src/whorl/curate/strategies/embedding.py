"""Places of rows in which near ones are alike, made of plain columns: texts, categories, numbers.

Texts and categories become hashed, idf-weighted terms, reduced by a truncated SVD (latent semantic analysis) to unit
length; numbers are standardised. No model and no truth takes part.

Source: Deerwester et al. (1990), "Indexing by latent semantic analysis", JASIS 41:391-407.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from whorl.stats.arrays import Floats

DIMENSIONS = 100
_HASHED = 2**15
Columns = Mapping[str, npt.NDArray[Any]]


class Embedding:
    """How columns become places, learnt from some rows.

    Args:
        columns: (n,) each, n at least 1. Integers and floats are numbers (nan is missing); all others are categories, or texts.
        texts: Names of those that are free text.

    >>> rows = {"amount": np.array([1.0, 1.1, 9.0]), "place": np.array(["a", "a", "b"], dtype=object)}
    >>> at = Embedding(rows).places(rows)
    >>> bool(np.linalg.norm(at[0] - at[1]) < np.linalg.norm(at[0] - at[2]))
    True
    """

    def __init__(self, columns: Columns, texts: frozenset[str] = frozenset()) -> None:
        self._texts = texts
        self._scales = {
            name: _scale(column) for name, column in columns.items() if column.dtype.kind in "iuf"
        }
        self._terms = [name for name in columns if name not in self._scales]
        self._reduction = Reduction(self._counts(columns)) if self._terms else None

    def places(self, columns: Columns) -> Floats:
        """Places (n, d) of rows with the same columns; d is 1 where there is no column."""
        parts = [_standardised(columns[name], *scale)[:, None] for name, scale in self._scales.items()]
        if self._reduction is not None:
            parts.append(self._reduction.places(self._counts(columns)) * np.sqrt(len(self._terms)))
        n = len(next(iter(columns.values()))) if columns else 0
        return np.hstack(parts) / np.sqrt(len(parts)) if parts else np.zeros((n, 1))

    def _counts(self, columns: Columns) -> sp.csr_array[Any]:
        from sklearn.feature_extraction.text import HashingVectorizer

        blocks = []
        for name in self._terms:
            how: dict[str, Any] = {} if name in self._texts else {"analyzer": _whole}
            hashing = HashingVectorizer(n_features=_HASHED, alternate_sign=False, norm=None, **how)
            told = ["" if value is None else str(value) for value in columns[name].tolist()]
            blocks.append(hashing.transform(told))
        return sp.csr_array(sp.hstack(blocks))


class Reduction:
    """Counts or weights of terms (n, columns) in 100 dimensions at most: idf, truncated SVD, unit length."""

    def __init__(self, counts: sp.csr_array[Any]) -> None:
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfTransformer

        self._seen = np.flatnonzero(np.diff(sp.csc_array(counts).indptr))
        self._idf = TfidfTransformer().fit(counts[:, self._seen])
        enough = min(counts.shape[0], len(self._seen)) > DIMENSIONS + 1
        self._svd = TruncatedSVD(DIMENSIONS, random_state=0) if enough else None
        if self._svd is not None:
            self._svd.fit(self._idf.transform(counts[:, self._seen]))

    def places(self, counts: sp.csr_array[Any]) -> Floats:
        """Places (n, d), of unit length; 0 for a row without a known term."""
        weighted = self._idf.transform(counts[:, self._seen])
        place = weighted.toarray() if self._svd is None else self._svd.transform(weighted)
        length = np.linalg.norm(place, axis=1, keepdims=True)
        unit: Floats = place / np.where(length > 0, length, 1.0)
        return unit


def _scale(column: npt.NDArray[Any]) -> tuple[float, float]:
    """Mean and standard deviation of what is known, at most as large as the largest value of it."""
    known = column[np.isfinite(column)].astype(np.float64)
    if not len(known):
        return 0.0, 1.0
    # By a power of two, which rounds nothing: sums and squares of values near 1e308 overflow.
    _, power = np.frexp(np.abs(known).max())
    small = np.ldexp(known, -power)
    return float(np.ldexp(small.mean(), power)), float(np.ldexp(small.std(), power)) or 1.0


def _standardised(column: npt.NDArray[Any], mean: float, spread: float) -> Floats:
    """In standard deviations, three at most: one wild value is no place of its own."""
    with np.errstate(over="ignore"):
        # In halves: the difference of two values near 1e308 overflows.
        placed = np.clip((column.astype(np.float64) / 2 - mean / 2) / spread * 2, -3, 3)
    return np.where(np.isfinite(column), placed, 0.0)


def _whole(value: str) -> list[str]:
    return [value]
