"""Delay curves see through truncation, posteriors are Bayes', and open rows take the bias out of what is known today."""

import numpy as np
import pytest

from whorl.stats.delay.label_delay import (
    OPEN,
    DelayCurves,
    class_shares,
    delay_curve,
    inverse_known_weights,
    open_posterior,
    relative_to_horizon,
    soft_rows,
    soft_target,
)


def stream(rows: int = 40_000, *, share: float = 0.3, seed: int = 5) -> dict[str, np.ndarray]:
    """Rows of age 0..60; positives are known after 10 on average, negatives only from 40 on; one feature tells them apart."""
    rng = np.random.default_rng(seed)
    group = rng.integers(0, 2, rows)
    label = (rng.random(rows) < np.where(group == 1, 1.5 * share, 0.5 * share)).astype(int)
    age = rng.uniform(0, 60, rows)
    delay = np.where(label == 1, rng.exponential(10, rows), 40 + rng.exponential(4, rows))
    return {"label": label, "age": age, "delay": delay, "known": delay <= age, "group": group}


def fitted(rows: dict[str, np.ndarray]) -> DelayCurves:
    known = rows["known"]
    return DelayCurves.fit(rows["label"][known], rows["delay"][known], rows["age"][known], classes=2)


def test_a_curve_from_a_young_log_is_the_true_one() -> None:
    rows = stream()
    at = np.array([2.0, 5.0, 10.0, 20.0, 40.0])
    truth = 1 - np.exp(-at / 10)
    assert np.abs(fitted(rows).classes[1].known_share(at) - truth).max() < 0.02
    seen = rows["delay"][rows["known"] & (rows["label"] == 1)]
    plain = (seen[:, None] <= at).mean(axis=0)
    assert np.abs(plain - truth).max() > 0.05, "Without truncation in the stream this test shows nothing."


def test_without_truncation_it_is_the_plain_share() -> None:
    delay = np.random.default_rng(1).integers(0, 20, 500)
    curve = delay_curve(delay, np.full(500, 20))
    at = np.arange(20)
    np.testing.assert_allclose(curve.known_share(at), (delay[:, None] <= at).mean(axis=0), atol=1e-12)


def test_it_is_kaplan_meier_run_backwards() -> None:
    """By hand, on delays 1 2 2 5 7 with ages 3 2 9 6 8: P(D <= x) is the product over later steps of 1 - falls / at risk."""
    curve = delay_curve([1, 2, 2, 5, 7], [3, 2, 9, 6, 8])
    at_7, at_5, at_2 = 1 - 1 / 2, 1 - 1 / 2, 1 - 2 / 3
    expected = [at_7 * at_5 * at_2, at_7 * at_5, at_7, 1.0]
    np.testing.assert_allclose(curve.known_share([1, 2, 5, 7]), expected)


def test_weights_count_like_repeated_rows() -> None:
    delay, age, times = np.array([1, 2, 4, 6]), np.array([3, 9, 5, 9]), np.array([2, 1, 3, 1])
    repeated = delay_curve(np.repeat(delay, times), np.repeat(age, times))
    np.testing.assert_allclose(delay_curve(delay, age, times).share, repeated.share)


def test_the_band_holds_the_true_share_as_often_as_it_says() -> None:
    at, held, inside = np.array([2.0, 5.0, 15.0]), [], []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        delay, age = rng.exponential(10, 400), rng.uniform(0, 60, 400)
        known = delay <= age
        curve = delay_curve(delay[known], age[known])
        low, high = curve.known_band(at)
        truth = (1 - np.exp(-at / 10)) / (1 - np.exp(-60 / 10))
        held.append((low <= truth) & (truth <= high))
        half = curve.quantile(0.5)
        inside.append(half.low <= 10 * np.log(2 / (1 + np.exp(-6))) <= half.high)
    assert np.mean(held, axis=0).min() > 0.93
    assert np.mean(held, axis=0).max() < 0.98, "wider than it says"
    assert 0.92 < np.mean(inside) < 0.99


def test_the_band_of_unequal_weights_is_wider() -> None:
    delay = np.random.default_rng(0).exponential(10, 300)
    weight = np.where(np.arange(300) % 10 == 0, 20.0, 1.0)
    plain, weighted = (delay_curve(delay, np.full(300, 99.0), w).known_band([7.0]) for w in (None, weight))
    assert (weighted[1] - weighted[0])[0] > 1.5 * (plain[1] - plain[0])[0]


def test_outside_of_what_was_seen_the_band_says_so() -> None:
    low, high = delay_curve([3.0, 5.0], [9.0, 9.0]).known_band([1.0, 5.0, 99.0])
    assert (low.tolist(), high.tolist()) == ([0.0, 1.0, 1.0], [1.0, 1.0, 1.0])


def test_a_step_where_all_at_risk_fall_does_not_empty_the_curve() -> None:
    curve = delay_curve([1, 5, 6], [2, 7, 8])
    assert curve.known_share([1]) > 0


def test_a_delay_longer_than_its_age_is_refused() -> None:
    with pytest.raises(ValueError, match="1 delays are longer"):
        delay_curve([5, 1], [4, 4])


def test_no_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        DelayCurves.fit([], [], [], classes=2)


def test_a_class_never_seen_has_the_curve_of_all() -> None:
    curves = DelayCurves.fit([0, 0, 1], [1, 2, 3], [9, 9, 9], classes=3)
    np.testing.assert_allclose(curves.classes[2].known_share([1, 2, 3]), [1 / 3, 2 / 3, 1])
    survival = curves.survival([0.0, 2.0, 99.0])
    assert survival.shape == (3, 3)
    assert (survival > 0).all()


def test_horizons_that_are_missing_or_zero_still_give_an_age() -> None:
    relative = relative_to_horizon([10.0, 10.0, 3.0], [20.0, np.nan, 0.0])
    np.testing.assert_allclose(relative, [0.5, 1.0, 3.0])
    np.testing.assert_allclose(relative_to_horizon([7.0], [np.nan]), [7.0])


def test_posterior_is_how_often_open_rows_turn() -> None:
    rows = stream()
    open_ = ~rows["known"]
    prediction = np.where(rows["group"] == 1, 0.45, 0.15)[open_]
    posterior = open_posterior(prediction, fitted(rows).survival(rows["age"][open_]))[:, 1]
    truth = rows["label"][open_]
    assert abs(posterior.mean() - truth.mean()) < 0.01
    for low, high in ((0, 5), (5, 15), (15, 30), (30, 40)):
        aged = (rows["age"][open_] >= low) & (rows["age"][open_] < high)
        assert abs(posterior[aged].mean() - truth[aged].mean()) < 0.02


def test_posterior_of_several_classes_sums_to_one_and_follows_survival() -> None:
    posterior = open_posterior([[0.2, 0.3, 0.5]], [[1.0, 1.0, 0.01]])
    np.testing.assert_allclose(posterior, np.array([[0.2, 0.3, 0.005]]) / 0.505)


def test_open_rows_take_the_bias_out_of_what_is_known_today() -> None:
    """The learner is a table: the weighted share of positives in each group; EM by soft rows finds the true 0.15 and 0.45."""
    rows = stream()
    known, group, label = rows["known"], rows["group"], rows["label"]
    seen = np.where(known, label, OPEN)
    survival = fitted(rows).survival(rows["age"])
    biased = np.array([label[known & (group == g)].mean() for g in (0, 1)])
    estimate = np.array([0.5, 0.5])
    for _ in range(30):
        training = soft_rows(soft_target(seen, estimate[group], survival), np.ones(len(label)))
        estimate = np.array(
            [
                np.average(training.label[at], weights=training.weight[at])
                for at in _by_group(group[training.row])
            ]
        )
    truth = np.array([0.15, 0.45])
    assert np.abs(biased - truth).min() > 0.1
    assert np.abs(estimate - truth).max() < 0.02


def _by_group(group: np.ndarray) -> list[np.ndarray]:
    return [group == g for g in (0, 1)]


def test_class_shares_are_those_of_all_rows_not_of_the_known() -> None:
    rows = stream()
    known, label = rows["known"], rows["label"]
    shares = class_shares(
        np.where(known, label, OPEN), fitted(rows).survival(rows["age"]), np.ones(len(label))
    )
    assert abs(label[known].mean() - label.mean()) > 0.2
    assert abs(shares[1] - label.mean()) < 0.01


def test_prediction_minus_target_is_the_gradient_of_the_likelihood() -> None:
    survival = np.array([0.9, 0.2])

    def loss(score: np.ndarray) -> float:
        p = np.exp(score) / np.exp(score).sum()
        return float(-np.log((p * survival).sum()))

    score = np.array([0.3, -0.4])
    step = 1e-6 * np.eye(2)
    slope = [(loss(score + e) - loss(score - e)) / 2e-6 for e in step]
    p = np.exp(score) / np.exp(score).sum()
    np.testing.assert_allclose(
        p - soft_target([OPEN], p[None, :], survival[None, :])[0], np.array(slope), atol=1e-8
    )


def test_soft_rows_keep_the_weight_of_each_row() -> None:
    target = np.array([[0.2, 0.5, 0.3], [0.0, 0.0, 1.0]])
    rows = soft_rows(target, [10.0, 2.0])
    np.testing.assert_allclose(np.bincount(rows.row, rows.weight), [10.0, 2.0])
    assert rows.label.tolist() == [0, 1, 2, 2]


def test_weighted_known_rows_stand_for_all_of_their_age() -> None:
    rows = stream()
    mature = (rows["age"] > 50) & rows["known"]
    weight = inverse_known_weights(rows["label"][mature], rows["age"][mature], fitted(rows))
    weighted = np.average(rows["label"][mature], weights=weight)
    assert abs(weighted - rows["label"][rows["age"] > 50].mean()) < 0.01


def test_known_weights_stop_at_the_cap() -> None:
    curves = DelayCurves.fit([1, 0, 0], [1, 2, 9], [10, 10, 10], classes=2)
    assert inverse_known_weights([1], [0.5], curves, cap=7.0).tolist() == [7.0]
