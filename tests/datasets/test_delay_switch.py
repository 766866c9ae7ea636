"""Delays are modelled where a test shows that they are tied to truth: one switch for datasets, training and judging."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from shop import Shop
from whorl.errors import SpecError
from whorl.examples.late_truth import late_truth
from whorl.examples.weights import late_truth_weight

Open = Callable[..., Shop]


def bookings(one: Shop, *, slow: float = 20.0, rows: int = 600, days: float = 40.0) -> float:
    """Half of each class; True is known after 3 days on average, False after `slow`. Returns the last day."""
    random = np.random.default_rng(0)
    ids = [f"b{i:04d}" for i in range(rows)]
    at, truth = np.sort(random.uniform(0, days, rows)), random.random(rows) < 0.5
    known = at + random.exponential(np.where(truth, 3, slow), rows)
    one.predicts(ids, at, amount=truth + random.normal(size=rows), age=random.uniform(10, 60, rows))
    came = known < days
    one.learns([i for i, k in zip(ids, came, strict=True) if k], truth[came].tolist(), known[came])
    return days


def switch(one: Shop, day: float) -> Any:
    return late_truth(
        one.ws.engine, one.ws.lake, one.ws.examples(one.until(day)).name, one.ws.spec, one.until(day)
    )


def roles(one: Shop, day: float) -> set[str]:
    version = one.dataset(one.until(day)).version
    found = one.asked(f"SELECT DISTINCT role FROM {one.lake('members')} WHERE version = {version}")
    return {row["role"] for row in found}


def test_it_is_on_where_the_test_shows_it_and_says_why(shop: Open) -> None:
    one = shop()
    day = bookings(one)
    found = switch(one, day)
    assert found.modelled
    assert "log-rank p = " in found.notes[0]
    assert "open" in roles(one, day)


def test_it_is_off_where_both_classes_are_equally_late_and_says_so(shop: Open) -> None:
    one = shop()
    day = bookings(one, slow=3.0)
    found = switch(one, day)
    assert not found.modelled
    assert "is not shown" in found.notes[0]
    assert "open" not in roles(one, day)


def test_an_audit_of_old_labels_does_not_make_them_late(shop: Open) -> None:
    one = shop('[labels]\ndelay = "survival"')
    day = bookings(one, slow=3.0)
    before = switch(one, day - 0.2).delays.known.age_of(0.9)
    old = one.asked(
        f"SELECT id FROM {one.ws.examples(one.until(day - 0.2)).name} WHERE NOT label AND age_days > 15 ORDER BY id"
    )
    one.learns([row["id"] for row in old[:80]], True, day - 0.1)
    assert len(old) > 80
    assert switch(one, day).delays.known.age_of(0.9) == pytest.approx(before, rel=0.2)


@pytest.mark.parametrize(
    "sections",
    [
        '[labels]\ndelay = "none"',
        '[labels]\nlag = "5d"',
        '[labels]\ndefault_after = { value = false, after = "10d" }',
    ],
    ids=["none", "lag", "default"],
)
def test_who_declared_another_answer_is_not_asked(shop: Open, sections: str) -> None:
    one = shop(sections)
    assert switch(one, bookings(one)) == (False, [], None)


def test_a_number_has_no_classes_that_could_come_later(shop: Open) -> None:
    one = shop(head='task = "regression"')
    one.predicts(["a", "b"], 0.0, amount=1.0)
    one.learns(["a"], 3.0)
    assert switch(one, 9) == (False, [], None)


def test_where_no_prediction_is_open_nothing_is_biased(shop: Open) -> None:
    one = shop()
    one.sales(300)
    assert switch(one, 60) == (False, [], None)


@pytest.mark.parametrize(
    ("truth", "delay"),
    [
        pytest.param([True] * 60, range(60), id="one class"),
        pytest.param([True, False] * 30, [2.0] * 60, id="all delays equal"),
        pytest.param([True, False, True], [1.0, 2.0, 3.0], id="three rows"),
    ],
)
def test_what_cannot_be_told_leaves_it_off_and_says_so(shop: Open, truth: list[bool], delay: Any) -> None:
    one = shop()
    ids = [f"r{i:03d}" for i in range(len(truth))]
    one.predicts(ids, 5.0)
    one.learns(ids, truth, 5.0 + np.array(delay, dtype=float), received=70.0)
    one.predicts(["open"], 79.0)
    found = switch(one, 80)
    assert not found.modelled
    assert "too few of two classes, or all equally late" in found.notes[0]


def test_where_hardly_any_young_prediction_is_open_nothing_is_biased(shop: Open) -> None:
    """Labels come in batches while the share of a class rises: the test would take that for a tie."""
    one, random = shop(), np.random.default_rng(0)
    at = np.sort(random.uniform(0, 42, 3600))
    ids, truth = [f"r{i:04d}" for i in range(3600)], random.random(3600) < 0.2 + 0.1 * (at > 28)
    one.predicts(ids, at)
    told = ids[:-3]
    one.learns(told, truth[:-3].tolist(), np.ceil(at[:-3] / 7) * 7)
    assert switch(one, 42.5) == (False, [], None)


def test_labels_dated_before_their_predictions_are_not_late(shop: Open) -> None:
    one = shop()
    ids = [f"r{i:03d}" for i in range(60)]
    one.predicts(ids, 5.0)
    one.learns(ids, [True, False] * 30, 4.0, received=70.0)
    one.predicts(["open"], 79.0)
    assert not switch(one, 80).modelled


def test_survival_needs_no_test(shop: Open) -> None:
    one = shop('[labels]\ndelay = "survival"')
    one.predicts(["a"], 0.0)
    assert switch(one, 9) == (True, [], None)


def test_delays_relative_to_a_horizon_are_what_is_tested(shop: Open) -> None:
    """In days the classes differ, as shares of what each row declares they do not."""
    random = np.random.default_rng(0)
    rows = 800
    ids = [f"r{i:04d}" for i in range(rows)]
    truth = random.random(rows) < 0.5
    due = np.where(truth, 4.0, 24.0)
    at = random.uniform(0, 40, rows)
    known = at + due * random.random(rows)
    found = {}
    for horizon in ("", 'horizon = "age"'):
        one = shop(f'[labels]\ndelay = "auto"\n{horizon}')
        one.predicts(ids, at, age=due)
        came = known < 40
        one.learns([i for i, k in zip(ids, came, strict=True) if k], truth[came].tolist(), known[came])
        found[horizon] = switch(one, 40).modelled
    assert list(found.values()) == [True, False]


def test_late_rows_weigh_for_those_that_are_open(shop: Open) -> None:
    one = shop()
    day = bookings(one, rows=3000, slow=12.0)
    examples = one.ws.examples(one.until(day))
    known = one.ws.engine.query(f"SELECT * FROM {examples.name} WHERE status = 'known'")
    late = switch(one, day)
    weight = late_truth_weight(known, late, one.ws.spec)
    truth = np.array(known["label"].to_pylist())
    old = np.array(known["age_days"].to_pylist()) > 5
    assert abs(truth[old].mean() - 0.5) > 0.04
    assert np.average(truth[old], weights=weight[old]) == pytest.approx(0.5, abs=0.03)
    assert late_truth_weight(known, late._replace(delays=None), one.ws.spec).tolist() == [1.0] * len(known)


def test_a_horizon_without_modelled_delays_is_refused(shop: Open) -> None:
    with pytest.raises(SpecError, match="delays are modelled"):
        shop('[labels]\ndelay = "none"\nhorizon = "age"')


def test_labels_that_people_were_asked_for_tell_nothing_of_delays(shop: Open) -> None:
    """What comes by itself does so after an hour, whatever it is; doubted rows are asked for, and answered a week later."""
    one, random = (
        shop("[curate]\nask = 150\nbudget = 0\nstrategy = 'margin'\nguard = false\n"),
        np.random.default_rng(0),
    )
    score = random.beta(0.15, 1.5, 1500)
    ids, at = [f"r{i:04d}" for i in range(1500)], np.sort(random.uniform(0, 6, 1500))
    truth, came = random.random(1500) < score, random.random(1500) < 0.4
    one.predicts(ids, at, score=score, amount=score)
    one.learns([i for i, c in zip(ids, came, strict=True) if c], truth[came].tolist(), at[came] + 1 / 24)
    one.dataset(one.until(7))
    picked = {row["id"] for row in one.asked(f"SELECT id FROM {one.lake('asked')}")}
    asked = np.array([i in picked for i in ids])
    one.learns([i for i, a in zip(ids, asked, strict=True) if a], truth[asked].tolist(), 13.0)

    assert asked.sum() == 150
    assert not switch(one, 20).modelled
    delays = one.ws.examples(one.until(21)).coverage()["delays"]
    assert all(found["max"] == pytest.approx(1 / 24) for found in delays.values())
    assert sum(found["labels"] for found in delays.values()) == came.sum()
