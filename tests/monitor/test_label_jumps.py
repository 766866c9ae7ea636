"""Labels that one segment cannot have that many of: found in the first period, and seldom where nothing has changed."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from shop import Shop
from whorl.monitor.label_jumps import label_jumps
from whorl.monitor.watch import watch
from whorl.stats.change.count_jump import count_jumps

Open = Callable[..., Shop]
SEGMENTS = 'segments = ["place"]'


def week(one: Shop, number: int, *, flips: float = 0.0, told: float = 1.0, n: int = 600, **more: Any) -> None:
    """A week of predictions, 10 % of them true as scored; in place `q` the labels of a share `flips` are turned round."""
    random = np.random.default_rng(number)
    ids, place = [f"w{number}-{i:04d}" for i in range(n)], random.choice(list("pqr"), n)
    score = random.beta(1, 9, n)
    label = random.random(n) < score
    label ^= (place == "q") & (random.random(n) < flips)
    at = 7 * number + np.sort(random.uniform(0.01, 6.9, n))
    one.predicts(ids, at, **{"score": score, "place": place, **more})
    known = [i for i in range(n) if random.random() < told or (label[i] and flips)]
    one.learns([ids[i] for i in known], label[known].tolist(), at[known] + 0.05)


def test_labels_that_are_turned_round_in_one_segment_are_found_in_the_first_week(shop: Open) -> None:
    one = shop(schema=SEGMENTS)
    for number in range(4):
        week(one, number)
    assert label_jumps(one.ws, one.until(28)) == []
    week(one, 4, flips=0.4)
    (found,) = watch(one.ws, one.until(35))
    assert (found.kind, found.severity, found.facts["segments"]) == (
        "label_rate_jump",
        "warning",
        ["place = 'q'"],
    )
    assert found.value is not None
    assert found.threshold is not None
    assert found.value > 0.3
    assert found.threshold < 0.15
    assert "place = 'q'" in found.message
    rows = one.asked(f"SELECT * FROM {one.ws.examples(one.day(35)).name} WHERE id LIKE 'w4-%' AND label")
    wrong = [row["id"] for row in sorted(rows, key=lambda row: row["score"]) if row["f_place"] == "q"]
    assert found.facts["ids"] == wrong[:5]
    assert watch(one.ws, one.day(35)) == [], "it is said once"


def test_one_earlier_week_is_enough_and_none_says_nothing(shop: Open) -> None:
    one = shop(schema=SEGMENTS)
    week(one, 0, flips=0.5)
    assert label_jumps(one.ws, one.until(7)) == []
    two = shop(schema=SEGMENTS)
    week(two, 1)
    week(two, 2, flips=0.5)
    assert len(label_jumps(two.ws, two.until(21))) == 1


def test_fewer_labels_more_traffic_and_hidden_truth_are_no_jump(shop: Open) -> None:
    one = shop(schema=SEGMENTS)
    for number in range(3):
        week(one, number, told=0.3)
    week(one, 3, n=1800, told=0.3)
    week(one, 4, told=0.05)
    assert label_jumps(one.ws, one.until(35)) == []


@pytest.mark.parametrize("last", [0.2, 0.6, 1.0])
def test_whoever_labels_more_finds_more_of_every_class(shop: Open, last: float) -> None:
    one = shop(schema=SEGMENTS)
    for number in range(8):
        week(one, number, told=0.05)
    week(one, 8, n=2000, told=last)
    assert label_jumps(one.ws, one.until(63)) == []
    two = shop(schema=SEGMENTS)
    for number in range(8):
        week(two, number, told=0.05)
    week(two, 8, n=2000, told=last, flips=0.4)
    (found,) = label_jumps(two.ws, two.until(63))
    assert found.facts["segments"][0] == "place = 'q'", "it is found beside a sprint too"


def test_a_class_whose_truth_comes_first_is_no_jump(shop: Open) -> None:
    """A week after a prediction only what is true is known; that it was false shows three weeks later."""
    one, random = shop(schema=SEGMENTS), np.random.default_rng(0)
    for number in range(9):
        ids = [f"w{number}-{i:04d}" for i in range(600)]
        at, score = 7 * number + np.sort(random.uniform(0.01, 6.9, 600)), random.beta(1, 9, 600)
        label = random.random(600) < score
        known = at + np.where(label, 0.05, 21.0)
        one.predicts(ids, at, score=score, place=random.choice(list("pqr"), 600))
        one.learns(ids, label.tolist(), known, received=known)
    assert label_jumps(one.ws, one.until(63)) == []


def test_without_segments_all_rows_are_one(shop: Open) -> None:
    one = shop()
    for number in range(3):
        week(one, number)
    week(one, 3, flips=0.8)
    (found,) = label_jumps(one.ws, one.until(28))
    assert found.facts["segments"] == ["all rows"]


def test_a_segment_of_three_rows_a_missing_one_and_scores_out_of_range_are_borne(shop: Open) -> None:
    one = shop(schema=SEGMENTS)
    for number in range(3):
        week(one, number, place=[None] * 597 + ["x"] * 3, score=[1.7, -0.5, 0.5] * 200)
    assert label_jumps(one.ws, one.until(21)) == []


def test_an_empty_segment_is_not_a_missing_one(shop: Open) -> None:
    one = shop(schema=SEGMENTS)
    for number in range(4):
        drawn = np.random.default_rng(number).choice(list("pqr"), 600)
        place = [{"p": None, "q": ""}.get(value, value) for value in drawn.tolist()]
        week(one, number, flips=0.4 * (number == 3), place=place)
    (found,) = label_jumps(one.ws, one.until(28))
    assert found.facts["segments"] == ["place = ''"]
    of = one.asked(f"SELECT id, f_place FROM {one.ws.examples(one.day(28)).name} WHERE f_place = ''")
    assert set(found.facts["ids"]) <= {row["id"] for row in of}


def test_classes_jump_too(shop: Open) -> None:
    one, random = shop(head='task = "multiclass"', schema=SEGMENTS), np.random.default_rng(0)
    for number in range(4):
        ids = [f"w{number}-{i}" for i in range(600)]
        place, truth = random.choice(list("pqr"), 600), random.choice(list("xyz"), 600)
        told = np.where((place == "q") & (number == 3), "z", truth)
        scores = [[(name, 0.8 if name == t else 0.1) for name in "xyz"] for t in truth]
        one.predicts(ids, 7 * number + 1.0, scores=scores, place=place)
        one.learns(ids, told.tolist(), 7 * number + 2.0)
    (found,) = label_jumps(one.ws, one.until(28))
    assert found.facts["segments"] == ["place = 'q'"]
    assert "200 of 200 labels are z" in found.message


@pytest.mark.parametrize("varies", [0.0, 0.4])
def test_chance_of_a_jump_where_nothing_has_changed(varies: float) -> None:
    random = np.random.default_rng(0)
    small, tests = 0, 0
    for _ in range(400):
        expected = random.uniform(2, 60, (6, 7))
        ratio = np.exp(random.normal(0, varies, expected.shape)) * random.uniform(0.5, 1.5, (6, 1))
        p = count_jumps(random.poisson(expected * ratio), expected).p
        small, tests = small + int((p <= 0.01).sum()), tests + p.size
    assert small / tests <= 0.015, "ratios here have a heavier tail than the model of them"


def test_counts_that_cannot_be_compared_are_undefined() -> None:
    assert np.isnan(count_jumps([[0, 5]], [[0, 3]]).p).all()
    assert np.isnan(count_jumps([[5]], [[3]]).p).all()
    assert count_jumps([[0, 0, 0]], [[3, 3, 3]]).p.tolist() == [1.0]
