"""The interval of an AUC from few positives: coverage by simulation, exact bounds where every pair is in order."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from whorl.stats.intervals.estimate import Estimate
from whorl.stats.intervals.interval import interval
from whorl.stats.linear import variance
from whorl.stats.metrics.auc import auc, auc_linear
from whorl.stats.metrics.auc_interval import Sizes, expected_variance

REPEATS = 500
NOISE = 3 * math.sqrt(0.05 * 0.95 / REPEATS)


def normal_scores(random: Any, truth: Any, shift: float) -> Any:
    return random.normal(size=len(truth)) + shift * truth


def some_at_random(random: Any, truth: Any, shift: float) -> Any:
    """A tenth of the positives looks like a negative: ten positives often show none of them."""
    return normal_scores(random, truth * (random.random(len(truth)) > 0.1), shift)


def of_some_at_random(shift: float) -> float:
    return float(0.9 * stats.norm.cdf(shift / math.sqrt(2)) + 0.05)


@pytest.mark.parametrize(
    ("rows", "share", "scores", "shift"),
    [
        (500, 0.02, normal_scores, 2.5),
        (500, 0.05, normal_scores, 2.5),
        (1000, 0.05, normal_scores, 3.0),
        (500, 0.02, some_at_random, 4.0),
    ],
)
@pytest.mark.parametrize("weighted", [False, True])
def test_it_covers_with_few_positives(
    rows: int, share: float, scores: Callable[..., Any], shift: float, weighted: bool
) -> None:
    true = of_some_at_random(shift) if scores is some_at_random else stats.norm.cdf(shift / math.sqrt(2))
    random = np.random.default_rng(3)
    found: list[Estimate] = []
    while len(found) < REPEATS:
        truth = random.random(rows) < share
        weight = random.exponential(size=rows) + 0.1 if weighted else None
        if truth.sum() > 1:
            found.append(interval("auc", truth, scores(random, truth, shift), weight))
    assert np.mean([e.low <= true <= e.high for e in found]) >= 0.95 - NOISE
    assert np.mean([e.low > true for e in found]) <= 0.025


def test_it_covers_where_positives_come_in_groups() -> None:
    random, group = np.random.default_rng(4), np.repeat(np.arange(200), 5)
    found: list[Estimate] = []
    while len(found) < REPEATS:
        truth = (random.random(200) < 0.05)[group]
        if np.unique(group[truth]).size > 1:
            score = normal_scores(random, truth, 2.5) + random.normal(size=200)[group]
            found.append(interval("auc", truth, score, group=group))
    true = stats.norm.cdf(2.5 / 2)
    assert np.mean([e.low <= true <= e.high for e in found]) >= 0.95 - NOISE


@pytest.mark.parametrize("positives", [2, 3, 5, 10, 20])
def test_all_pairs_in_order_leave_open_what_so_few_positives_can_hide(positives: int) -> None:
    """Positives of which a share is ranked at random all come out on top with chance 0.025 at 1 - 0.025^(1/m)."""
    truth, hidden = [1] * positives + [0] * 1000, 1 - 0.025 ** (1 / positives)
    perfect, worst = interval("auc", truth, truth), interval("auc", truth, [-one for one in truth])
    assert (perfect.value, perfect.high, worst.value, worst.low) == (1.0, 1.0, 0.0, 0.0)
    assert perfect.low == pytest.approx(1 - hidden / 2, abs=0.025)
    assert worst.high == pytest.approx(1 - perfect.low)


@pytest.mark.parametrize("classes", [2, 3])
def test_with_many_rows_it_is_delongs(classes: int) -> None:
    random = np.random.default_rng(0)
    truth = random.integers(0, classes, 6000)
    raised = np.exp(random.normal(size=(6000, classes)) + 2 * np.eye(classes)[truth])
    said = raised / raised.sum(axis=1, keepdims=True)
    found = interval("auc", truth, said)
    terms = auc_linear(truth.astype(np.float64), said, np.ones(6000)).terms
    assert found.high - found.low == pytest.approx(2 * 1.96 * math.sqrt(variance(terms)), rel=0.05)


def test_turned_round_it_is_the_same_interval() -> None:
    truth, score = np.arange(200) < 8, np.random.default_rng(0).random(200)
    found, turned = interval("auc", truth, score), interval("auc", truth, -score)
    swapped = interval("auc", ~truth, -score)
    assert (found.low, found.high) == pytest.approx((1 - turned.high, 1 - turned.low))
    assert (found.low, found.high) == pytest.approx((swapped.low, swapped.high))
    both = interval("auc", truth, np.stack([1 - score, score], axis=1))
    assert both.value == pytest.approx(auc(truth, score))
    assert (both.low, both.high) == pytest.approx((found.low, found.high))


def test_a_class_of_one_group_has_no_interval() -> None:
    truth, group = [1, 1, 1, 0, 0, 0], ["u", "u", "u", "a", "b", "c"]
    found = interval("auc", truth, [0.9, 0.8, 0.7, 0.6, 0.75, 0.1], group=group)
    assert found.value == pytest.approx(8 / 9)
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_the_model_agrees_with_the_example_of_hanley_and_mcneil() -> None:
    """51 abnormal and 58 normal images, AUC 0.893: standard error 0.032."""
    found = expected_variance(Sizes(np.array([51.0]), np.array([58.0])), 0.893)
    assert math.sqrt(found) == pytest.approx(0.032, abs=1e-3)
