"""Means from samples, by the methods that accuracy from few labels is measured against: other libraries' figures, and coverage."""

from math import isnan

import numpy as np
import pytest

from whorl.stats.intervals.asymptotic_sequence import asymptotic_sequence
from whorl.stats.intervals.betting import betting_interval, betting_sequence
from whorl.stats.intervals.estimate import Estimate
from whorl.stats.sampling.active_inference import active_chances, active_mean
from whorl.stats.sampling.claimed_accuracy import claimed_accuracy, contradicted
from whorl.stats.sampling.horvitz_thompson import hajek, horvitz_thompson
from whorl.stats.sampling.prediction_powered import prediction_powered_mean
from whorl.stats.sampling.stratified import neyman_allocation, smoothed_spread, stratified_mean


def covered(low, high, truth):
    return float(np.mean((np.asarray(low) <= truth) & (truth <= np.asarray(high))))


def test_prediction_powered_mean_is_that_of_ppi_python():
    random = np.random.default_rng(5)
    predicted = random.random(300)
    truth, n = (random.random(300) < predicted * 0.6 + 0.2).astype(float), 40
    against = (1 - predicted) ** 2
    found = prediction_powered_mean(truth[:n], predicted[:n], predicted[n:])
    useless = prediction_powered_mean(truth[:n], against[:n], against[n:], level=0.9)

    # ppi_mean_pointestimate and ppi_mean_ci of ppi-python 0.2.3 on the same arrays.
    assert (found.value, found.low, found.high) == pytest.approx(
        (0.62610827, 0.47847692, 0.77373962), abs=1e-8
    )
    assert (useless.value, useless.low, useless.high) == pytest.approx(
        (0.625, 0.49909212, 0.75090788), abs=1e-8
    )


def test_good_predictions_narrow_the_interval_and_it_still_covers():
    random, n = np.random.default_rng(6), 100
    chance = random.random(4000)
    truth = (random.random(4000) < chance).astype(float)
    found = []
    for _ in range(400):
        order = random.permutation(4000)
        found.append(prediction_powered_mean(truth[order[:n]], chance[order[:n]], chance[order[n:]]))
    plain = 1.96 * np.sqrt(0.25 / n)

    assert covered([e.low for e in found], [e.high for e in found], truth.mean()) > 0.92
    assert np.mean([e.high - e.low for e in found]) / 2 < 0.9 * plain


def test_neyman_allocation_has_the_least_variance_of_all():
    size, spread = np.array([5.0, 3.0, 2.0]), np.array([0.1, 0.5, 0.3])
    found = neyman_allocation(size, spread, 6, least=1)

    def variance(drawn):
        return float(np.sum((size * spread) ** 2 / np.asarray(drawn)))

    every = [(a, b, 6 - a - b) for a in range(1, 5) for b in range(1, 4) if 1 <= 6 - a - b <= 2]
    assert found.sum() == 6
    assert variance(found) == pytest.approx(min(variance(one) for one in every))


def test_neyman_allocation_at_its_limits():
    assert neyman_allocation([3, 100], [0.5, 0.01], 50).tolist() == [3, 47]
    assert neyman_allocation([3, 4], [0.5, 0.5], 100).tolist() == [3, 4]
    assert neyman_allocation([10, 10], [0.0, 0.0], 6).tolist() == [3, 3]
    assert neyman_allocation([10, 10], [0.1, 0.2], 0).tolist() == [0, 0]
    with pytest.raises(ValueError, match="not negative"):
        neyman_allocation([10, -1], [0.1, 0.2], 5)


def test_a_stratum_without_errors_is_not_taken_for_certain():
    assert (smoothed_spread([0, 3], [20, 3]) > 0.1).all()
    found = stratified_mean(np.ones(20), np.repeat([0, 1], 10), [500, 500])
    assert found.value == 1
    assert found.low < 0.95


def test_stratified_means_cover_and_gain():
    random, size = np.random.default_rng(7), np.array([2000, 2000, 1000])
    stratum = np.repeat([0, 1, 2], size)
    truth = (random.random(5000) < np.array([0.02, 0.1, 0.5])[stratum]).astype(float)
    drawn = neyman_allocation(size, [0.14, 0.3, 0.5], 150)
    found = []
    for _ in range(400):
        picked = np.concatenate(
            [random.choice(np.flatnonzero(stratum == h), drawn[h], replace=False) for h in range(3)]
        )
        found.append(stratified_mean(truth[picked], stratum[picked], size))
    rate = truth.mean()

    assert covered([e.low for e in found], [e.high for e in found], rate) > 0.93
    assert np.var([e.value for e in found]) < 0.8 * rate * (1 - rate) / 150


def test_a_stratum_that_was_not_drawn_from_leaves_the_mean_undefined():
    assert isnan(stratified_mean([1, 0], [0, 0], [10, 10]).value)
    assert stratified_mean([1, 0], [0, 0], [10, 0]).value == 0.5
    with pytest.raises(ValueError, match="outside"):
        stratified_mean([1, 2], [0, 0], [10])


def test_active_chances_follow_the_spread_and_keep_their_floor():
    variance = np.r_[np.full(50, 0.25), np.full(50, 0.01), np.zeros(50)]
    found = active_chances(variance, 30, floor=0.2)

    assert found.sum() == pytest.approx(30)
    assert found.min() == pytest.approx(0.2 * 30 / 150)
    assert (found[0] - found[-1]) / (found[50] - found[-1]) == pytest.approx(5)
    assert active_chances(np.zeros(4), 2).tolist() == [0.5] * 4
    with pytest.raises(ValueError, match="floor"):
        active_chances([0.1], 1, floor=0)


def test_active_means_cover():
    random = np.random.default_rng(8)
    chance = random.beta(3, 0.7, 3000)
    truth = (random.random(3000) < chance).astype(float)
    asking = active_chances(chance * (1 - chance), 150)
    found = [active_mean(truth, random.random(3000) < asking, chance, asking) for _ in range(400)]

    assert covered([e.low for e in found], [e.high for e in found], truth.mean()) > 0.92
    assert np.mean([e.value for e in found]) == pytest.approx(truth.mean(), abs=0.006)


@pytest.mark.parametrize("poor", [[0.0, 0.5], [1.5, 0.5]])
def test_a_probability_that_is_none_is_refused(poor):
    with pytest.raises(ValueError, match="probability"):
        active_mean([1, 0], [True, True], [0.5, 0.5], poor)
    with pytest.raises(ValueError, match="probability"):
        hajek([1, 0], poor)


def test_weighted_means_of_picked_rows_are_unbiased_and_cover():
    random = np.random.default_rng(9)
    value = random.normal(1.0, 0.5, 2000)
    chance = np.clip(0.05 + 0.05 * value, 0.02, 0.5)
    thompson, ratio = [], []
    for _ in range(400):
        picked = random.random(2000) < chance
        thompson.append(horvitz_thompson(value[picked], chance[picked], 2000))
        ratio.append(hajek(value[picked], chance[picked]))
    for found in (thompson, ratio):
        assert np.mean([e.value for e in found]) == pytest.approx(value.mean(), abs=0.01)
        assert covered([e.low for e in found], [e.high for e in found], value.mean()) > 0.92


def test_a_paired_difference_of_picked_rows_is_narrower_than_two_intervals():
    random = np.random.default_rng(10)
    hard = random.random(5000)
    one, other = (random.random(5000) > hard * 0.5), (random.random(5000) > hard * 0.5)
    alike = random.random(5000) < 0.9
    other = np.where(alike, one, other)
    chance = 0.02 + 0.08 * hard
    picked = random.random(5000) < chance
    difference = hajek(other[picked].astype(float) - one[picked], chance[picked])
    single = hajek(one[picked].astype(float), chance[picked])

    assert difference.low <= other.mean() - one.mean() <= difference.high
    assert difference.high - difference.low < 0.6 * (single.high - single.low)


def test_weighted_means_at_their_limits():
    whole = horvitz_thompson([1.0, 0.0], [1.0, 1.0], 2)
    assert (whole.value, whole.low, whole.high) == (0.5, 0.5, 0.5)
    assert isnan(hajek([], []).value)
    assert isnan(hajek([1.0], [0.5]).low)
    with pytest.raises(ValueError, match="3 rows were picked of 2"):
        horvitz_thompson([1, 1, 0], [1, 1, 1], 2)
    with pytest.raises(ValueError, match="finite"):
        hajek([float("nan")], [0.5])


def test_betting_covers_at_every_row_where_a_normal_interval_does_not():
    random, rate, ever, last = np.random.default_rng(11), 0.03, [], []
    for _ in range(150):
        rows = (random.random(120) < rate).astype(float)
        low, high = betting_sequence(rows)
        found = betting_interval(rows)
        ever.append(bool(((low <= rate) & (rate <= high)).all()))
        last.append(found.low <= rate <= found.high)
    assert np.mean(ever) >= 0.93
    assert np.mean(last) >= 0.93


def test_betting_on_one_row_is_the_capital_of_the_paper():
    """After one row the bet is known: sqrt(2 log(2 / 0.05) / (1/4)), which the cap of 0.75 / m cuts down."""
    stake = np.sqrt(2 * np.log(40) * 4)
    means = np.linspace(0.0005, 0.9995, 2001)
    capital = np.maximum(
        0.5 * (1 + np.minimum(stake, 0.75 / means) * (1 - means)),
        0.5 * (1 - np.minimum(stake, 0.75 / (1 - means)) * (1 - means)),
    )
    left = means[capital < 20]
    found = betting_interval([1.0])

    assert (found.low, found.high) == (pytest.approx(left.min(), abs=0.003), 1.0)


def test_betting_at_its_limits():
    assert isnan(betting_interval([]).value)
    sure = betting_interval(np.ones(500))
    assert sure.high == 1
    assert sure.low > 0.98
    with pytest.raises(ValueError, match="outside"):
        betting_interval([0.5, 1.2])


def test_an_asymptotic_sequence_is_rarely_ever_wrong():
    random, ever = np.random.default_rng(12), []
    for _ in range(300):
        low, high = asymptotic_sequence(random.random(2000))
        ever.append(bool(((low <= 0.5) & (high >= 0.5)).all()))
    assert np.mean(ever) >= 0.93


def test_an_asymptotic_sequence_is_narrowest_where_it_was_asked_to_be():
    values = np.tile([0.0, 1.0], 2000)
    at_200 = np.diff([b[199] for b in asymptotic_sequence(values, narrowest=200)])[0]
    elsewhere = [np.diff([b[199] for b in asymptotic_sequence(values, narrowest=k)])[0] for k in (50, 1000)]

    assert at_200 < min(elsewhere)
    with pytest.raises(ValueError, match="no sequence"):
        asymptotic_sequence(values, start=1)
    with pytest.raises(ValueError, match="finite"):
        asymptotic_sequence([float("inf")])


def test_claimed_accuracy_is_right_for_a_calibrated_classifier_and_contradicted_for_another():
    random = np.random.default_rng(13)
    p = random.random(20_000)
    calibrated, drifted = random.random(20_000) < p, random.random(20_000) < 0.5 + (p - 0.5) / 3
    claim = claimed_accuracy(p)

    assert claim == pytest.approx(np.mean((p >= 0.5) == calibrated), abs=0.01)
    picked = slice(0, 200)
    for truth, said in ((calibrated, False), (drifted, True)):
        hits = ((p >= 0.5) == truth)[picked].astype(float)
        assert contradicted(claim, hajek(hits, np.full(200, 0.01))) is said


def test_what_is_claimed_of_nothing_is_undefined_and_contradicts_nothing():
    assert isnan(claimed_accuracy([]))
    assert contradicted(float("nan"), Estimate(0.8, 0.7, 0.9, 10)) is None
    with pytest.raises(ValueError, match="1 of 2 probabilities"):
        claimed_accuracy([0.5, -0.1])
    assert claimed_accuracy([[0.2, 0.7, 0.1]]) == 0.7
