"""Hazards in steps of age: what open rows turn out to be is told right although delays depend on class and features."""

import numpy as np
import pytest

from whorl.stats.delay.label_delay_hazards import at_risk, chances_when_open, delay_steps, step_of


def log(rows: int = 60_000, seed: int = 0) -> dict[str, np.ndarray]:
    """Two groups, half of either class. Class 1 comes at once in group 0 and late in group 1; class 0 the other way round."""
    rng = np.random.default_rng(seed)
    group, label = rng.integers(0, 2, rows), rng.integers(0, 2, rows)
    delay = rng.exponential(np.where(group == label, 30, 5), rows)
    age = rng.uniform(0, 100, rows)
    return {"group": group, "label": label, "delay": delay, "age": age, "known": delay <= age}


def rates(rows: dict[str, np.ndarray], ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The plainest classifier: hazards (2, s) and shares of the classes (2, s + 1, 2) of each group, counted."""
    seen = np.where(rows["known"], rows["delay"], np.inf)
    risk, known = at_risk(seen, rows["age"], ends), np.flatnonzero(rows["known"])
    came_in = step_of(rows["delay"][known], ends)
    hazard, share = np.zeros((2, len(ends))), np.zeros((2, len(ends) + 1, 2))
    for g in (0, 1):
        own = rows["group"][risk.row] == g
        for step in range(len(ends)):
            hazard[g, step] = risk.came[own & (risk.step == step)].mean()
        for step in range(len(ends) + 1):
            of = rows["label"][known][(rows["group"][known] == g) & (came_in == step)]
            share[g, step] = np.bincount(of, minlength=2) / len(of)
    return hazard, share


def test_open_rows_turn_out_as_often_as_told_at_every_age_in_every_group() -> None:
    rows = log()
    ends = delay_steps(rows["delay"][rows["known"]], most=20)
    hazard, share = rates(rows, ends)
    still_open = ~rows["known"]
    group, age = rows["group"][still_open], rows["age"][still_open]
    told = chances_when_open(age, ends, hazard[group], share[group])[:, 1]
    truth = rows["label"][still_open]
    for g in (0, 1):
        for low, high in ((0, 5), (5, 15), (15, 40)):
            at = (group == g) & (age >= low) & (age < high)
            assert told[at].mean() == pytest.approx(truth[at].mean(), abs=0.04)


def test_rates_that_know_no_group_are_wrong_here() -> None:
    """The check above can fail: within a class, delay depends on the group."""
    rows = log()
    ends = delay_steps(rows["delay"][rows["known"]], most=20)
    hazard, share = (rate.mean(axis=0, keepdims=True) for rate in rates(rows, ends))
    old = ~rows["known"] & (rows["age"] > 15) & (rows["group"] == 0)
    blind = chances_when_open(rows["age"][old], ends, hazard, np.repeat(share, old.sum(), axis=0))[:, 1]
    assert abs(blind.mean() - rows["label"][old].mean()) > 0.3


def test_chances_are_chances() -> None:
    rng = np.random.default_rng(1)
    ends = np.array([0.0, 1.0, 4.0])
    shares = rng.dirichlet([1, 1, 1], size=(50, 4))
    told = chances_when_open(rng.uniform(-1, 9, 50), ends, rng.random((50, 3)), shares)
    np.testing.assert_allclose(told.sum(axis=1), 1)
    assert (told >= 0).all()


def test_by_hand() -> None:
    """Two steps of 10 days with hazards .2 and .5; class 1 has .1, .6 and .9 of the labels in them and after."""
    ends, hazard = np.array([10.0, 20.0]), np.array([[0.2, 0.5]])
    second = np.array([0.1, 0.6, 0.9])
    shares = np.stack([1 - second, second], axis=-1)[None]
    told = [chances_when_open([age], ends, hazard, shares)[0, 1] for age in (0, 10, 15, 20, 99)]
    halfway = 1 - 0.5**0.5
    expected = [
        0.2 * 0.1 + 0.8 * (0.5 * 0.6 + 0.5 * 0.9),
        0.5 * 0.6 + 0.5 * 0.9,
        halfway * 0.6 + (1 - halfway) * 0.9,
        0.9,
        0.9,
    ]
    np.testing.assert_allclose(told, expected)


def test_a_row_is_asked_for_a_step_only_when_it_has_passed_it() -> None:
    """Labelled in the step that it is still in: it would count among the quick, and those that are slow do not yet."""
    risk = at_risk([0.5, np.inf], [1.5, 1.5], np.array([1.0, 2.0]))
    assert risk.row.tolist() == [0, 1]
    assert at_risk([1.2], [1.5], np.array([1.0, 2.0])).came.tolist() == [False]


@pytest.mark.parametrize("delay", [[], [7.0], [7.0] * 30, [0.0] * 3])
def test_equal_delays_leave_the_last_step_only(delay: list[float]) -> None:
    ends = delay_steps(delay)
    assert ends.tolist() == []
    assert at_risk(delay, [99.0] * len(delay), ends).row.tolist() == []
    told = chances_when_open([3.0], ends, np.empty((1, 0)), np.array([[[0.25, 0.75]]]))
    assert told.tolist() == [[0.25, 0.75]]
