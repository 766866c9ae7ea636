"""Which rows teach more: seldom wrong where neither does, though the holdout alone would say so; and it sees what misleads."""

from collections.abc import Callable

import numpy as np
import pytest

from whorl.stats.arrays import Floats, Indices
from whorl.stats.intervals.estimate import student_quantile
from whorl.stats.learning.taught_difference import taught_difference

ROWS, HOLDOUT = 60, 2000
Losses = Callable[[Indices], Floats]


def least_squares(seed: int, *, misled: int = 0, clusters: int = HOLDOUT) -> Losses:
    """Squared errors after least squares on rows of two equal sources; so many of the first 60 have wrong truths."""
    random = np.random.default_rng(seed)
    slope = np.full(8, 0.5)
    x = random.normal(size=(2 * ROWS, 8))
    y = x @ slope + random.normal(size=2 * ROWS)
    y[:misled] = -y[:misled]
    held = random.normal(size=(HOLDOUT, 8))[np.arange(HOLDOUT) % clusters]
    truth = held @ slope + random.normal(size=HOLDOUT)[np.arange(HOLDOUT) % clusters]

    def losses(rows: Indices) -> Floats:
        fitted = np.linalg.solve(x[rows].T @ x[rows] + np.eye(8), x[rows].T @ y[rows])
        error: Floats = np.square(held @ fitted - truth)
        return error

    return losses


ONE, OTHER = np.arange(ROWS), np.arange(ROWS, 2 * ROWS)


def test_where_neither_teaches_more_it_seldom_says_so() -> None:
    """300 pairs of samples of one source: 95 % intervals miss 0 in about 5 %; those of the holdout alone in most."""
    missed = naive = 0
    for seed in range(300):
        losses = least_squares(seed)
        lead = taught_difference(losses, ONE, OTHER, level=0.95, seed=seed)
        missed += not lead.low <= 0 <= lead.high
        gain = losses(OTHER) - losses(ONE)
        naive += abs(gain.mean()) > student_quantile(0.95, HOLDOUT) * gain.std(ddof=1) / HOLDOUT**0.5
    assert missed / 300 <= 0.06
    assert naive / 300 > 0.4, "the luck of the training rows is most of it"


def test_rows_that_mislead_are_found_out() -> None:
    found = [
        taught_difference(least_squares(seed, misled=40), ONE, OTHER, level=0.95, seed=seed).high < 0
        for seed in range(60)
    ]
    assert np.mean(found) > 0.9


def test_the_other_way_round_is_the_same_difference_turned() -> None:
    losses = least_squares(3, misled=10)
    one, other = (taught_difference(losses, *two, level=0.95) for two in ((ONE, OTHER), (OTHER, ONE)))
    assert one.value == pytest.approx(-other.value)
    assert one.n == other.n == HOLDOUT


def test_holdout_rows_of_one_group_count_together() -> None:
    losses = least_squares(5, clusters=20)
    group = np.arange(HOLDOUT) % 20
    alone, grouped = (taught_difference(losses, ONE, OTHER, level=0.95, group=one) for one in (None, group))
    assert grouped.value == alone.value
    assert grouped.high - grouped.low > alone.high - alone.low


def test_weights_say_how_many_rows_a_holdout_row_stands_for() -> None:
    losses = least_squares(7)
    weight = np.where(np.arange(HOLDOUT) < 10, 1.0, 0.0)
    lead = taught_difference(losses, ONE, OTHER, level=0.95, weight=weight)
    assert lead.value == pytest.approx((losses(OTHER) - losses(ONE))[:10].mean())
    nothing = taught_difference(losses, ONE, OTHER, level=0.95, weight=np.zeros(HOLDOUT))
    assert np.isnan([nothing.value, nothing.low, nothing.high]).all()


def test_empty_sets_are_refused() -> None:
    with pytest.raises(ValueError, match="0 and 60 rows"):
        taught_difference(least_squares(0), ONE[:0], OTHER, level=0.95)
