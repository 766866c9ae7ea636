"""Another policy's rate from one policy's log: against formulas and exact intervals, in simulated logs, and what is refused."""

import numpy as np
import pytest
from scipy.stats import poisson

from whorl.stats.answering.off_policy import off_policy_rate


def test_the_value_is_the_self_normalised_estimate() -> None:
    """SNIPW as in the open bandit pipeline: sum of reward x ratio over sum of ratios."""
    random = np.random.default_rng(0)
    propensity, target = random.uniform(0.2, 1, 3000), random.uniform(0, 1, 3000)
    event = (random.random(3000) < 0.1).astype(float)
    ratio = target / propensity
    found = off_policy_rate(event, propensity, target)
    assert found.estimate.value == pytest.approx((event * ratio).mean() / ratio.mean())
    assert found.effective_rows == pytest.approx(ratio.sum() ** 2 / (ratio**2).sum())


@pytest.mark.parametrize("events", [0, 1, 7, 46])
def test_with_equal_weights_the_interval_is_the_mid_p_one_of_a_poisson_count(events: int) -> None:
    n = 10_000
    event = np.arange(n) < events
    found = off_policy_rate(event, np.ones(n), np.ones(n)).estimate
    low, high = found.low * n, found.high * n
    if events:
        assert poisson.sf(events, low) + poisson.pmf(events, low) / 2 == pytest.approx(0.025, abs=1e-6)
    else:
        assert low == 0.0
    assert poisson.cdf(events, high) - poisson.pmf(events, high) / 2 == pytest.approx(0.025, abs=1e-6)


def simulated(seed: int, drawn: int = 6000) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
    """Twenty actions with rare clicks; propensities change by the hour, for reasons that have nothing to do with clicks."""
    random = np.random.default_rng(seed)
    rate = random.gamma(4, 0.005 / 4, 20)
    hours = random.dirichlet(np.full(20, 0.7), 40) + 0.001
    hours /= hours.sum(axis=1, keepdims=True)
    hour = random.integers(0, 40, drawn)
    action = (random.random(drawn)[:, None] > hours[hour].cumsum(axis=1)).sum(axis=1).clip(max=19)
    click = (random.random(drawn) < rate[action]).astype(float)
    return float(rate.mean()), click, hours[hour, action], action


def test_intervals_cover_where_two_standard_errors_do_not_and_actions_shorten_them() -> None:
    inside, plain, widths = [], [], []
    for seed in range(240):
        truth, click, propensity, action = simulated(seed)
        target = np.full(len(click), 1 / 20)
        ours, own = (off_policy_rate(click, propensity, target, a) for a in (action, None))
        terms = click * target / propensity
        error = 1.96 * terms.std(ddof=1) / np.sqrt(len(terms))
        inside.append(ours.estimate.low <= truth <= ours.estimate.high)
        plain.append(abs(terms.mean() - truth) <= error)
        if ours.by_action and not own.refusal:
            widths.append((ours.estimate.high - ours.estimate.low) / (own.estimate.high - own.estimate.low))
    assert np.mean(inside) >= 0.93
    assert np.mean(plain) < 0.9, "the check can fail"
    assert np.mean(widths) < 0.8


def test_where_the_event_goes_by_what_the_policy_went_by_actions_are_not_averaged() -> None:
    random = np.random.default_rng(1)
    good_hour = random.random(20_000) < 0.5
    first = random.random(20_000) < np.where(good_hour, 0.8, 0.2)
    propensity = np.where(first == good_hour, 0.8, 0.2)
    click = random.random(20_000) < np.where(good_hour, 0.3, 0.05)
    found = off_policy_rate(click, propensity, first, first)
    assert not found.by_action
    assert found.estimate.low < 0.175 < found.estimate.high


def test_what_the_log_hardly_shows_is_refused_and_a_little_of_it_widens() -> None:
    random = np.random.default_rng(2)
    action = random.choice(3, 20_000, p=[0.6, 0.399, 0.001])
    click = random.random(20_000) < 0.01
    propensity = np.array([0.6, 0.399, 0.001])[action]
    refused = off_policy_rate(click, propensity, np.array([0.3, 0.2, 0.5])[action], action)
    assert refused.unseen > 0.4
    assert "hardly ever done in the log" in refused.refusal
    assert np.isnan(refused.estimate.value)
    some = off_policy_rate(click, propensity, np.array([0.6, 0.33, 0.07])[action], action)
    assert 0.02 < some.unseen < 0.1
    assert not some.refusal


def test_too_few_effective_rows_are_refused() -> None:
    found = off_policy_rate(np.zeros(50), np.full(50, 0.5), np.full(50, 0.5))
    assert "at least 100 are needed" in found.refusal
    assert off_policy_rate([], [], []).refusal == "there are no rows"
    assert off_policy_rate([1.0], [0.5], [0.0]).refusal


def test_the_rate_of_a_frequent_event_is_that_of_the_others_turned_round() -> None:
    event, even = np.arange(1000) < 900, np.full(1000, 0.5)
    often, seldom = (off_policy_rate(e, even, even).estimate for e in (event, ~event))
    assert (often.low, often.high) == pytest.approx((1 - seldom.high, 1 - seldom.low))


@pytest.mark.parametrize(
    ("event", "propensity", "target", "message"),
    [
        ([1.0], [0.0], [0.5], "not in"),
        ([1.0], [1.5], [0.5], "not in"),
        ([1.0], [np.nan], [0.5], "not in"),
        ([1.0], [0.5], [1.5], "outside"),
        ([0.5], [0.5], [0.5], "0 or 1"),
        ([1.0, 0.0], [0.5], [0.5], "do not fit"),
    ],
)
def test_what_no_log_can_hold_is_refused(
    event: list[float], propensity: list[float], target: list[float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        off_policy_rate(event, propensity, target)
