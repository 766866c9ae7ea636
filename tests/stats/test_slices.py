"""Slices where a loss is concentrated: the search against one that tries everything, and what is promised of its findings."""

from itertools import combinations, product

import numpy as np
import pytest

from whorl.stats.intervals.holm import holm
from whorl.stats.slices.conditions import Column, Condition, cut, holds
from whorl.stats.slices.slice_search import worst_slices
from whorl.stats.slices.slices import find_slices


def columns(random: np.random.Generator, n: int) -> list[Column]:
    amount = np.where(random.random(n) < 0.1, np.nan, random.normal(size=n))
    shop = random.choice(np.array(["a", "b", "c", None], dtype=object), n)
    new = random.choice(np.array([True, False], dtype=object), n)
    return [cut("amount", amount), cut("shop", shop), cut("new", new), cut("age", random.integers(0, 90, n))]


def everything(given: list[Column], excess: np.ndarray, least: int) -> dict[tuple[Condition, ...], float]:
    """Scores of all slices of one to three conditions that score more than each slice they are a part of."""
    scores: dict[tuple[Condition, ...], float] = {}
    sizes: dict[tuple[Condition, ...], int] = {}
    items = [one.conditions(place) for place, one in enumerate(given)]
    for deep in (1, 2, 3):
        for places in combinations(range(len(given)), deep):
            for chosen in product(*(items[place] for place in places)):
                rows = holds(chosen, given)
                sizes[chosen] = int(rows.sum())
                scores[chosen] = excess[rows].sum() / np.sqrt(rows.sum()) if rows.sum() >= least else -np.inf
    return {
        chosen: score
        for chosen, score in scores.items()
        if least <= sizes[chosen] <= len(excess) / 2
        and score > 2
        and all(score > scores[part] for part in combinations(chosen, len(chosen) - 1) if part)
    }


@pytest.mark.parametrize("seed", range(4))
def test_the_search_finds_what_trying_everything_finds(seed: int) -> None:
    random = np.random.default_rng(seed)
    given, loss = columns(random, 700), random.exponential(size=700)
    loss[holds(given[0].conditions(0)[:1], given) & holds(given[1].conditions(1)[:1], given)] += 1
    excess = (loss - loss.mean()) / loss.std()
    wanted = sorted(everything(given, excess, 20).items(), key=lambda one: -one[1])
    for most in (5, 1000):
        found, _ = worst_slices(given, excess, least=20, most=most)
        np.testing.assert_allclose([one.score for one in found], [score for _, score in wanted[:most]])
    assert {one.conditions for one in found} == {chosen for chosen, _ in wanted}


def test_without_structure_hardly_ever_a_slice_is_shown() -> None:
    wrong = 0
    for seed in range(60):
        random = np.random.default_rng(seed)
        loss = (random.random(1200) < 0.1).astype(np.float64)
        wrong += bool(find_slices(columns(random, 1200), loss, seed=seed).shown)
    assert wrong <= 7, "5 % of 60 are 3; more than 7 has a chance of 1 %"


def test_without_structure_rows_of_a_group_do_not_make_one() -> None:
    wrong = 0
    for seed in range(40):
        random = np.random.default_rng(seed)
        group = random.integers(0, 150, 1500)
        bad = random.random(150) < 0.15
        shops = random.choice(np.array(list("abcde"), dtype=object), 150)
        given = [cut("shop", shops[group]), *columns(random, 1500)]
        loss = np.where(bad[group], 0.8, 0.05) > random.random(1500)
        wrong += bool(find_slices(given, loss.astype(np.float64), group=group, seed=seed).shown)
    assert wrong <= 5


def test_a_planted_slice_is_found_and_told_once() -> None:
    first, several = 0, 0
    for seed in range(20):
        random = np.random.default_rng(seed)
        given = columns(random, 5000)
        planted = (given[1].codes == 0) & (given[2].codes == 1)
        loss = (random.random(5000) < np.where(planted, 0.3, 0.08)).astype(np.float64)
        shown = find_slices(given, loss, seed=seed).shown
        several += len(shown) > 1
        found = holds(shown[0].conditions, given) if shown else np.zeros(5000, dtype=bool)
        first += bool((found & planted).sum() > 0.6 * max(found.sum(), planted.sum()))
    assert first >= 18
    assert several <= 2, "slices of it, and those that overlap it, add nothing"


def test_figures_come_from_rows_that_did_not_choose_and_cover() -> None:
    covered = []
    for seed in range(60):
        random = np.random.default_rng(seed)
        given = [cut("shop", random.choice(np.array(list("abcd"), dtype=object), 2000))]
        rate = np.where(given[0].codes == 0, 0.3, 0.1)
        for one in find_slices(given, (random.random(2000) < rate).astype(np.float64), seed=seed).shown:
            true = rate[holds(one.conditions, given)].mean()
            covered.append(one.mean.low <= true <= one.mean.high)
            assert one.lift.low <= one.lift.value <= one.lift.high
    assert len(covered) >= 50
    assert np.mean(covered) >= 0.88


@pytest.mark.parametrize(("rate", "weighted"), [(0.97, False), (0.995, False), (0.97, True)])
def test_where_nearly_all_rows_are_wrong_the_intervals_cover(rate: float, weighted: bool) -> None:
    of_mean, of_difference, of_lift = [], [], []
    for seed in range(200):
        random = np.random.default_rng(seed)
        given = [cut("shop", random.choice(np.array(list("abcdefghij"), dtype=object), 1000))]
        bad = given[0].codes == 0
        weight = random.choice([1.0, 2.0], 1000) if weighted else None
        loss = (random.random(1000) < np.where(bad, rate, 0.05)).astype(np.float64)
        one = find_slices(given, loss, weight, seed=seed).shown[0]
        assert 0 <= one.mean.low < one.mean.value <= one.mean.high <= 1
        of_mean.append(one.mean.low <= rate <= one.mean.high)
        of_difference.append(one.difference.low <= rate - 0.05 <= one.difference.high)
        of_lift.append(one.lift.low <= rate / 0.05 <= one.lift.high)
    assert min(map(np.mean, (of_mean, of_difference, of_lift))) >= 0.90


def test_a_loss_without_bounds_keeps_students_interval() -> None:
    random = np.random.default_rng(0)
    given = [cut("shop", random.choice(np.array(list("abcd"), dtype=object), 2000))]
    loss = random.exponential(size=2000) * np.where(given[0].codes == 0, 2.0, 1.0)
    (one,) = find_slices(given, loss).shown
    assert one.mean.high - one.mean.value == pytest.approx(one.mean.value - one.mean.low)
    assert one.difference.high - one.difference.value == pytest.approx(
        one.difference.value - one.difference.low
    )
    assert one.mean.low > 1.5


@pytest.mark.parametrize("loss", [np.zeros(500), np.ones(500), np.r_[np.ones(3), np.zeros(497)]])
def test_a_loss_that_hardly_varies_has_no_slices(loss: np.ndarray) -> None:
    assert find_slices(columns(np.random.default_rng(0), 500), loss).shown == []


def test_few_rows_or_no_columns_are_no_slices() -> None:
    given = columns(np.random.default_rng(0), 100)
    assert find_slices(given, np.arange(100.0)).tested == 0
    assert find_slices([], np.arange(500.0)).tested == 0
    with pytest.raises(ValueError, match="not finite"):
        find_slices(given, np.full(100, np.nan))


def test_holm_steps_down() -> None:
    # The smallest of four times 4, the next times 3, then 2 and 1, and never below the one before.
    np.testing.assert_allclose(holm([0.01, 0.005, 0.03, 0.04]), [0.03, 0.02, 0.06, 0.06])
    np.testing.assert_allclose(holm([0.01, np.nan]), [0.02, np.nan])
