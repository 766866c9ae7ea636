"""Intervals and paired differences: variances against independent formulas, coverage by simulation, undefined is nan."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from whorl.stats.intervals.bootstrap import bootstrap
from whorl.stats.intervals.estimate import Estimate
from whorl.stats.intervals.interval import interval
from whorl.stats.intervals.paired_difference import paired_difference
from whorl.stats.intervals.wilson import wilson
from whorl.stats.linear import variance
from whorl.stats.metrics.auc import auc_linear
from whorl.stats.metrics.average_precision import average_precision, average_precision_linear
from whorl.stats.metrics.metric import METRICS, Metric

REPEATS = 400


def normal_rows(random: Any, n: int, shift: float = 1.0, share: float = 0.3) -> tuple[Any, Any]:
    truth = (random.random(n) < share).astype(float)
    return truth, random.normal(size=n) + shift * truth


def covered(make: Callable[[Any], Estimate], true: float, repeats: int = REPEATS) -> float:
    estimates = [make(np.random.default_rng(seed)) for seed in range(repeats)]
    assert all(e.low <= e.value <= e.high for e in estimates)
    return float(np.mean([e.low <= true <= e.high for e in estimates]))


def assert_nominal(share: float, level: float = 0.95, repeats: int = REPEATS, slack: float = 0.01) -> None:
    """Within three binomial standard errors of the level, and a stated slack for what is asymptotic."""
    assert abs(share - level) <= 3 * math.sqrt(level * (1 - level) / repeats) + slack, share


def delong_by_definition(truth: Any, score: Any) -> float:
    """DeLong's variance from the full matrix of pairs: slow, and as in the paper."""
    high, low = score[truth == 1], score[truth == 0]
    pairs = (high[:, None] > low) + 0.5 * (high[:, None] == low)
    return float(pairs.mean(1).var(ddof=1) / len(high) + pairs.mean(0).var(ddof=1) / len(low))


@pytest.mark.parametrize("decimals", [1, 9])
def test_auc_terms_give_delongs_variance(decimals: int) -> None:
    truth, score = normal_rows(np.random.default_rng(0), 200)
    score = np.round(score, decimals)
    linear = auc_linear(truth, score, np.ones(200))
    assert variance(linear.terms) == pytest.approx(delong_by_definition(truth, score), rel=1e-9)


@pytest.mark.parametrize("name", ["auc", "average_precision", "log_loss", "accuracy", "brier", "mae", "rmse"])
@pytest.mark.parametrize("decimals", [1, 9])
def test_terms_are_the_derivative_by_the_weight(name: str, decimals: int) -> None:
    random = np.random.default_rng(2)
    truth = (random.random(4000) < 0.4).astype(float)
    score = np.round(np.clip(random.random(4000) * 0.6 + 0.3 * truth, 0.05, 0.95), decimals)
    weight, metric = random.exponential(size=4000) + 0.1, METRICS[name]
    linear = metric.linearised(truth, score, weight)
    assert linear is not None
    assert linear.terms.sum() == pytest.approx(0, abs=1e-9)
    for row in (0, 1, 17, 423):
        step = np.zeros(4000)
        step[row] = 1e-4 * weight[row]
        slope = metric.function(truth, score, weight + step) - metric.function(truth, score, weight - step)
        assert linear.terms[row] == pytest.approx(slope / 2e-4, rel=2e-3, abs=1e-9)


def test_mean_interval_is_students() -> None:
    random = np.random.default_rng(4)
    truth, said = random.normal(size=12), random.normal(size=12)
    estimate = interval("mae", truth, said)
    expected = stats.t.interval(
        0.95, 11, loc=np.abs(truth - said).mean(), scale=stats.sem(np.abs(truth - said))
    )
    assert (estimate.low, estimate.high) == pytest.approx(expected)


@pytest.mark.parametrize(("name", "shift"), [("auc", 1.0), ("auc", 2.5), ("average_precision", 1.0)])
def test_rank_metrics_cover(name: str, shift: float) -> None:
    true = {
        "auc": float(stats.norm.cdf(shift / math.sqrt(2))),
        "average_precision": average_precision(*normal_rows(np.random.default_rng(9), 1_000_000, shift)),
    }[name]
    assert_nominal(covered(lambda random: interval(name, *normal_rows(random, 300, shift)), true))


def test_average_precision_covers_with_twenty_positives() -> None:
    true = average_precision(*normal_rows(np.random.default_rng(9), 1_000_000, 1.5, 0.02))
    share = covered(lambda random: interval("average_precision", *normal_rows(random, 1000, 1.5, 0.02)), true)
    assert_nominal(share, slack=0.03)


@pytest.mark.parametrize("chance", [0.6, 0.97])
def test_accuracy_covers(chance: float) -> None:
    def make(random: Any) -> Estimate:
        return interval("accuracy", np.ones(300), (random.random(300) < chance).astype(float))

    assert_nominal(covered(make, chance))


@pytest.mark.parametrize(("name", "true"), [("mae", math.sqrt(2 / math.pi)), ("rmse", 1.0)])
@pytest.mark.parametrize("weighted", [False, True])
def test_error_metrics_cover(name: str, true: float, weighted: bool) -> None:
    def make(random: Any) -> Estimate:
        weight = random.exponential(size=300) if weighted else None
        return interval(name, np.zeros(300), random.normal(size=300), weight)

    assert_nominal(covered(make, true))


def test_weighted_rows_estimate_what_they_were_picked_from() -> None:
    """Rows picked where the error is large, weighted back: the interval covers the error of all rows."""

    def make(random: Any) -> Estimate:
        error = random.normal(size=1500)
        chance = np.where(np.abs(error) > 1, 0.4, 0.1)
        picked = random.random(1500) < chance
        return interval("mae", np.zeros(picked.sum()), error[picked], 1 / chance[picked])

    assert_nominal(covered(make, math.sqrt(2 / math.pi)))


@pytest.mark.parametrize(
    ("rate", "n", "heavy"), [(0.99, 500, 4.0), (0.98, 300, 4.0), (0.99, 1000, 10.0), (0.9, 300, 4.0)]
)
def test_a_weighted_accuracy_covers_where_errors_are_few(rate: float, n: int, heavy: float) -> None:
    def make(random: Any) -> Estimate:
        weight = np.where(random.random(n) < 0.75, 1.0, heavy)
        return interval("accuracy", np.ones(n), (random.random(n) < rate).astype(float), weight)

    estimates = [make(np.random.default_rng(seed)) for seed in range(REPEATS)]
    assert np.mean([one.low <= rate <= one.high for one in estimates]) > 0.935
    assert np.mean([rate < one.low for one in estimates]) < 0.045


def test_a_weighted_accuracy_stays_narrow_where_errors_lie_on_light_rows() -> None:
    """One row in two is light and wrong three times in ten, the other stands for ten and is hardly ever wrong."""
    true, estimates = 1 - (10 * 0.01 + 0.3) / 11, []
    for seed in range(REPEATS):
        random = np.random.default_rng(seed)
        heavy = random.random(2000) < 0.5
        right = random.random(2000) >= np.where(heavy, 0.01, 0.3)
        estimates.append(interval("accuracy", np.ones(2000), right.astype(float), np.where(heavy, 10.0, 1.0)))
    assert np.mean([one.low <= true <= one.high for one in estimates]) > 0.935
    plain = 2 * 1.96 * math.sqrt(true * (1 - true) / (2000 * 5.5**2 / 50.5))
    assert np.mean([one.high - one.low for one in estimates]) < 0.75 * plain


def test_groups_cover_and_ignoring_them_does_not() -> None:
    def rows(random: Any) -> tuple[Any, Any, Any]:
        group = np.repeat(np.arange(50), 8)
        return np.zeros(400), random.normal(size=50)[group] + 0.3 * random.normal(size=400), group

    true = math.sqrt(1.09 * 2 / math.pi)

    def grouped(random: Any) -> Estimate:
        truth, said, group = rows(random)
        return interval("mae", truth, said, group=group)

    assert_nominal(covered(grouped, true), slack=0.02)
    assert covered(lambda random: interval("mae", *rows(random)[:2]), true) < 0.75


@pytest.mark.parametrize("shift", [0.0, 0.12])
def test_calibration_error_covers_calibrated_and_shifted(shift: float) -> None:
    def make(random: Any) -> Estimate:
        chance = random.uniform(0.2, 0.7, size=400)
        return interval("calibration_error", random.random(400) < chance, chance + shift)

    assert covered(make, shift) >= 0.92


def test_bootstrap_covers_and_repeats_itself() -> None:
    median = Metric("median_error", lambda y, p, w: weighted_median(p - y, w), False)

    def make(random: Any) -> Estimate:
        return interval(median, np.zeros(200), random.normal(size=200))

    assert make(np.random.default_rng(1)) == make(np.random.default_rng(1))
    assert_nominal(covered(make, 0.0, repeats=150), repeats=150, slack=0.02)


def weighted_median(value: Any, weight: Any) -> float:
    order = np.argsort(value)
    return float(value[order][np.searchsorted(np.cumsum(weight[order]), weight.sum() / 2)])


def test_bootstrap_agrees_with_terms_for_average_precision() -> None:
    truth, score = normal_rows(np.random.default_rng(3), 3000)
    own = Metric("own", average_precision, True)
    drawn, analytic = interval(own, truth, score), interval("average_precision", truth, score)
    assert drawn.high - drawn.low == pytest.approx(analytic.high - analytic.low, rel=0.12)


def test_bootstrap_draws_groups_as_a_whole() -> None:
    value = np.repeat(np.random.default_rng(0).normal(size=60), 9)
    group = np.repeat(np.arange(60), 9)

    def mean(weight: Any) -> float:
        return float(weight @ value / weight.sum())

    grouped, single = bootstrap(mean, np.ones(540), group=group), bootstrap(mean, np.ones(540))
    assert (grouped[1] - grouped[0]) / (single[1] - single[0]) == pytest.approx(3, rel=0.2)


def two_scores(random: Any, n: int, noise_b: float) -> tuple[Any, Any, Any]:
    truth = (random.random(n) < 0.3).astype(float)
    signal = random.normal(size=n) + truth
    return truth, signal + 0.6 * random.normal(size=n), signal + noise_b * random.normal(size=n)


@pytest.mark.parametrize("name", ["auc", "average_precision"])
@pytest.mark.parametrize("noise_b", [0.6, 0.2])
def test_paired_difference_covers(name: str, noise_b: float) -> None:
    large = two_scores(np.random.default_rng(11), 1_000_000, noise_b)
    function = METRICS[name].function
    true = function(large[0], large[2]) - function(large[0], large[1]) if noise_b != 0.6 else 0.0
    share = covered(lambda random: paired_difference(name, *two_scores(random, 300, noise_b)), true)
    assert_nominal(share, slack=0.015)


def test_paired_is_narrower_than_unpaired() -> None:
    truth, a, b = two_scores(np.random.default_rng(0), 1000, 0.5)
    one, two = interval("auc", truth, a), interval("auc", truth, b)
    difference = paired_difference("auc", truth, a, b)
    assert difference.high - difference.low < 0.8 * math.hypot(one.high - one.low, two.high - two.low)


@pytest.mark.parametrize("name", METRICS)
def test_positive_means_better_whatever_the_direction(name: str) -> None:
    random = np.random.default_rng(0)
    chance = random.uniform(0.05, 0.95, 2000)
    truth = (random.random(2000) < chance).astype(float)
    worse = np.clip(1.2 - chance, 0.01, 0.99)
    there, back = paired_difference(name, truth, worse, chance), paired_difference(name, truth, chance, worse)
    assert there.low > 0
    assert back.value == pytest.approx(-there.value)
    assert paired_difference(name, truth, chance, chance) == Estimate(0.0, 0.0, 0.0, 2000)


def test_calibration_error_difference_is_bootstrapped_and_covers_no_difference() -> None:
    def make(random: Any) -> Estimate:
        chance = random.uniform(0.1, 0.9, 300)
        truth = random.random(300) < chance
        a, b = chance + 0.1 * random.normal(size=300), chance + 0.1 * random.normal(size=300)
        return paired_difference("calibration_error", truth, a, b)

    assert covered(make, 0.0, repeats=40) >= 0.88


def test_perfect_scores_on_few_rows_are_not_certain() -> None:
    perfect = interval("auc", [1] * 5 + [0] * 1000, [0.9] * 5 + [0.1] * 1000)
    assert perfect.value == 1.0
    assert perfect.low < 0.8
    assert interval("accuracy", [1.0] * 10, [0.9] * 10).low < 0.8
    same_hits = paired_difference("accuracy", [1.0] * 10, [0.9] * 10, [0.8] * 10)
    assert same_hits.low < -0.2 < 0.2 < same_hits.high


def test_undefined_is_nan_with_its_count() -> None:
    def blank(estimate: Estimate, n: int) -> bool:
        return estimate.n == n and all(math.isnan(v) for v in (estimate.value, estimate.low, estimate.high))

    for name in METRICS:
        assert blank(interval(name, [], []), 0)
        assert blank(paired_difference(name, [0, 1], [0.2, 0.7], [0.3, 0.6], [0, 0]), 0)
    assert blank(interval("auc", [1, 1], [0.2, 0.7]), 2)
    assert blank(paired_difference("average_precision", [0, 0], [0.2, 0.7], [0.1, 0.6]), 2)
    assert blank(interval(Metric("never", lambda *_: math.nan, True), [0, 1], [0.2, 0.3]), 2)
    one_positive = interval("auc", [1, 0, 0], [0.2, 0.1, 0.3])
    assert one_positive.value == 0.5
    assert math.isnan(one_positive.low)
    assert math.isnan(one_positive.high)
    assert math.isnan(interval("mae", [1.0, 2.0], [1.0, 3.0], group=["u", "u"]).low)
    assert all(math.isnan(b) for b in bootstrap(lambda _: math.nan, np.ones(9)))


def test_rows_of_weight_zero_do_not_count() -> None:
    kept = interval("mae", [1.0, 2.0, 4.0], [1.5, 2.0, 3.0], group=["a", "b", "c"])
    rows = interval(
        "mae", [1.0, math.nan, 2.0, 4.0], [1.5, 0.0, 2.0, 3.0], [1, 0, 1, 1], group=["a", "x", "b", "c"]
    )
    assert rows == kept
    with pytest.raises(ValueError, match="Group has 2"):
        interval("mae", [1.0, 2.0, 4.0], [1.5, 2.0, 3.0], group=["a", "b"])


def test_macro_terms_cover_a_multiclass_auc() -> None:
    def rows(random: Any, n: int) -> tuple[Any, Any]:
        truth = random.integers(0, 3, n)
        raised = np.exp(random.normal(size=(n, 3)) + np.eye(3)[truth])
        return truth, raised / raised.sum(axis=1, keepdims=True)

    true = METRICS["auc"].function(*rows(np.random.default_rng(5), 500_000))
    assert_nominal(covered(lambda random: interval("auc", *rows(random, 300)), true))


@pytest.mark.parametrize(("wins", "trials"), [(0, 10), (3, 10), (10, 10), (81, 263)])
def test_wilson_agrees_with_scipy(wins: int, trials: int) -> None:
    expected = stats.binomtest(wins, trials).proportion_ci(method="wilson")
    assert wilson(wins, trials) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_wilson_is_undefined_without_trials_and_refuses_what_does_not_fit() -> None:
    assert all(math.isnan(bound) for bound in wilson(0, 0))
    with pytest.raises(ValueError, match="do not fit"):
        wilson(3, 2)


def test_average_precision_terms_cost_no_more_than_a_sort() -> None:
    """Large inputs stay exact: a thousand copies of the rows give the same value and a thousandth of the variance."""
    truth, score = normal_rows(np.random.default_rng(0), 500)
    small = average_precision_linear(truth, score, np.ones(500))
    large = average_precision_linear(np.tile(truth, 1000), np.tile(score, 1000), np.ones(500_000))
    assert large.value == pytest.approx(small.value)
    assert variance(large.terms) * 1000 == pytest.approx(variance(small.terms), rel=0.01)
