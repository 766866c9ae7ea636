"""Truths still to come: the share that was simulated, whatever the ages of the rows it is seen on."""

import numpy as np
import pytest
from scipy.stats import CensoredData, ecdf

from whorl.stats.delay.still_to_come import chance_to_come, stands_for


def rows(seed: int, n: int, comes: float) -> tuple[np.ndarray, np.ndarray]:
    """Delays, nan where not come by now, and ages up to 30: those that come do so after 2 days on average."""
    random = np.random.default_rng(seed)
    age, delay = random.uniform(0, 30, n), random.exponential(2.0, n)
    came = (random.random(n) < comes) & (delay <= age)
    return np.where(came, delay, np.nan), age


def test_it_is_what_the_product_limit_estimator_of_scipy_says() -> None:
    delay, age = rows(0, 400, 0.6)
    came = ~np.isnan(delay)
    curve = ecdf(CensoredData(uncensored=delay[came], right=age[~came])).sf
    at = np.array([0.0, 0.5, 1.7, 6.0])
    expected = (
        1
        - curve.probabilities[-1]
        / np.concatenate([[1.0], curve.probabilities])[np.searchsorted(curve.quantiles, at, side="right")]
    )
    assert chance_to_come(delay, age, at) == pytest.approx(expected)


def test_of_rows_open_at_an_age_so_many_come_later() -> None:
    found = np.mean([chance_to_come(*rows(seed, 2000, 0.6), [0.0, 2.0, 6.0]) for seed in range(50)], axis=0)
    left = 0.6 * np.exp(-np.array([0.0, 2.0, 6.0]) / 2)
    assert found == pytest.approx(left / (left + 0.4), abs=0.015)


def test_where_all_come_or_none_it_is_certain() -> None:
    assert chance_to_come([1.0, 2.0], [9.0, 9.0], [0.0, 1.5, 5.0]).tolist() == [1.0, 1.0, 1.0]
    assert chance_to_come([np.nan], [9.0], [0.0]).tolist() == [0.0]
    assert chance_to_come([], [], [3.0]).tolist() == [0.0]


@pytest.mark.parametrize("comes", [0.0, 0.4, 1.0])
def test_asked_rows_and_those_that_come_by_themselves_add_up_to_all_without_bias(comes: float) -> None:
    random, n = np.random.default_rng(0), 400
    chance = random.uniform(0.05, 0.6, n)
    value = (random.random(n) < chance).astype(float)
    totals = []
    for _ in range(2000):
        by_itself, asked = random.random(n) < comes, random.random(n) < chance
        weight = stands_for(chance[asked], np.full(asked.sum(), comes))
        totals.append(value[asked] @ weight + value[by_itself & ~asked].sum())
    assert abs(np.mean(totals) - value.sum()) <= 3 * np.std(totals) / np.sqrt(2000)
