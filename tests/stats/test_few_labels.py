"""Accuracy from few labels: the chances of being asked, the draw, and the interval's promise, by simulation."""

from math import isnan

import numpy as np
import pytest

from whorl.stats.intervals.estimate import Estimate, student_quantile
from whorl.stats.intervals.wilson import wilson
from whorl.stats.sampling.doubt import doubt
from whorl.stats.sampling.error_chance import at_rate, fit_error_curve, views_of_doubt
from whorl.stats.sampling.few_labels import (
    FITTED,
    asking_chances,
    draw,
    estimate_accuracy,
    expected_reach,
    labels_for,
)

ROWS = 3000


def population(seed, *, claims=lambda chance, _: chance, most=0.6):
    """Doubts and hits of rows of which few are hard; `claims` says what the classifier makes of the chance of an error."""
    random = np.random.default_rng(seed)
    chance = most * random.beta(0.6, 3, ROWS)
    return np.clip(claims(chance, random), 0, 0.5), (random.random(ROWS) >= chance).astype(float)


def repeated(doubts, hits, budget, seed, repeats=300):
    """Values and bounds (repeats, 3) of estimates from fresh draws."""
    chances, random = asking_chances(doubts, budget), np.random.default_rng(seed)
    found = []
    for turn in range(repeats):
        drawn = draw(chances, doubts, random.random(len(doubts)), f"{seed}-{turn}")
        estimate = estimate_accuracy(hits[drawn.picked], doubts[drawn.picked], drawn.probability)
        assert estimate.n == budget
        found.append((estimate.value, estimate.low, estimate.high))
    return np.array(found)


def gain_of(found, hits, budget):
    rate = hits.mean()
    simple = rate * (1 - rate) / budget * (1 - budget / len(hits))
    return simple / np.mean((found[:, 0] - rate) ** 2)


CLAIMS = {
    "calibrated": (lambda chance, _: chance, 1.1),
    "overconfident": (lambda chance, _: chance**2.5, 1.1),
    "underconfident": (lambda chance, _: chance**0.4, 1.1),
    "meaningless": (lambda chance, random: random.random(len(chance)) / 2, 0.55),
    "inverted": (lambda chance, _: 0.5 - 0.8 * chance, 0.55),
    "all equal": (lambda chance, _: np.full(len(chance), 0.1), 0.75),
}


@pytest.mark.parametrize("name", CLAIMS)
def test_estimates_are_unbiased_and_intervals_cover_whatever_confidence_is_worth(name):
    claims, least_gain = CLAIMS[name]
    doubts, hits = population(1, claims=claims)
    found, rate = repeated(doubts, hits, 100, seed=2), hits.mean()

    error = found[:, 0].std() / np.sqrt(len(found))
    assert abs(found[:, 0].mean() - rate) < 4 * error
    # 300 repeats of a true 94 % fall below 90.5 % once in 200.
    assert np.mean((found[:, 1] <= rate) & (rate <= found[:, 2])) >= 0.905
    assert gain_of(found, hits, 100) > least_gain


def test_rare_errors_are_covered_where_the_plain_interval_fails():
    doubts, hits = population(3, most=0.06)
    found, rate = repeated(doubts, hits, 100, seed=4), hits.mean()

    assert 0.98 < rate < 1
    assert np.mean((found[:, 1] <= rate) & (rate <= found[:, 2])) >= 0.93
    assert (found[:, 2] <= 1).all()
    assert (found[:, 1] < found[:, 0]).all()


def test_chances_add_up_rise_with_doubt_and_stay_above_a_third_of_even():
    doubts, _ = population(5)
    chances = asking_chances(doubts, 200)
    order = np.argsort(doubts)

    assert chances.sum() == pytest.approx(200)
    assert (np.diff(chances[order]) >= -1e-12).all()
    assert chances.min() > 0.99 * 200 / ROWS / 3


def test_each_row_is_drawn_as_often_as_its_chance_says():
    doubts = np.random.default_rng(6).random(40) / 2
    chances, random = asking_chances(doubts, 10), np.random.default_rng(7)
    drawn = np.zeros(40)
    for turn in range(3000):
        drawn[draw(chances, doubts, random.random(40), str(turn)).picked] += 1

    # Five standard errors of a share of 3,000.
    assert np.abs(drawn / 3000 - chances).max() < 5 * np.sqrt(0.25 / 3000)


def test_the_same_seed_draws_the_same_rows_in_any_order_of_the_table():
    doubts, _ = population(8)
    uniform, other = np.random.default_rng(9).random(ROWS), np.random.default_rng(10).permutation(ROWS)
    chances = asking_chances(doubts, 50)
    one = draw(chances, doubts, uniform, "seed").picked
    two = draw(chances[other], doubts[other], uniform[other], "seed").picked

    assert set(one.tolist()) == set(other[two].tolist())
    assert set(one.tolist()) != set(draw(chances, doubts, uniform, "another").picked.tolist())


def test_equal_chances_give_wilsons_interval():
    hits, n = np.r_[np.ones(45), np.zeros(5)], 50
    found = estimate_accuracy(hits, np.full(n, 0.2), np.full(n, 1e-6))
    low, high = wilson(45, 50, z=student_quantile(0.95, n) * np.sqrt(n / (n - FITTED)))

    assert (found.low, found.high) == (pytest.approx(low, abs=1e-5), pytest.approx(high, abs=1e-5))


def test_all_scores_equal_is_simple_random_sampling():
    chances = asking_chances(np.full(10, 0.3), 4)
    assert chances.tolist() == pytest.approx([0.4] * 10)


def test_even_chances_are_the_better_ones_where_doubt_says_nothing():
    doubts, _ = population(15)
    view = views_of_doubt(doubts, np.ones(ROWS))
    level, rising = fit_error_curve(np.random.default_rng(16).integers(0, 2, ROWS).astype(float), view), CURVE

    assert np.ptp(asking_chances(doubts, 100, even=True)) == 0
    assert expected_reach(doubts, 100, level, 0.3, even=True) < expected_reach(doubts, 100, level, 0.3)
    assert expected_reach(doubts, 100, rising, 0.1, even=True) > expected_reach(doubts, 100, rising, 0.1)
    assert labels_for(doubts, 0.05, rising, 0.1, even=True) > labels_for(doubts, 0.05, rising, 0.1)


def test_more_labels_than_rows_ask_for_all():
    doubts = np.array([0.1, 0.2, 0.4])
    drawn = draw(asking_chances(doubts, 200), doubts, np.array([0.5, 0.1, 0.9]), "seed")
    found = estimate_accuracy([1, 0, 1], doubts[drawn.picked], drawn.probability)

    assert drawn.picked.tolist() == [0, 1, 2]
    assert found.value == pytest.approx(2 / 3)


def test_a_census_has_wilsons_interval_whatever_the_doubts():
    n = 200
    hits = np.r_[np.ones(160), np.zeros(40)]
    for doubts in (np.full(n, 0.2), np.linspace(0.5, 0, n), np.linspace(0, 0.5, n)):
        found = estimate_accuracy(hits, doubts, np.ones(n), like_these=True)
        low, high = wilson(160, n, z=student_quantile(0.95, n) * np.sqrt(n / (n - FITTED)))
        assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
        assert estimate_accuracy(hits, doubts, np.ones(n)) == Estimate(0.8, 0.8, 0.8, n)


def test_however_many_of_a_week_were_asked_its_interval_covers_what_the_weeks_come_from():
    random, inside = np.random.default_rng(20), {60: 0, 150: 0}
    for _ in range(300):
        doubts = random.beta(1, 3, 150) / 2
        hits = (random.random(150) >= doubts).astype(float)
        for budget in inside:
            chances = asking_chances(doubts, budget)
            drawn = draw(chances, doubts, random.random(150), "seed")
            found = estimate_accuracy(
                hits[drawn.picked], doubts[drawn.picked], drawn.probability, like_these=True
            )
            inside[budget] += found.low <= 1 - 0.25 / 2 <= found.high
    assert min(inside.values()) >= 0.92 * 300


@pytest.mark.parametrize("hit", [0.0, 1.0])
def test_labels_that_are_all_right_or_all_wrong_leave_an_open_interval(hit):
    doubts = np.linspace(0.01, 0.5, 30)
    found = estimate_accuracy(np.full(30, hit), doubts, np.full(30, 0.01))

    assert found.value == hit
    assert 0 <= found.low <= hit <= found.high <= 1
    assert 0.03 < found.high - found.low < 0.7


def test_a_population_of_three_rows_has_a_defined_estimate():
    doubts = np.array([0.5, 0.2, 0.2])
    chances = asking_chances(doubts, 2)
    drawn = draw(chances, doubts, np.array([0.3, 0.6, 0.9]), "seed")
    found = estimate_accuracy(np.ones(2), doubts[drawn.picked], drawn.probability)

    assert found.value == 1
    assert found.low < 0.6
    assert found.high == 1


def test_nothing_is_said_without_labels_and_no_interval_from_one():
    nothing, one = estimate_accuracy([], [], []), estimate_accuracy([1.0], [0.2], [0.5])

    assert isnan(nothing.value)
    assert nothing.n == 0
    assert one.value == 1
    assert isnan(one.low)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: doubt([0.2, 1.2]), "1 of 2 probabilities are missing or lie outside"),
        (lambda: doubt([0.2, float("nan")]), "1 of 2 probabilities are missing or lie outside"),
        (lambda: doubt([[1.0], [1.0]]), "single class"),
        (lambda: doubt([[0.0, 0.0], [0.5, 0.5]]), "1 of 2 rows have probability 0 for every class"),
        (lambda: asking_chances([0.1, 0.2], 0), "A budget of 0 labels asks for nothing"),
        (lambda: asking_chances([0.1, 0.7], 1), r"in \[0, 0.5\]"),
        (lambda: estimate_accuracy([1, 0.5], [0.1, 0.2], [0.5, 0.5]), "neither 0 nor 1"),
        (lambda: estimate_accuracy([1, 0], [0.1, 0.2], [0.5, 0.0]), "outside"),
        (lambda: estimate_accuracy([1], [0.1, 0.2], [0.5, 0.5]), "do not fit"),
        (lambda: labels_for([0.1, 0.2], 0.0, CURVE, 0.1), "must be above 0"),
        (lambda: labels_for([], 0.1, CURVE, 0.1), "no rows"),
    ],
)
def test_what_cannot_be_meant_is_refused(call, said):
    with pytest.raises(ValueError, match=said):
        call()


CURVE = fit_error_curve(np.zeros(0), np.zeros((0, 2)))


def test_the_expected_reach_is_the_one_that_comes():
    doubts, hits = population(11)
    ones = np.ones(ROWS)
    curve = fit_error_curve(1 - hits, views_of_doubt(doubts, ones))
    expected = expected_reach(doubts, 100, curve, 1 - hits.mean())
    found = repeated(doubts, hits, 100, seed=12)

    assert np.mean(found[:, 2] - found[:, 1]) / 2 == pytest.approx(expected, rel=0.15)


def test_the_planned_number_is_the_least_that_suffices():
    doubts, _ = population(13)
    number = labels_for(doubts, 0.04, CURVE, 0.1)

    assert expected_reach(doubts, number, CURVE, 0.1) <= 0.04 < expected_reach(doubts, number - 1, CURVE, 0.1)
    assert labels_for(doubts, 1e-9, CURVE, 0.1) == ROWS


def test_the_error_curve_finds_the_chances_that_made_the_errors():
    random = np.random.default_rng(14)
    view = views_of_doubt(random.random(20_000) / 2, np.ones(20_000))
    chance = 1 / (1 + np.exp(-(-2.0 + 0.7 * view[:, 0] + 0.4 * view[:, 1])))
    found = fit_error_curve((random.random(20_000) < chance).astype(float), view)

    assert np.abs(1 / (1 + np.exp(-found.logit(view))) - chance).max() < 0.03
    assert at_rate(found, view, np.ones(20_000), 0.3).mean() == pytest.approx(0.3)
