"""Looking often and waiting for more rows: the error budget holds by simulation, and needed rows give the stated power."""

import math

import numpy as np
import pytest
from scipy import stats

from whorl.stats.intervals.error_budget import alpha_at, level_at
from whorl.stats.intervals.estimate import Estimate
from whorl.stats.intervals.needed_rows import needed_rows
from whorl.stats.intervals.paired_difference import paired_difference

RUNS = 4000


def false_promotions(levels: list[float]) -> float:
    """Share of flywheels that ever promote one of many challengers, none of them better, on one frozen holdout."""
    random = np.random.default_rng(5)
    quantile = stats.t.ppf([0.5 + level / 2 for level in levels], df=99)
    promoted = 0
    for _ in range(RUNS):
        champion = random.normal(size=100)
        gain = champion - (0.5 * champion + math.sqrt(0.75) * random.normal(size=(len(levels), 100)))
        promoted += bool((gain.mean(axis=1) / (gain.std(axis=1, ddof=1) / 10) > quantile).any())
    return promoted / RUNS


def test_the_budget_keeps_false_promotions_below_alpha_and_a_fixed_level_does_not() -> None:
    looks, alpha = 30, 0.05
    noise = 3 * math.sqrt(alpha * (1 - alpha) / RUNS)
    assert false_promotions([level_at(k, alpha) for k in range(1, looks + 1)]) <= alpha + noise
    assert false_promotions([0.95] * looks) > 0.2


def test_the_budget_adds_up_to_alpha_and_refuses_bad_looks() -> None:
    assert sum(alpha_at(k, 0.1) for k in range(1, 2000)) == pytest.approx(0.1 * (1 - 1 / 2000))
    for look, alpha in ((0, 0.05), (1, 0.0), (1, 1.0)):
        with pytest.raises(ValueError, match="looks count from 1"):
            alpha_at(look, alpha)


def test_needed_rows_give_the_stated_power() -> None:
    random = np.random.default_rng(0)

    def observe(n: int) -> Estimate:
        truth = random.normal(size=n)
        return paired_difference(
            "mae", truth, truth + random.normal(size=n), truth + 0.93 * random.normal(size=n)
        )

    true, spread, n = 0.07 * math.sqrt(2 / math.pi), 0.823, 500
    reach = 1.96 * spread / math.sqrt(n)
    more = needed_rows(Estimate(true, true - reach, true + reach, n))
    assert more is not None
    assert np.mean([observe(n + more).low > 0 for _ in range(300)]) == pytest.approx(0.8, abs=0.07)


def test_needed_rows_is_none_where_no_number_can_be_told() -> None:
    assert needed_rows(Estimate(0.1, math.nan, math.nan, 1)) is None
    assert needed_rows(Estimate(math.nan, math.nan, math.nan, 0)) is None
    assert needed_rows(Estimate(0.1, 0.0, 0.2, 100), margin=0.1) is None
    near, far = (
        needed_rows(Estimate(0.1, 0.0, 0.2, 100), margin=0.08),
        needed_rows(Estimate(0.1, 0.0, 0.2, 100), margin=-0.3),
    )
    assert near is not None
    assert near > 1000
    assert far == 0
