"""The detector of our own: its false alarms by simulation, its recursion against the definition, what it refuses."""

import numpy as np
import pytest

from whorl.stats.change.e_detector import ODDS, STAKES, first_alarm

RATE = 1e-3


def stationary(base: float, streams: int, rows: int) -> np.ndarray:
    random = np.random.default_rng([3, round(base * 1000)])
    first = [first_alarm(random.random(rows) < base, RATE) for _ in range(streams)]
    return np.array([np.inf if place is None else place for place in first])


@pytest.mark.parametrize("base", [0.02, 0.1, 0.3, 0.5])
def test_the_chance_of_a_false_alarm_within_n_rows_is_at_most_n_times_the_rate(base: float) -> None:
    first = stationary(base, streams=600, rows=500)
    for rows in (20, 100, 500):
        share = float((first < rows).mean())
        error = np.sqrt(rows * RATE / 600)
        assert share <= rows * RATE + 2 * error


def test_it_is_not_so_seldom_that_the_promise_would_be_idle() -> None:
    assert (stationary(0.3, streams=600, rows=500) < 500).mean() > 0.3 * 500 * RATE


@pytest.mark.parametrize(("rises_to", "within"), [(0.3, 300), (0.5, 60)])
def test_a_rise_is_found_after_about_as_many_rows_as_theory_has_it(rises_to: float, within: float) -> None:
    delays = []
    for seed in range(40):
        random = np.random.default_rng([4, seed])
        errors = np.concatenate([random.random(10_000) < 0.2, random.random(4_000) < rises_to])
        place = first_alarm(errors, 1e-5)
        assert place is not None
        if place >= 10_000:
            delays.append(place - 9_999)
    assert len(delays) >= 36
    assert np.mean(delays) <= within


def test_the_evidence_is_the_sum_over_all_beginnings() -> None:
    """The definition, row by row and beginning by beginning, gives the alarm that the blocks give."""
    random = np.random.default_rng(5)
    x = np.concatenate([random.random(300) < 0.1, random.random(100) < 0.4]).astype(float)
    base = (np.cumsum(x) - x + 0.5) / np.arange(1, len(x) + 1)
    ratio = np.where(x[:, None] == 1, ODDS, 1.0) / (1 + base[:, None] * (ODDS - 1))
    evidence = [sum(np.prod(ratio[s : t + 1], axis=0) @ STAKES for s in range(t + 1)) for t in range(len(x))]
    expected = int(np.argmax(np.array(evidence) >= 1e4))
    assert first_alarm(x, 1e-4) == expected > 300


def test_each_ratio_is_fair_under_its_prediction() -> None:
    base = np.linspace(0.001, 0.999, 50)[:, None]
    fair = (base * ODDS + 1 - base) / (1 + base * (ODDS - 1))
    assert fair == pytest.approx(1.0)
    assert pytest.approx(1.0) == STAKES.sum()


def test_losses_between_0_and_1_are_taken_for_parts_of_an_error() -> None:
    random = np.random.default_rng(6)
    quiet, worse = random.beta(2, 8, 5_000), random.beta(4, 6, 2_000)
    assert first_alarm(quiet, 1e-5) is None
    found = first_alarm(np.concatenate([quiet, worse]), 1e-5)
    assert found is not None
    assert 5_000 <= found < 5_200


@pytest.mark.parametrize("errors", [[], [0], [1], [0] * 5_000, [1] * 200_000, [0.5] * 5_000, [1, 1, 0]])
def test_what_never_varies_or_is_hardly_there_is_no_alarm(errors: list[float]) -> None:
    assert first_alarm(errors, 1e-5) is None


@pytest.mark.parametrize(
    ("errors", "said"),
    [([0, float("nan")], "place 1, is nan"), ([0, 0, -0.1], "place 2, is -0.1"), ([[0, 1]], "shape")],
)
def test_what_is_no_error_is_refused(errors: list[float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        first_alarm(errors, 1e-5)


@pytest.mark.parametrize("rate", [0.0, 1.0, float("nan")])
def test_a_rate_that_cannot_be_meant_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        first_alarm([0, 1], rate)
