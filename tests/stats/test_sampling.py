"""Unequal-probability picks: chances add up, and picks come as often as they should."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats

from whorl.stats.sampling.hashed_uniform import hashed_uniform, keyed_uniform
from whorl.stats.sampling.inclusion import inclusion_probabilities, systematic_sample

SIZES = arrays.arrays(np.float64, st.integers(0, 40), elements=st.one_of(st.just(0.0), st.floats(1e-6, 1e6)))


@settings(max_examples=100, deadline=None)
@given(SIZES, st.integers(0, 50))
def test_chances_add_up_to_the_budget_and_follow_size(size: Any, budget: int) -> None:
    chance = inclusion_probabilities(size, budget)
    assert chance.sum() == pytest.approx(min(budget, np.count_nonzero(size)))
    assert ((chance >= 0) & (chance <= 1)).all()
    assert (chance[size == 0] == 0).all()
    order = np.argsort(size)
    assert (np.diff(chance[order]) >= -1e-12).all()
    if 0 < budget < np.count_nonzero(size):
        below = (chance < 1) & (size > 0)
        assert (
            np.ptp(chance[below] / size[below]) <= 1e-9 * (chance[below] / size[below]).max()
            if below.any()
            else True
        )


@settings(max_examples=100, deadline=None)
@given(SIZES, st.integers(0, 50), st.text(max_size=5))
def test_the_sample_has_the_size_of_the_budget_and_holds_every_certain_row(
    size: Any, budget: int, seed: str
) -> None:
    chance = inclusion_probabilities(size, budget)
    picked = systematic_sample(chance, hashed_uniform(map(str, range(len(size))), "order"), seed)
    assert len(picked) == min(budget, np.count_nonzero(size))
    assert len(set(picked.tolist())) == len(picked)
    assert set(np.flatnonzero(chance == 1)) <= set(picked.tolist())
    assert (chance[picked] > 0).all()


def worst_deviation(frequency: Any, chance: Any, draws: int) -> float:
    """Largest |picked share - chance| over its standard error, over rows that are not certain."""
    open_rows = (chance > 0) & (chance < 1)
    gap, p = np.abs(frequency - chance)[open_rows], chance[open_rows]
    return float((gap / np.sqrt(p * (1 - p) / draws)).max())


def test_each_row_is_picked_as_often_as_its_chance_says() -> None:
    random = np.random.default_rng(0)
    chance, key, draws = inclusion_probabilities(random.pareto(1.2, 60), 12), random.random(60), 4000
    counts = np.zeros(60)
    for draw in range(draws):
        counts[systematic_sample(chance, key, f"draw {draw}")] += 1
    assert worst_deviation(counts / draws, chance, draws) < 4.5

    largest_first = (chance >= np.sort(chance)[-12]).astype(float)
    assert worst_deviation(largest_first, chance, draws) > 4.5


def test_picks_follow_ids_and_not_the_rows_order() -> None:
    ids = np.array([f"txn_{i}" for i in range(500)])
    chance = inclusion_probabilities(np.arange(500.0), 40)
    shuffle = np.random.default_rng(0).permutation(500)
    here = ids[systematic_sample(chance, hashed_uniform(ids, "order"), "cycle-7")]
    there = ids[shuffle][systematic_sample(chance[shuffle], hashed_uniform(ids[shuffle], "order"), "cycle-7")]
    assert set(here) == set(there)
    assert set(here) != set(ids[systematic_sample(chance, hashed_uniform(ids, "order"), "cycle-8")])


def test_a_meaningful_key_spreads_the_sample_evenly() -> None:
    segment = np.repeat(np.arange(10), 100)
    picked = systematic_sample(np.full(1000, 0.05), segment, "s")
    assert np.bincount(segment[picked]).tolist() == [5] * 10


@pytest.mark.parametrize("size", [[-1.0, 2.0], [math.nan, 1.0], [math.inf, 1.0]])
def test_bad_sizes_and_probabilities_are_refused(size: list[float]) -> None:
    with pytest.raises(ValueError, match="finite and not negative"):
        inclusion_probabilities(size, 1)
    with pytest.raises(ValueError, match="lie in"):
        systematic_sample(size, [0.1, 0.2], "s")


def test_hashes_are_uniform_and_independent_between_seeds_and_stable() -> None:
    ids = [f"id-{i}" for i in range(50_000)]
    one, two = hashed_uniform(ids, "a"), hashed_uniform(ids, "b")
    assert stats.kstest(one, "uniform").pvalue > 0.001
    assert abs(np.corrcoef(one, two)[0, 1]) < 0.02
    assert abs(np.corrcoef(one[1:], one[:-1])[0, 1]) < 0.02
    assert ((one >= 0) & (one < 1)).all()
    assert hashed_uniform(["größe", ""], "s").tolist() == hashed_uniform(iter(["größe", ""]), "s").tolist()
    assert hashed_uniform([], "s").shape == (0,)


def test_numbers_that_belong_to_ids_are_uniform_and_apart_between_seeds() -> None:
    keys = np.arange(100_000, dtype=np.uint64)
    one, other = keyed_uniform(keys, "order"), keyed_uniform(keys, "chance")
    assert stats.kstest(one, "uniform").pvalue > 0.01
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.01
    assert abs(np.corrcoef(one[1:], one[:-1])[0, 1]) < 0.01
    assert np.array_equal(one[::-1], keyed_uniform(keys[::-1], "order"))
