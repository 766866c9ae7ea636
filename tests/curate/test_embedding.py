"""Places of rows: finite for whatever finite numbers a feature has."""

import numpy as np
import pytest

from whorl.curate.strategies.embedding import Embedding

BIG, TINY = float(np.finfo(np.float64).max), 5e-324


@pytest.mark.parametrize(
    "values",
    [
        [1.0, 2.0, 1e308], [BIG] * 4, [BIG, -BIG], [BIG, -BIG, 0.0, np.nan, np.inf], [TINY, 0.0], [BIG, TINY, -TINY],
        [1e-200, 2e-200, 3e-200], [BIG, BIG * 0.999, -1.0], [np.nan, -np.inf],
    ],
)  # fmt: skip
def test_places_are_finite_whatever_the_numbers(values: list[float]) -> None:
    rows = {"amount": np.array(values)}
    assert np.isfinite(Embedding(rows).places(rows)).all()
    assert np.isfinite(Embedding({"amount": np.array([0.0, TINY])}).places(rows)).all()


def test_standard_deviations_are_those_of_numbers_of_ordinary_size() -> None:
    values = np.random.default_rng(0).normal(5, 3, 400)
    plain = np.clip((values - values.mean()) / values.std(), -3, 3)[:, None]
    for size in (1.0, 2.0**1019, 2.0**-900):
        rows = {"amount": values * size}
        assert np.array_equal(Embedding(rows).places(rows), plain), size
