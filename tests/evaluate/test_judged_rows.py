"""Which rows judge, and for how many each stands: window, lag, what the champion was trained on, late and hidden truth."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from shop import Shop
from whorl.datasets.named import make_golden_set
from whorl.evaluate.judge import judge
from whorl.evaluate.rows import judged_rows
from whorl.records import Verdict

Open = Callable[..., Shop]
ANY = '[evaluate]\nwindow = "36500d"\ngates = []'


def told(one: Shop, n: int = 40, **columns: Any) -> list[str]:
    """One holdout prediction a day whose truth is known half a day later."""
    ids = [f"r{i:04d}" for i in range(n)]
    at = np.arange(n, dtype=float)
    one.predicts(ids, at, split="holdout", **columns)
    one.learns(ids, [i % 2 == 0 for i in range(n)], at + 0.5)
    return ids


def ids(one: Shop, day: float) -> list[str]:
    found: list[str] = judged_rows(one.ws, one.until(day)).table["id"].to_pylist()
    return found


def test_holdout_rows_with_truth_judge_and_the_others_are_counted(shop: Open) -> None:
    one = shop(ANY)
    one.sales(100, holdout=0.4)
    one.sales(10, name="open", labelled=False, split="holdout")
    rows = judged_rows(one.ws, one.until(11))
    split = {r["id"]: r["split"] for r in one.asked(f"SELECT id, split FROM {one.lake('predictions')}")}
    assert {split[i] for i in rows.table["id"].to_pylist()} == {"holdout"}
    assert len(rows) == sum(s == "holdout" for i, s in split.items() if i.startswith("s"))
    assert rows.left_out == {"no truth yet": 10}
    assert set(rows.weight) == {1.0}


def test_the_window_counts_back_from_the_youngest_row_that_can_judge(shop: Open) -> None:
    one = shop('[evaluate]\nwindow = "10d"')
    known = told(one)
    # A year later, and with an open row that is younger: neither moves the window.
    one.predicts(["open"], 60.0, split="holdout")
    assert ids(one, 400) == known[29:]
    assert judged_rows(one.ws, one.day(400)).left_out == {"no truth yet": 1, "outside the window": 29}


def test_rows_younger_than_the_lag_do_not_judge_yet(shop: Open) -> None:
    one = shop('[labels]\nlag = "7d"\n' + ANY)
    known = told(one)
    assert ids(one, 40) == known[:34]
    assert judged_rows(one.ws, one.day(40)).left_out == {"immature": 6}


def test_rows_that_the_champion_was_trained_on_do_not_compare(shop: Open) -> None:
    one = shop(ANY + '\n[champion]\nversion = "old"\ntrained_through = "2026-01-11"')
    known = told(one)
    assert ids(one, 41) == known[11:]
    assert judged_rows(one.ws, one.day(41)).left_out == {"the champion was trained on it": 11}


def test_golden_rows_judge_in_their_own_gate_only(shop: Open) -> None:
    one = shop(ANY)
    known = told(one)
    make_golden_set(one.ws, "sacred", one.until(41), ids=known[:5])
    assert ids(one, 42) == known[5:]


def test_a_group_is_one_unit(shop: Open) -> None:
    one = shop(ANY)
    told(one, group_id=["anna", "bert"] * 20)
    assert set(judged_rows(one.ws, one.until(41)).group) == {"anna", "bert"}
    assert judged_rows(one.ws, one.day(41)).group.tolist() == ["anna", "bert"] * 20


def accuracy(verdict: Verdict) -> float:
    return float(verdict.metrics["accuracy"]["challenger"]["value"])


def late(one: Shop) -> tuple[Verdict, float]:
    """Half the truths are known within days, the other half within weeks; the model is good at the first half.

    Returns what the judge finds on what is known, and what all truths would say.
    """
    n, random = 4000, np.random.default_rng(0)
    ids = [f"r{i:04d}" for i in range(n)]
    at = np.sort(random.uniform(0, 30, n))
    truth = random.random(n) < 0.5
    known = at + np.where(truth, random.uniform(0, 4, n), random.uniform(1, 25, n))
    right = random.random(n) < np.where(truth, 0.9, 0.6)
    one.predicts(ids, at, split="holdout")
    came = known < 30
    one.learns([i for i, k in zip(ids, came, strict=True) if k], truth[came].tolist(), known[came])
    said = np.where(truth == right, 0.8, 0.2)
    challenger = one.scored(dict(zip(ids, said.tolist(), strict=True)))
    return judge(one.ws, challenger, "c1", one.until(30)), float(right.mean())


@pytest.mark.parametrize("delay", ["auto", "survival"])
def test_late_truth_is_weighted_and_its_bias_gone(shop: Open, delay: str) -> None:
    verdict, full = late(shop(f'[labels]\ndelay = "{delay}"\n' + ANY))
    assert accuracy(verdict) == pytest.approx(full, abs=0.02)
    assert any("Truth comes sooner for one class" in note for note in verdict.notes)
    assert any("log-rank p = " in note for note in verdict.notes) == (delay == "auto")


def test_without_the_weights_the_bias_is_there(shop: Open) -> None:
    one = shop('[labels]\ndelay = "none"\n' + ANY)
    verdict, full = late(one)
    assert accuracy(verdict) > full + 0.03, "the check above can fail"


def explored(one: Shop) -> tuple[Verdict, float]:
    """Risky rows are blocked, one in ten is let through by chance; the model guesses on them and is good on the rest."""
    n, random = 6000, np.random.default_rng(1)
    ids = [f"r{i:04d}" for i in range(n)]
    risky = random.random(n) < 0.5
    through = ~risky | (random.random(n) < 0.1)
    truth = random.random(n) < 0.5
    right = random.random(n) < np.where(risky, 0.5, 0.95)
    one.predicts(
        ids, 1.0, split="holdout", action=np.where(through, "paid", "blocked"),
        propensity=[0.1 if r and t else None for r, t in zip(risky, through, strict=True)],
    )  # fmt: skip
    one.learns([i for i, t in zip(ids, through, strict=True) if t], truth[through].tolist(), 2.0)
    said = np.where(truth == right, 0.8, 0.2)
    return judge(one.ws, one.scored(dict(zip(ids, said.tolist(), strict=True))), "c1", one.until(3)), float(
        right.mean()
    )


def test_rows_let_through_by_chance_stand_for_the_hidden_ones(shop: Open) -> None:
    verdict, full = explored(shop(ANY, schema='action = "action"\ncensored = ["blocked"]'))
    assert accuracy(verdict) == pytest.approx(full, abs=0.05)
    biased, _ = explored(shop(ANY))
    assert accuracy(biased) > full + 0.1, "unweighted, the easy rows decide"


def test_the_youngest_rows_judge_where_there_is_no_holdout_and_the_verdict_says_so(shop: Open) -> None:
    one = shop('[curate]\nholdout_share = 0.0\n[evaluate]\ntime_forward = "10d"\ngates = []')
    one.sales(100, days=(0, 40), holdout=0.0)
    as_of = one.until(40)
    rows = judged_rows(one.ws, as_of)
    assert len(rows) > 10
    assert min(rows.table["time"].to_pylist()) > one.day(30)
    assert any("weaker evidence" in note for note in rows.notes)
    trained = one.dataset(as_of)
    members = {r["id"] for r in one.asked(f"SELECT id FROM {one.lake('members')}")}
    assert members.isdisjoint(rows.table["id"].to_pylist())
    assert trained.rows == 100 - len(rows)
