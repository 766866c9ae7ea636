"""The draw under a budget: known chances that add up, and totals that they weight back without bias."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

from whorl.curate.draw import Draw, draw, reason_chances

N, BUDGET, SHARE, DRAWS = 200, 40, 0.3, 300
IDS = [f"r{i:03d}" for i in range(N)]
# 4 rows of a small stratum, 60 and 60 of two larger ones, and the rest of none.
STRATUM = ["tiny"] * 4 + ["missed"] * 60 + ["novel"] * 60 + [None] * 76
SIZE = 1.0 + np.arange(N) % 5
NUMBER = {"tiny": 0, "missed": 1, "novel": 2, None: -1}
MINED = reason_chances(np.array([NUMBER[s] for s in STRATUM]), SIZE, BUDGET * (1 - SHARE))
VALUE = np.random.default_rng(5).gamma(2.0, size=N) + np.array(
    [3.0 if s == "novel" else 0.0 for s in STRATUM]
)


def drawn(seed: int, **changed: object) -> Draw:
    given = {"ids": IDS, "wanted": MINED, "budget": BUDGET, **changed}
    return draw(seed=f"seed-{seed}", **given)  # type: ignore[arg-type]


@cache
def chances() -> np.ndarray:
    """Each row's chance, as a draw that took it says; it is the same in every draw."""
    found = np.full(N, np.nan)
    for seed in range(4 * DRAWS):
        one = drawn(seed)
        known = found[one.rows]
        assert np.allclose(known[~np.isnan(known)], one.probability[~np.isnan(known)])
        found[one.rows] = one.probability
    return found


def test_the_chances_of_both_draws_add_up_to_the_budget() -> None:
    at_random = float(chances()[-1])
    assert MINED.sum() == pytest.approx(BUDGET * (1 - SHARE))
    # The four of the tiny stratum are certain: they need no second chance.
    assert MINED.sum() + (N - 4) * at_random == pytest.approx(BUDGET)
    assert chances() == pytest.approx(1 - (1 - MINED) * (1 - at_random))


def test_never_more_than_the_budget_and_every_row_may_be_chosen() -> None:
    counts = [len(drawn(seed).rows) for seed in range(DRAWS)]
    assert max(counts) <= BUDGET
    # Both draws may take the same row: the count falls short of the budget by chance, around the sum of the chances.
    assert np.mean(counts) == pytest.approx(chances().sum(), abs=3 * np.std(counts) / np.sqrt(DRAWS))
    assert (chances() > 0).all()


def test_strata_get_equal_shares_and_give_away_what_they_cannot_use() -> None:
    by_name = {name: MINED[[s == name for s in STRATUM]].sum() for name in ("tiny", "missed", "novel")}
    assert by_name["tiny"] == pytest.approx(4)
    assert by_name["missed"] == pytest.approx((BUDGET * (1 - SHARE) - 4) / 2)
    assert by_name["novel"] == pytest.approx(by_name["missed"])


def test_what_no_stratum_can_use_goes_to_chance() -> None:
    few = drawn(0, wanted=reason_chances(np.array([0] * 4 + [-1] * 196), SIZE, BUDGET * (1 - SHARE)))
    assert set(range(4)) <= set(few.rows.tolist())
    assert few.probability[-1] == pytest.approx((BUDGET - 4) / (N - 4))


def test_inside_a_stratum_chances_go_by_size() -> None:
    inside = [i for i, s in enumerate(STRATUM) if s == "missed"]
    per_size = MINED[inside] / SIZE[inside]
    assert per_size == pytest.approx(per_size[0])


def _weighted(one: Draw) -> float:
    return float((VALUE[one.rows] / one.probability).sum())


def _unweighted(one: Draw) -> float:
    """A broken fake: what is chosen, blown up as if it had been drawn at random."""
    return float(VALUE[one.rows].mean() * N)


def off(estimate: Callable[[Draw], float]) -> float:
    """How many standard errors the mean of 300 totals lies from the truth."""
    totals = [estimate(drawn(seed)) for seed in range(DRAWS)]
    return float(abs(np.mean(totals) - VALUE.sum()) / (np.std(totals, ddof=1) / np.sqrt(DRAWS)))


def test_totals_weighted_by_the_chances_are_unbiased() -> None:
    assert off(_weighted) < 3
    assert off(_unweighted) > 3, "the check sees the bias of who leaves the chances out"


def test_chances_are_those_of_being_chosen() -> None:
    taken = np.zeros(N)
    for seed in range(DRAWS):
        taken[drawn(seed).rows] += 1
    spread = np.sqrt(chances() * (1 - chances()) / DRAWS)
    # 200 rows at once: 4.5 standard errors is a false alarm in a thousand runs; the seeds are fixed anyway.
    assert (np.abs(taken / DRAWS - chances()) <= 4.5 * spread + 1e-9).all()


def test_the_order_of_the_rows_does_not_matter_and_the_seed_does() -> None:
    turned = drawn(1, ids=IDS[::-1], wanted=MINED[::-1])
    one = drawn(1)
    assert sorted(IDS[i] for i in one.rows) == sorted(IDS[::-1][i] for i in turned.rows)
    assert one.rows.tolist() != drawn(2).rows.tolist()


@pytest.mark.parametrize("budget", [None, N, N + 1])
def test_a_budget_for_all_takes_all(budget: int | None) -> None:
    one = drawn(0, budget=budget)
    assert one.rows.tolist() == list(range(N))
    assert (one.probability == 1).all()
    assert one.wanted.tolist() == [s is not None for s in STRATUM]


def test_all_at_random_is_the_same_chance_for_all() -> None:
    one = drawn(0, wanted=np.zeros(N))
    assert len(one.rows) == BUDGET
    assert one.probability == pytest.approx(BUDGET / N)
    assert not one.wanted.any()


def test_nothing_to_draw_from_or_with() -> None:
    assert len(draw([], np.empty(0), budget=5, seed="s").rows) == 0
    assert len(drawn(0, wanted=np.zeros(N), budget=0).rows) == 0
