"""Recalibrators against scikit-learn; the choice helps where probabilities are wrong and leaves them alone where not."""

import math
import warnings
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import _sigmoid_calibration
from sklearn.isotonic import IsotonicRegression

from whorl.stats.calibration.calibration import Calibrator, Identity, choose
from whorl.stats.calibration.isotonic import Isotonic, fit_isotonic, pool_adjacent_violators
from whorl.stats.calibration.logistic_line import logistic_line
from whorl.stats.calibration.platt import Platt, fit_platt, logit
from whorl.stats.calibration.temperature import Temperature, fit_temperature
from whorl.stats.metrics.log_loss import log_loss


def binary(random: Any, n: int) -> tuple[Any, Any]:
    real = random.beta(1, 4, n)
    return (random.random(n) < real).astype(float), real


def test_platt_agrees_with_sklearn() -> None:
    random = np.random.default_rng(0)
    truth, real = binary(random, 800)
    weight = random.exponential(size=800)
    fitted = fit_platt(truth, real**2, weight)
    assert fitted is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        a, b = _sigmoid_calibration(logit(real**2), truth, sample_weight=weight)
    assert (fitted.slope, fitted.intercept) == pytest.approx((-a, -b), rel=1e-3)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(1, 4)), min_size=1, max_size=40))
def test_pooling_agrees_with_sklearn(rows: list[tuple[int, int]]) -> None:
    value, weight = np.array(rows, dtype=float).T
    expected = IsotonicRegression().fit_transform(np.arange(len(value)), value, sample_weight=weight)
    assert pool_adjacent_violators(value, weight) == pytest.approx(expected)


def test_isotonic_curve_agrees_with_sklearn_away_from_its_ends() -> None:
    random = np.random.default_rng(1)
    truth, real = binary(random, 3000)
    score, weight = np.round(real, 2), random.exponential(size=3000)
    fitted = fit_isotonic(truth, score, weight)
    assert fitted is not None
    expected = IsotonicRegression(out_of_bounds="clip").fit(score, truth, sample_weight=weight).predict(score)
    assert fitted.apply(score) == pytest.approx(
        np.clip(expected, 0.5 / (weight.sum() + 1), 1 - 0.5 / (weight.sum() + 1))
    )
    assert len(fitted.scores) < 60


@pytest.mark.parametrize("fit", [fit_platt, fit_isotonic])
def test_one_class_gives_no_recalibrator(fit: Any) -> None:
    assert fit(np.ones(5), np.linspace(0.1, 0.9, 5), np.ones(5)) is None
    assert fit(np.zeros(5), np.linspace(0.1, 0.9, 5), np.ones(5)) is None


def test_an_order_worse_than_chance_is_not_turned_round() -> None:
    truth, real = binary(np.random.default_rng(2), 2000)
    assert fit_platt(truth, 1 - real, np.ones(2000)) is None


def test_logistic_line_refuses_separated_and_constant_rows() -> None:
    x = np.array([-1.0, -0.5, 0.5, 1.0])
    assert math.isnan(logistic_line(x, (x > 0).astype(float), np.ones(4))[0])
    assert math.isnan(logistic_line(np.ones(4), np.array([0.0, 1.0, 1.0, 0.0]), np.ones(4))[0])


def test_temperature_finds_the_one_that_was_applied() -> None:
    random = np.random.default_rng(3)
    logits = random.normal(size=(20_000, 4))
    real = Temperature(1.0).apply(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))
    truth = (real.cumsum(axis=1) < random.random((20_000, 1))).sum(axis=1).astype(float)
    fitted = fit_temperature(truth, Temperature(0.5).apply(real), np.ones(20_000))
    assert fitted is not None
    assert fitted.temperature == pytest.approx(2.0, rel=0.05)
    assert fit_temperature(np.zeros(3), np.array([[0.9, 0.1]] * 3), np.ones(3)) is None


def test_choice_lowers_log_loss_on_new_rows_where_probabilities_are_wrong() -> None:
    random = np.random.default_rng(4)
    for distort in (
        lambda p: p**2 / (p**2 + (1 - p) ** 2),
        lambda p: np.where(p < 0.2, 0.5 * p, 0.6 + 0.2 * p),
    ):
        truth, real = binary(random, 5000)
        chosen = choose(truth, distort(real))
        assert not isinstance(chosen, Identity)
        new_truth, new_real = binary(random, 20_000)
        raw = distort(new_real)
        assert log_loss(new_truth, chosen.apply(raw)) < log_loss(new_truth, raw) - 0.005


def test_choice_leaves_calibrated_probabilities_alone_nearly_always() -> None:
    kept = [isinstance(choose(*binary(np.random.default_rng(seed), 600)), Identity) for seed in range(60)]
    assert np.mean(kept) > 0.85


def test_choice_needs_rows_and_both_classes() -> None:
    truth, real = binary(np.random.default_rng(5), 150)
    assert choose(truth, real**3) == Identity()
    assert choose(np.ones(500), np.linspace(0.01, 0.9, 500)) == Identity()
    assert choose([], []) == Identity()


def test_choice_in_multiclass_takes_temperature() -> None:
    random = np.random.default_rng(6)
    real = random.dirichlet(np.ones(3), 3000)
    truth = (real.cumsum(axis=1) < random.random((3000, 1))).sum(axis=1)
    assert isinstance(choose(truth, Temperature(0.4).apply(real)), Temperature)


def test_choice_keeps_groups_in_one_fold() -> None:
    """Copies of a row on both sides of a fold would let isotonic learn them by heart; as one group they do not."""
    random = np.random.default_rng(7)
    truth, real = binary(random, 150)
    copies = np.repeat(np.arange(150), 20)
    assert choose(truth[copies], real[copies], group=copies) == Identity()
    assert isinstance(choose(truth[copies], real[copies]), Isotonic)


@pytest.mark.parametrize(
    "one", [Identity(), Platt(1.2, -0.3), Temperature(1.5), Isotonic((0.1, 0.9), (0.2, 0.8))]
)
def test_recalibrators_survive_json(one: Calibrator) -> None:
    assert msgspec.json.decode(msgspec.json.encode(one), type=Calibrator) == one
