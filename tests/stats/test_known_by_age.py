"""Ages at which every class can be known, against the truth of simulated delays."""

import numpy as np
import pytest

from whorl.stats.delay.known_by_age import LEAST_KNOWN, NEARLY_ALL, KnownByAge, all_told
from whorl.stats.delay.label_delay import DelayCurves

CLASSES = 2


def stream(seed: int, rows: int = 20_000, days: float = 200.0) -> dict[str, np.ndarray]:
    """Class 1 (35 %) is known uniformly within 5 to 40 days, class 0 within 25 to 60."""
    random = np.random.default_rng(seed)
    age, label = random.uniform(0, days, rows), (random.random(rows) < 0.35).astype(np.intp)
    delay = np.where(label == 1, random.uniform(5, 40, rows), random.uniform(25, 60, rows))
    return {"age": age, "label": label, "delay": delay, "known": delay <= age}


def fitted(rows: dict[str, np.ndarray]) -> KnownByAge:
    seen = rows["known"]
    curves = DelayCurves.fit(rows["label"][seen], rows["delay"][seen], rows["age"][seen], classes=CLASSES)
    return KnownByAge(curves, np.array([0.65, 0.35]))


def test_the_ages_are_those_of_the_later_class() -> None:
    known = fitted(stream(0))
    assert known.age_of(LEAST_KNOWN) == pytest.approx(25 + 3.5, abs=0.5)
    assert known.age_of(NEARLY_ALL) == pytest.approx(60 - 1.75, abs=0.5)
    assert known.every_class([27.0, 30.0]).tolist() == [False, True]


def test_weighted_rows_have_no_bias_and_older_ones_need_no_weights() -> None:
    shares, young, plain = [], [], []
    for seed in range(20):
        rows = stream(seed, rows=4000)
        known, seen = fitted(rows), rows["known"]
        label, age = rows["label"][seen], rows["age"][seen]
        weight = known.weights(label, age)
        near = (age < 60) & (weight > 0)
        shares.append(np.average(label[near], weights=weight[near]))
        young.append(label[age < 28].mean())
        plain.append(label[age > known.age_of(NEARLY_ALL)].mean())
    assert np.mean(shares) == pytest.approx(0.35, abs=0.015)
    assert np.mean(young) > 0.9
    assert np.mean(plain) == pytest.approx(0.35, abs=0.015)


def test_of_many_classes_the_rarest_need_not_be_known() -> None:
    label, delay = np.repeat([0, 1, 2], [600, 380, 20]), np.repeat([1.0, 2.0, 50.0], [600, 380, 20])
    curves = DelayCurves.fit(label, delay, np.full(1000, 60.0), classes=3)
    assert KnownByAge(curves, np.array([0.6, 0.38, 0.02])).age_of(NEARLY_ALL) == 2.0
    assert KnownByAge(curves, np.array([0.5, 0.3, 0.2])).age_of(NEARLY_ALL) == 50.0


@pytest.mark.parametrize(("days", "told"), [(30.0, False), (60.0, False), (120.0, True), (200.0, True)])
def test_how_late_truth_comes_is_told_once_it_has_all_come(days: float, told: bool) -> None:
    """A tenth never answers."""
    rows = stream(1, days=days)
    never = np.random.default_rng(2).random(len(rows["age"])) < 0.1
    delay = np.where(rows["known"] & ~never, rows["delay"], np.nan)
    assert all_told(delay, rows["age"]) is told


def test_nothing_is_told_without_a_truth() -> None:
    assert not all_told([], [])
    assert not all_told([np.nan, np.nan], [3.0, 9.0])
