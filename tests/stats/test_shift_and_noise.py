"""A loss parted into other rows and other outcomes, by weights whose truth is known; label errors against cleanlab."""

import numpy as np
import pytest
from cleanlab.filter import find_label_issues

from whorl.stats.change.shift_parts import shared_weight, shift_parts
from whorl.stats.learning.label_errors import class_thresholds, label_errors
from whorl.stats.linear import variance


@pytest.mark.parametrize("classes", [2, 5])
def test_label_errors_are_those_of_cleanlab(classes: int) -> None:
    random = np.random.default_rng(classes)
    truth = random.integers(0, classes, 800)
    label = np.where(random.random(800) < 0.15, random.integers(0, classes, 800), truth)
    said = random.dirichlet(np.ones(classes), 800) + 2 * np.eye(classes)[truth]
    said /= said.sum(axis=1, keepdims=True)
    wanted = find_label_issues(label, said, filter_by="confident_learning", n_jobs=1)
    found = label_errors(label, said, class_thresholds(label, said))
    np.testing.assert_array_equal(found, wanted)


def test_a_class_without_rows_is_no_suspicion() -> None:
    said = np.array([[0.2, 0.1, 0.7], [0.6, 0.1, 0.3]])
    threshold = class_thresholds(np.array([0, 0]), said)
    assert threshold.tolist() == [0.4, np.inf, np.inf]
    assert label_errors(np.array([0, 0]), said, threshold).tolist() == [False, False]


def rows(random: np.random.Generator, shift: float, worse: float) -> tuple[np.ndarray, ...]:
    """Hard rows lose 0.4 and easy ones 0.1 on average; recent rows are harder by `shift`, and lose `worse` more."""
    n = 3000
    recent = random.random(n) < 0.4
    hard = random.random(n) < np.where(recent, 0.3 + shift, 0.3)
    loss = (random.random(n) < 0.1 + 0.3 * hard + worse * recent).astype(np.float64)
    odds = np.where(hard, (0.3 + shift) / 0.3, (0.7 - shift) / 0.7) * 0.4 / 0.6
    return loss, recent, shared_weight(recent, odds / (1 + odds))


@pytest.mark.parametrize(("shift", "worse"), [(0.0, 0.0), (0.3, 0.0), (0.0, 0.1), (0.3, 0.1)])
def test_parts_are_what_was_planted_and_their_intervals_cover(shift: float, worse: float) -> None:
    covered = np.zeros(2)
    for seed in range(150):
        loss, recent, shared = rows(np.random.default_rng(seed), shift, worse)
        parts = shift_parts(loss, np.ones(len(loss)), recent, shared)
        assert parts.total.value == pytest.approx(parts.rows.value + parts.outcomes.value)
        for place, (part, true) in enumerate(((parts.rows, 0.3 * shift), (parts.outcomes, worse))):
            covered[place] += abs(part.value - true) <= 1.96 * variance(part.terms) ** 0.5 + 1e-9
    assert (covered / 150 >= 0.9).all()


def test_without_rows_on_one_side_nothing_is_defined() -> None:
    recent = np.ones(4, dtype=bool)
    parts = shift_parts(np.ones(4), np.ones(4), recent, np.ones(4))
    assert np.isnan(parts.total.value)
    assert np.isnan(parts.outcomes.value)
