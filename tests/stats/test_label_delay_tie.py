"""Whether delay and truth are tied: the level is kept under truncation, ties are found, and what cannot be told is not said."""

from math import isnan

import numpy as np
import pytest
import scipy.stats

from whorl.stats.delay.label_delay_tie import LEVEL, delay_tie


def log(rows: int, seed: int, *, slower: float = 1.0, share: float = 0.3) -> tuple[np.ndarray, ...]:
    """Known rows of a log of 40 days: exponential delays of 10 days, of class 1 `slower` times as long."""
    rng = np.random.default_rng(seed)
    label = (rng.random(rows) < share).astype(int)
    delay = rng.exponential(10, rows) * np.where(label == 1, slower, 1.0)
    age = rng.uniform(0, 40, rows)
    known = delay <= age
    return label[known], delay[known], age[known]


def test_without_truncation_it_is_the_log_rank_test() -> None:
    label, delay, _ = log(400, 0, slower=1.3)
    ours = delay_tie(label, delay, np.full(len(delay), 99.0))
    reverse = scipy.stats.logrank(-delay[label == 0], -delay[label == 1])
    assert ours.p_value == pytest.approx(reverse.pvalue, rel=1e-6)


def test_the_level_is_kept_although_young_rows_show_short_delays_only() -> None:
    found = np.array([delay_tie(*log(600, seed)).p_value for seed in range(400)])
    for level in (0.01, 0.05, 0.2):
        assert (found < level).mean() <= level + 2.5 * np.sqrt(level * (1 - level) / len(found))
    assert (found < 0.5).mean() > 0.4, "the test says nothing"


def test_the_level_is_kept_for_several_classes_of_other_sizes() -> None:
    def one(seed: int) -> float:
        label, delay, age = log(500, seed)
        kinds = np.random.default_rng([seed, 1]).choice(4, len(label), p=[0.6, 0.2, 0.15, 0.05])
        return delay_tie(kinds, delay, age).p_value

    found = np.array([one(seed) for seed in range(400)])
    assert (found < 0.05).mean() < 0.08


def test_rows_chosen_by_class_are_tested_alike() -> None:
    """Nine of ten of one class were left out: the other half of its delays' distribution is the same."""
    rng = np.random.default_rng(3)
    found = []
    for seed in range(200):
        label, delay, age = log(1500, seed)
        chosen = (label == 1) | (rng.random(len(label)) < 0.1)
        found.append(delay_tie(label[chosen], delay[chosen], age[chosen]).p_value)
    assert np.mean(np.array(found) < LEVEL) < 0.04


def test_a_tie_is_found() -> None:
    shown = [delay_tie(*log(1500, seed, slower=3.0)).shown for seed in range(20)]
    assert np.mean(shown) > 0.9


def test_a_plain_comparison_of_known_delays_would_be_fooled_where_the_mix_of_ages_differs() -> None:
    """The same delays in both classes, but class 1 is young: its known delays are short."""
    rng = np.random.default_rng(0)
    label = np.repeat([0, 1], 3000)
    age = np.where(label == 1, rng.uniform(0, 10, 6000), rng.uniform(0, 60, 6000))
    delay = rng.exponential(10, 6000)
    known = delay <= age
    label, delay, age = label[known], delay[known], age[known]
    assert scipy.stats.ks_2samp(delay[label == 0], delay[label == 1]).pvalue < 1e-6
    assert not delay_tie(label, delay, age).shown


def test_a_difference_too_small_to_matter_is_not_a_tie() -> None:
    tie = delay_tie(*log(200_000, 1, slower=1.06))
    assert tie.p_value < LEVEL
    assert tie.gap < 0.05
    assert not tie.shown


@pytest.mark.parametrize(
    ("label", "delay", "age"),
    [
        pytest.param([], [], [], id="no rows"),
        pytest.param([0, 1, 1], [1.0, 2.0, 3.0], [9.0, 9.0, 9.0], id="three rows"),
        pytest.param([1] * 50, list(range(50)), [99.0] * 50, id="one class"),
        pytest.param([0, 1] * 30, [7.0] * 60, [30.0] * 60, id="all delays equal"),
        pytest.param([0, 1] * 30, [-3.0] * 60, [30.0] * 60, id="labels before their prediction"),
        pytest.param([0, 1] * 30, [0.0] * 60, [-1.0] * 60, id="predictions of tomorrow"),
    ],
)
def test_what_cannot_be_compared_is_not_a_tie(label: list[int], delay: list[float], age: list[float]) -> None:
    tie = delay_tie(label, delay, age)
    assert isnan(tie.p_value)
    assert not tie.shown


def test_a_class_with_a_handful_of_rows_does_not_decide() -> None:
    label, delay, age = log(500, 2)
    with_few = np.concatenate([label, [2] * 9])
    assert delay_tie(with_few, np.append(delay, [39.0] * 9), np.append(age, [40.0] * 9)) == delay_tie(
        label, delay, age
    )
