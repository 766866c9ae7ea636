"""Truths asked of people: who is asked for, with what chance, and how a row comes back once its truth is there."""

from collections.abc import Callable
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shop import NO_REASONS, Shop
from whorl.curate.curate import curate
from whorl.curate.strategies.choose import choose
from whorl.curate.strategies.pool import Pool
from whorl.evaluate.holdout_sheet import with_inputs
from whorl.examples.asked_list import asked_list

Open = Callable[..., Shop]
ASK = f"[curate]\nask = 10\nbudget = 20\n{NO_REASONS}"


def opened(one: Shop, n: int = 100, name: str = "open", **columns: object) -> list[str]:
    """Predictions without a truth, most of them sure."""
    ids = [f"{name}{i:03d}" for i in range(n)]
    score = np.linspace(0.01, 0.99, n)
    one.predicts(
        ids, columns.pop("at", 1.0), **({"score": score, "amount": score, "age": 1.0, "place": "p"} | columns)
    )
    return ids


def asked(one: Shop) -> list[dict]:
    return one.asked(f"SELECT * FROM {one.lake('asked')} ORDER BY as_of, id")


def waiting(one: Shop, as_of: datetime, limit: int | None = None) -> pa.Table:
    return asked_list(one.ws.examples(as_of), purpose="train", waiting=True, limit=limit)


def first(one: Shop) -> None:
    one.sales(60, name="first", days=(0, 1), holdout=0.0)
    opened(one)
    one.dataset(one.until(2))


def test_nobody_is_asked_unless_the_spec_says_so(shop: Open) -> None:
    one = shop()
    opened(one)
    one.sales(60, name="first", days=(0, 1), holdout=0.0)
    assert one.curates(one.until(2)).asked == 0
    assert asked(one) == []


def test_so_many_are_asked_each_with_its_chance(shop: Open) -> None:
    one = shop(ASK)
    first(one)
    rows = asked(one)
    assert len(rows) == 10
    assert {row["purpose"] for row in rows} == {"train"}
    assert {row["strategy"] for row in rows} == {"mix", "random"}
    chances = {row["strategy"]: row["probability"] for row in rows}
    assert chances["mix"] == 1.0
    assert chances["random"] == pytest.approx(1 / 91)
    assert {row["draw"] for row in rows} == {row["cycle_id"] for row in one.cases().values()}


def test_holdout_golden_and_labelled_rows_are_never_asked_for(shop: Open) -> None:
    one = shop(ASK, schema='action = "action"\ncensored = ["blocked"]')
    one.sales(60, name="first", days=(0, 1), holdout=0.0)
    opened(one, 50, "held", split="holdout", action="paid")
    opened(one, 6, "free", action="paid")
    opened(one, 6, "blocked", action="blocked")
    assert one.curates(one.until(2)).asked == 10
    assert {row["id"][:4] for row in asked(one)} <= {"free", "bloc"}
    one.curates(one.until(3), one.day(2))
    ids = [row["id"] for row in asked(one)]
    assert len(ids) == len(set(ids)) == 12, "each once, then there are no more"


def test_rows_young_enough_to_judge_are_never_asked_for(shop: Open) -> None:
    one = shop(ASK + '\n[evaluate]\ntime_forward = "1d"\n')
    one.sales(60, name="first", days=(0, 0.5), holdout=0.0)
    young, old = opened(one, 30, "young"), opened(one, 5, "old", at=0.5)
    one.dataset(one.until(1.9))
    assert {row["id"] for row in asked(one)} <= set(old)
    assert not {row["id"] for row in asked(one)} & set(young)


def test_the_same_step_again_asks_nobody_twice(shop: Open) -> None:
    one = shop(ASK)
    opened(one)
    for _ in range(2):
        curate(one.ws, "again", one.until(2) if not _ else one.day(2), [])
    assert len(asked(one)) == 10


def test_a_labelled_row_enters_with_the_chance_it_was_asked_with_outside_the_budget_and_once(
    shop: Open,
) -> None:
    one = shop(ASK)
    first(one)
    chance = {row["id"]: row["probability"] for row in asked(one)}
    came = sorted(chance)[:6]
    one.learns(came, True, 2.5)
    one.sales(100, name="later", days=(2, 3), holdout=0.0)
    made = one.dataset(one.until(4), one.day(2))
    rows = pq.read_table(made.path).to_pylist()
    back = {row["id"]: row for row in rows if row["reason"] == "asked"}
    assert sorted(back) == came
    assert {i: row["probability"] for i, row in back.items()} == pytest.approx({i: chance[i] for i in came})
    assert made.labelled_rows == 60 + 20 + 6
    one.learns(came, False, 4.5)
    again = one.dataset(one.until(6), one.day(4))
    ids = [row["id"] for row in pq.read_table(again.path).to_pylist()]
    assert len(ids) == len(set(ids))
    assert {row["id"]: row["label"] for row in pq.read_table(again.path).to_pylist()}[came[0]] is False


def test_what_people_still_owe_an_answer_to_is_listed_with_inputs_and_why(shop: Open) -> None:
    one = shop(ASK)
    first(one)
    listed = with_inputs(one.ws, waiting(one, one.until(3)), one.day(3), with_prediction=True)
    assert len(listed) == 10
    row = listed[0]
    assert set(row["inputs"]) == {"amount", "age", "place"}
    assert row["prediction"] == pytest.approx(row["inputs"]["amount"])
    one.learns([listed[0]["id"]], [True], 3.5)
    assert len(waiting(one, one.until(5))) == 9
    assert len(waiting(one, one.day(5), 4)) == 4


def test_totals_over_asked_rows_weighted_by_their_chance_are_unbiased() -> None:
    """Two hundred draws over one pool: what is learnt from those asked for, weighted, is what all of them hold."""
    random = np.random.default_rng(0)
    score, truth = random.random(150), random.random(150) < 0.3
    totals = []
    for seed in range(200):
        pool = Pool(
            ids=[f"r{i}" for i in range(150)], probability=np.column_stack([1 - score, score]),
            embedding=lambda rows: score[rows][:, None], seed=str(seed),
        )  # fmt: skip
        drawn = choose(pool, "margin", budget=40, random_share=0.5)
        totals.append(float((truth[drawn.rows] / drawn.probability).sum()))
    assert abs(np.mean(totals) - truth.sum()) < 3 * np.std(totals, ddof=1) / np.sqrt(200)


@pytest.mark.parametrize("comes", [1.0, 0.5, 0.0])
def test_who_was_asked_stands_for_those_whose_truth_nobody_will_know(shop: Open, comes: float) -> None:
    """Doubted rows are asked for on day 6; of the others, this share comes by itself within eight days. All are counted once."""
    one = shop(
        f'[curate]\nask = 400\nrandom_share = 0.5\nbudget = 0\nstrategy = "margin"\nguard = false\n{NO_REASONS}\n'
    )
    random, n = np.random.default_rng(0), 2000
    ids, at, score = [f"r{i:04d}" for i in range(n)], np.sort(random.uniform(0, 6, n)), random.random(n)
    truth = random.random(n) < np.abs(score - 0.5) * 2
    one.predicts(ids, at, score=score, amount=score)
    delay = np.where(random.random(n) < comes, random.uniform(0, 8, n), np.inf)
    early = at + delay < 6
    one.learns(["r0000", "r0001"], [True, False], 5.9)
    one.learns([i for i, e in zip(ids, early, strict=True) if e], truth[early].tolist(), (at + delay)[early])
    first = one.until(6)
    one.dataset(first)
    picked = {row["id"] for row in asked(one)}
    came = np.array([i in picked for i in ids])
    one.learns([i for i, c in zip(ids, came, strict=True) if c], truth[came].tolist(), 7.0)
    late = ~early & ~came & np.isfinite(delay)
    one.learns([i for i, c in zip(ids, late, strict=True) if c], truth[late].tolist(), (at + delay)[late])
    made = one.dataset(one.until(20), first)
    rows = [row for row in pq.read_table(made.path).to_pylist() if row["role"] == "labelled"]
    weight = np.array([1 / row["probability"] for row in rows])
    share = np.average([row["label"] for row in rows], weights=weight)
    plain = np.mean([row["label"] for row in rows])
    assert len(picked) == 400
    assert weight.sum() == pytest.approx(n, rel=0.12)
    assert share == pytest.approx(truth.mean(), abs=0.06)
    assert comes > 0 or plain < truth.mean() - 0.1, "the check above can fail"


def test_a_step_that_runs_again_says_what_was_asked_for(shop: Open) -> None:
    one = shop(ASK)
    opened(one, 12)
    counts = [curate(one.ws, "again", one.until(2) if turn == 0 else one.day(2), []).asked for turn in (0, 1)]
    assert counts == [10, 10]
