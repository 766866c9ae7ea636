"""Each metric against scikit-learn, on random, tied and weighted rows; undefined is nan, missing is refused."""

import math
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from whorl.errors import NotFound
from whorl.stats.metrics.calibration_error import calibration_error, calibration_line
from whorl.stats.metrics.metric import METRICS, metric_named

RANDOM = np.random.default_rng(7)


def binary_rows(n: int = 400, tied: bool = False, seed: int = 1) -> tuple[Any, Any, Any]:
    random = np.random.default_rng(seed)
    truth = (random.random(n) < 0.3).astype(float)
    score = np.clip(0.5 * random.random(n) + 0.3 * truth, 0.01, 0.99)
    return truth, np.round(score, 1) if tied else score, random.exponential(size=n)


REFERENCE = {
    "auc": lambda y, p, w: sk.roc_auc_score(y, p, sample_weight=w),
    "average_precision": lambda y, p, w: sk.average_precision_score(y, p, sample_weight=w),
    "log_loss": lambda y, p, w: sk.log_loss(y, p, sample_weight=w),
    "accuracy": lambda y, p, w: sk.accuracy_score(y, p >= 0.5, sample_weight=w),
    "brier": lambda y, p, w: sk.brier_score_loss(y, p, sample_weight=w),
    "mae": lambda y, p, w: sk.mean_absolute_error(y, p, sample_weight=w),
    "rmse": lambda y, p, w: sk.root_mean_squared_error(y, p, sample_weight=w),
}


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", REFERENCE)
def test_binary_and_regression_agree_with_sklearn(name: str, weighted: bool, tied: bool) -> None:
    truth, score, weight = binary_rows(tied=tied)
    w = weight if weighted else None
    assert METRICS[name].function(truth, score, w) == pytest.approx(
        REFERENCE[name](truth, score, w), abs=1e-12
    )


@pytest.mark.parametrize("weighted", [False, True])
def test_multiclass_agrees_with_sklearn(weighted: bool) -> None:
    random = np.random.default_rng(3)
    probability = random.dirichlet(np.ones(4), size=500)
    truth = np.array([random.choice(4, p=row) for row in probability])
    weight = random.exponential(size=500) if weighted else None
    one_hot = np.eye(4)[truth]
    expected = {
        "auc": np.mean(
            [sk.roc_auc_score(one_hot[:, k], probability[:, k], sample_weight=weight) for k in range(4)]
        ),
        "average_precision": sk.average_precision_score(one_hot, probability, sample_weight=weight),
        "log_loss": sk.log_loss(truth, probability, sample_weight=weight),
        "accuracy": sk.accuracy_score(truth, probability.argmax(axis=1), sample_weight=weight),
        "brier": sk.brier_score_loss(truth, probability, sample_weight=weight, labels=range(4)) / 2,
    }
    for name, value in expected.items():
        assert METRICS[name].function(truth, probability, weight) == pytest.approx(value, abs=1e-12), name


def test_a_class_missing_from_truth_is_left_out_and_a_class_unknown_to_the_model_costs() -> None:
    probability = np.array([[0.7, 0.2, 0.1], [0.2, 0.7, 0.1], [0.6, 0.3, 0.1]])
    assert METRICS["auc"].function([0, 1, 0], probability) == 1.0
    assert METRICS["log_loss"].function([3], probability[:1]) == pytest.approx(-math.log(1e-15))
    assert METRICS["accuracy"].function([3], probability[:1]) == 0.0
    assert METRICS["brier"].function([3], probability[:1]) == pytest.approx((0.49 + 0.04 + 0.01 + 1) / 2)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4), st.integers(0, 3)), min_size=2, max_size=30))
def test_a_weight_is_that_many_rows(rows: list[tuple[bool, int, int]]) -> None:
    truth = np.array([row[0] for row in rows], dtype=float)
    score = np.array([row[1] for row in rows]) / 5 + 0.1
    weight = np.array([row[2] for row in rows])
    for name, metric in METRICS.items():
        weighted = metric.function(truth, score, weight)
        repeated = metric.function(np.repeat(truth, weight), np.repeat(score, weight))
        assert weighted == pytest.approx(repeated, abs=1e-12, nan_ok=True), name


@pytest.mark.parametrize("name", METRICS)
def test_no_rows_and_no_weight_are_undefined(name: str) -> None:
    function = METRICS[name].function
    assert math.isnan(function([], []))
    assert math.isnan(function([0, 1], [0.2, 0.7], [0, 0]))


@pytest.mark.parametrize("name", ["auc", "average_precision"])
@pytest.mark.parametrize("only", [0, 1])
def test_one_class_is_undefined_for_rank_metrics(name: str, only: int) -> None:
    assert math.isnan(METRICS[name].function([only] * 3, [0.1, 0.2, 0.3]))
    assert math.isnan(METRICS[name].function([only] * 3 + [1 - only], [0.1, 0.2, 0.3, 0.4], [1, 1, 1, 0]))


@pytest.mark.parametrize("name", METRICS)
def test_missing_values_and_bad_weights_are_refused(name: str) -> None:
    function = METRICS[name].function
    with pytest.raises(ValueError, match=r"1 values .* nan"):
        function([0, 1], [0.2, math.nan])
    with pytest.raises(ValueError, match="negative"):
        function([0, 1], [0.2, 0.3], [1, -1])
    with pytest.raises(ValueError, match="do not fit"):
        function([0, 1], [0.2])


def test_calibration_error_is_near_zero_when_calibrated_and_finds_a_shift() -> None:
    chance = RANDOM.random(200_000)
    truth = RANDOM.random(200_000) < chance
    assert calibration_error(truth, chance) < 0.01
    assert calibration_error(truth, np.clip(chance + 0.1, 0, 1)) == pytest.approx(0.1, abs=0.015)


def test_calibration_error_by_hand_with_ten_distinct_predictions() -> None:
    chance = np.repeat(np.arange(10) / 10 + 0.05, 20)
    truth = np.concatenate([np.arange(20) < round(20 * p) - 1 for p in np.arange(10) / 10 + 0.05])
    assert calibration_error(truth, chance) == pytest.approx(1 / 20)


def test_calibration_line_agrees_with_unpenalised_logistic_regression() -> None:
    from sklearn.linear_model import LogisticRegression

    truth, score, weight = binary_rows(2000)
    odds = np.log(score / (1 - score))[:, None]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(odds, truth, sample_weight=weight)
    slope, intercept = calibration_line(truth, score, weight)
    assert slope == pytest.approx(float(model.coef_[0, 0]), rel=1e-4)
    assert intercept == pytest.approx(float(model.intercept_[0]), rel=1e-4)


@pytest.mark.parametrize(
    ("truth", "score"), [([1, 1], [0.2, 0.8]), ([0, 1], [0.2, 0.8]), ([0, 1], [0.5, 0.5]), ([], [])]
)
def test_calibration_line_is_nan_where_no_line_is_best(truth: list[int], score: list[float]) -> None:
    assert all(math.isnan(v) for v in calibration_line(truth, score))


def test_an_unknown_metric_names_the_nearest() -> None:
    with pytest.raises(NotFound, match="Did you mean 'log_loss'"):
        metric_named("logloss")
