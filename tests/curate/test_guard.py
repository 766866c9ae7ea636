"""The guard: when chosen rows teach less than random ones the random share grows, and shrinks when they teach again."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from deltalake import DeltaTable

from shop import Shop
from whorl.curate.curate import curate
from whorl.curate.guard import LEAST_ROWS, chosen_against_random, due_look, guarded_share, shifted_share
from whorl.datasets.build import build
from whorl.records import CaseSet
from whorl.stats.arrays import Floats, Indices
from whorl.stats.intervals.error_budget import level_at
from whorl.stats.intervals.estimate import Estimate, student_quantile
from whorl.stats.learning.taught_difference import taught_difference
from whorl.storage import cycles

Open = Callable[..., Shop]
# Its rule picks rows near the border of the classes, which teach most, unless their truth is upside down.
MISLED = '[curate]\nbudget = 240\nrandom_share = 0.5\nreason_share = 1\n{more}\nreasons = {{ uncertain = 0, wrong = 0, changed = 0, rare = 0, novel = 0 }}\n[[curate.rules]]\nname = "near"\nwhen = "abs(amount) < 0.4"'


def turned(one: Shop, *, upside_down: bool) -> str:
    """A first dataset, a holdout, and a second cycle whose rule picked near rows; its id."""
    one.sales(40, name="first", days=(0, 1), holdout=0.0)
    one.dataset(one.until(2))
    random = np.random.default_rng(1)
    for name, n, split in (("later", 1200, "train"), ("held", 400, "holdout")):
        ids = [f"{name}{i:04d}" for i in range(n)]
        amount = random.normal(size=n)
        near = (np.abs(amount) < 0.4) & (split == "train")
        truth = (amount > 0) ^ (near & upside_down)
        one.predicts(ids, 3.0, amount=amount, age=0.0, place="p", split=split, score=0.5)
        one.learns(ids, truth.tolist(), 3.5)
    ws, as_of = one.ws, one.until(4)
    cycle = cycles.start(ws.ledger, ws.name, trigger="manual", as_of=as_of, spec_hash=ws.spec_hash)
    cases = ws.journal.step(
        cycle, "curate", lambda: curate(ws, cycle, as_of, one.turned(one.day(2))), CaseSet
    )
    build(ws, cycle, cases)
    return cycle


def test_rows_that_mislead_lose_half_of_their_part_and_the_cycle_says_so(shop: Open) -> None:
    one = shop(MISLED.format(more=""))
    cycle = turned(one, upside_down=True)
    one.until(5)
    found = curate(one.ws, "third", one.day(5), [cycle])
    assert found.random_share == 0.75
    assert "taught less than random ones" in found.notes[0]
    assert "75% of the budget is random now" in found.notes[0]
    assert curate(one.ws, "third", one.day(5), [cycle]) == found, "the same again"


def test_cases_of_a_time_when_the_policy_was_the_strategy_for_all_are_told_apart(shop: Open) -> None:
    one = shop(MISLED.format(more=""))
    cycle = turned(one, upside_down=True)
    cases = DeltaTable(str(one.ws.root / "lake" / "shop" / "cases"))
    cases.update({"policy": "'mix'"})
    assert guarded_share(one.ws, one.until(5), [cycle]).random_share == 0.75


def test_rows_that_teach_keep_their_part(shop: Open) -> None:
    one = shop(MISLED.format(more=""))
    cycle = turned(one, upside_down=False)
    guarded = guarded_share(one.ws, one.until(5), [cycle])
    assert guarded.random_share == 0.5
    assert guarded.notes == []


def test_the_guard_can_be_switched_off(shop: Open) -> None:
    one = shop(MISLED.format(more="guard = false"))
    cycle = turned(one, upside_down=True)
    assert guarded_share(one.ws, one.until(5), [cycle]).random_share == 0.5


def test_with_few_rows_nothing_is_said(shop: Open) -> None:
    one = shop()
    one.sales(60, name="first", days=(0, 1))
    one.dataset(one.until(2))
    assert chosen_against_random(one.ws, one.until(3), level=0.95) is None


def test_the_share_goes_down_by_halves_and_up_by_doubles_within_its_bounds() -> None:
    loses, wins = Estimate(-0.03, -0.05, -0.01, 900), Estimate(0.01, -0.01, 0.03, 900)
    unclear = Estimate(-0.01, -0.03, 0.01, 900)
    shares = [0.2]
    for lead in (loses, loses, loses, loses, loses, unclear, wins, wins, wins, wins):
        shares.append(shifted_share(shares[-1], 0.2, lead))
    assert shares == pytest.approx([0.2, 0.6, 0.8, 0.9, 0.9, 0.9, 0.9, 0.8, 0.6, 0.2, 0.2])


def test_a_look_is_due_at_twice_the_rows() -> None:
    seen = [0, 40, 90, 99, 100, 250, 260, 399, 400, 5000]
    looks = [due_look(now, before) for before, now in pairwise(seen)]
    assert looks == [0, 1, 0, 2, 3, 0, 0, 4, 7]


def acts_in_a_life(seed: int, *, misled: float, careful: bool) -> bool:
    """Whether the chosen part is ever cut in four looks at least squares on chosen and on random rows of one source.

    careful: as the guard looks; otherwise by the holdout's standard error alone, each look at 95 %.
    """
    random = np.random.default_rng(seed)
    slope, n, held = np.full(6, 0.5), LEAST_ROWS * 8, random.normal(size=(1000, 6))
    x = random.normal(size=(2 * n, 6))
    y = x @ slope + random.normal(size=2 * n)
    y[:n] *= np.where(random.random(n) < misled, -1, 1)
    truth = held @ slope + random.normal(size=1000)

    def losses(rows: Indices) -> Floats:
        fitted = np.linalg.solve(x[rows].T @ x[rows] + np.eye(6), x[rows].T @ y[rows])
        error: Floats = np.square(held @ fitted - truth)
        return error

    for rows in (LEAST_ROWS, LEAST_ROWS * 2, LEAST_ROWS * 4, n):
        look, chosen, drawn = due_look(rows, rows // 2), np.arange(rows), n + np.arange(rows)
        if careful:
            lead = taught_difference(losses, chosen, drawn, level=level_at(look), seed=seed)
        else:
            gain = losses(drawn) - losses(chosen)
            reach = student_quantile(0.95, 1000) * gain.std(ddof=1) / 1000**0.5
            lead = Estimate(gain.mean(), gain.mean() - reach, gain.mean() + reach, 1000)
        if shifted_share(0.2, 0.2, lead) > 0.2:
            return True
    return False


def test_where_choosing_teaches_as_much_it_seldom_acts_in_a_whole_life() -> None:
    acted = [acts_in_a_life(seed, misled=0.0, careful=True) for seed in range(150)]
    assert np.mean(acted) <= 0.06
    broken = [acts_in_a_life(seed, misled=0.0, careful=False) for seed in range(150)]
    assert np.mean(broken) > 0.4, "without the luck of the training rows and a budget it acts in most lives"


def test_where_every_third_chosen_truth_is_wrong_it_acts() -> None:
    assert np.mean([acts_in_a_life(seed, misled=1 / 3, careful=True) for seed in range(40)]) > 0.95
