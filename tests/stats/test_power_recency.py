"""Weights that prefer no time scale: their proportions are the same at every size, and whatever the unit of age."""

import numpy as np
import pytest

from whorl.stats.learning.power_recency import YOUNGEST, power_recency


def test_four_times_as_many_younger_rows_halve_a_weight_at_every_scale() -> None:
    weight = power_recency(np.arange(64_000.0))
    for rank in (1000, 4000, 16_000):
        assert weight[4 * rank - 1] == pytest.approx(weight[rank - 1] / 2)
    assert weight.mean() == pytest.approx(1)


def test_only_the_order_of_ages_counts() -> None:
    age = np.random.default_rng(0).exponential(size=3000)
    assert np.array_equal(power_recency(age), power_recency(1000 * age**2 + 5))


def test_few_rows_and_rows_of_one_age_weigh_alike() -> None:
    assert set(power_recency(np.arange(float(YOUNGEST)))) == {1.0}
    assert power_recency(np.full(5000, 3.0)) == pytest.approx(1.0)
    assert power_recency(np.empty(0)).tolist() == []


def test_an_age_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="1 of 2 ages are not numbers"):
        power_recency(np.array([1.0, np.nan]))


def test_after_a_change_the_weighted_mean_is_nearer_to_the_new_level_whenever_it_came() -> None:
    """What it costs while nothing changes: 20,000 rows are worth 0.72 of themselves, 100,000 0.59."""
    n = 20_000
    weight = power_recency(np.arange(n, dtype=float))
    for since in (1000, 5000, 15_000):
        new = np.arange(n) < since
        assert (weight * new).sum() / n > new.mean() * 1.1
    assert weight.sum() ** 2 / (weight**2).sum() == pytest.approx(0.72 * n, rel=0.01)
