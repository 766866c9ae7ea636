"""Which values of a category feature a model is told apart; the others go where missing values go."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from whorl.models.columns import texts
from whorl.stats.arrays import Floats

LEAST_ROWS = 5.0


def common_levels(values: pa.ChunkedArray, weight: Floats) -> list[str | None]:
    """Values with at least 5 rows, sorted, null last; a row counts its weight and at most 1.

    So neither a heavy row makes its rare value common, nor rows that have faded.

    >>> common_levels(pa.chunked_array([["b"] * 5 + ["a"] * 6 + ["z"]]), np.ones(12))
    ['a', 'b']
    """
    encoded = pc.dictionary_encode(texts(values), null_encoding="encode").combine_chunks()
    counts = np.bincount(
        encoded.indices.to_numpy(), np.minimum(weight, 1.0), minlength=len(encoded.dictionary)
    )
    kept = [
        level
        for level, count in zip(encoded.dictionary.to_pylist(), counts, strict=True)
        if count >= LEAST_ROWS
    ]
    return sorted(kept, key=lambda level: (level is None, level or ""))
