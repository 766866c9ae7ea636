"""A figure that is looked at after every few rows: bounds for one look are left sooner or later, these are not."""

import numpy as np

from whorl.stats.intervals.asymptotic_sequence import always_valid
from whorl.stats.intervals.estimate import Estimate
from whorl.stats.intervals.interval import interval


def test_the_true_mean_stays_inside_at_every_look() -> None:
    rng, left, left_by_one_look = np.random.default_rng(4), 0, 0
    for _ in range(300):
        truth = rng.random(1500) < 0.5
        looks = [interval("accuracy", truth[:n], np.full(n, 0.9)) for n in range(50, 1501, 50)]
        left_by_one_look += any(not found.low <= 0.5 <= found.high for found in looks)
        left += any(not found.low <= 0.5 <= found.high for found in map(always_valid, looks))
    assert left_by_one_look > 60
    assert left <= 15


def test_a_handful_of_rows_has_no_bounds() -> None:
    found = always_valid(Estimate(0.5, 0.2, 0.8, 12))
    assert np.isnan([found.low, found.high]).all()


def test_undefined_bounds_stay_undefined() -> None:
    assert np.isnan(always_valid(Estimate(0.5, np.nan, np.nan, 100)).low)
