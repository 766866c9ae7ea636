"""Rows that people were asked for judge too: they stand for those beside them, or they stay out."""

from collections.abc import Callable

import numpy as np
import pytest

from shop import Shop
from whorl.evaluate.holdout_ask import record
from whorl.evaluate.holdout_plan import plan
from whorl.evaluate.rows import JudgedRows, judged_rows

Open = Callable[..., Shop]
ROWS = 1200


def week(one: Shop, rows: int = ROWS) -> dict[str, bool]:
    """A week of holdout rows with calibrated scores, and what is true of each."""
    random = np.random.default_rng(3)
    ids, chance = [f"r{i:04d}" for i in range(rows)], random.beta(0.4, 0.4, rows)
    one.predicts(ids, np.sort(random.uniform(0, 6, rows)), split="holdout", score=chance)
    return dict(zip(ids, (random.random(rows) < chance).tolist(), strict=True))


def asks(one: Shop, truth: dict[str, bool], labels: int) -> list[str]:
    planned = plan(one.ws, one.until(6.5), labels=labels)
    record(one.ws, planned)
    ids = planned.picked["id"].to_pylist()
    learns(one, truth, ids)
    return ids


def learns(one: Shop, truth: dict[str, bool], ids: list[str], at: float = 6.6) -> None:
    for value in (True, False):
        one.learns([i for i in ids if truth[i] is value], value, at)


def accuracy(rows: JudgedRows) -> float:
    score = rows.table["score"].to_numpy()
    return float(np.average((score >= 0.5) == rows.truth, weights=rows.weight))


def test_where_only_asked_rows_have_a_truth_they_stand_for_all(shop: Open) -> None:
    one = shop("")
    truth = week(one)
    ids = asks(one, truth, 300)
    rows = judged_rows(one.ws, one.until(7))
    score = dict(zip(rows.table["id"].to_pylist(), rows.table["score"].to_pylist(), strict=True))
    all_rows = one.asked(f"SELECT id, score FROM {one.lake('predictions')}")
    true = np.mean([(row["score"] >= 0.5) == truth[row["id"]] for row in all_rows])

    assert set(score) == set(ids)
    assert rows.weight.sum() == pytest.approx(ROWS, rel=0.05)
    assert accuracy(rows) == pytest.approx(true, abs=0.04)
    assert np.mean([(score[i] >= 0.5) == truth[i] for i in ids]) < true - 0.04
    assert any("300 rows that people were asked for" in note for note in rows.notes)


def test_a_few_truths_that_came_otherwise_stay_out(shop: Open) -> None:
    one = shop("")
    truth = week(one)
    ids = asks(one, truth, 300)
    learns(one, truth, [i for i in truth if i not in ids][:50])
    rows = judged_rows(one.ws, one.until(7))

    assert len(rows) == 300
    assert rows.left_out["others were asked for it"] == 50


def test_where_all_truths_came_every_row_judges_as_itself(shop: Open) -> None:
    one = shop("")
    truth = week(one)
    ids = asks(one, truth, 100)
    learns(one, truth, [i for i in truth if i not in ids])
    rows = judged_rows(one.ws, one.until(7))

    assert len(rows) == ROWS
    assert set(rows.weight.tolist()) == {1.0}


def test_a_draw_that_is_half_answered_judges_nobody_and_the_others_stand_for_those_it_picked(
    shop: Open,
) -> None:
    one = shop("")
    truth = week(one)
    planned = plan(one.ws, one.until(6.5), labels=300)
    record(one.ws, planned)
    picked = planned.picked["id"].to_pylist()
    learns(one, truth, picked[::2])
    learns(one, truth, [i for i in truth if i not in picked][::3])
    rows = judged_rows(one.ws, one.until(7))

    assert "others were asked for it" not in rows.left_out
    assert rows.left_out["people were asked for it"] == 150
    assert len(rows) == 300
    assert 3 * rows.weight.sum() == pytest.approx(ROWS, rel=0.03)
    assert not any("rows that people were asked for stand" in note for note in rows.notes)


def test_what_came_by_itself_says_the_same_beside_a_draw_as_without_one(shop: Open) -> None:
    """Asked rows do not outnumber the others: at weight 1 they would make the model look worse by 0.02, left out better by as much."""
    one, random = shop(""), np.random.default_rng(5)
    truth = week(one, rows=12_000)
    came = [i for i in truth if random.random() < 0.4]
    learns(one, truth, came, 6.4)
    alone = accuracy(judged_rows(one.ws, one.until(6.45)))
    asked = asks(one, truth, 3000)
    beside = judged_rows(one.ws, one.until(7))
    hit = {
        row["id"]: (row["score"] >= 0.5) == truth[row["id"]]
        for row in one.asked(f"SELECT id, score FROM {one.lake('predictions')}")
    }

    assert set(beside.table["id"].to_pylist()) == set(came) - set(asked)
    assert accuracy(beside) == pytest.approx(alone, abs=0.008)
    assert np.mean([hit[i] for i in {*came, *asked}]) < alone - 0.012
    assert np.mean([hit[i] for i in set(came) - set(asked)]) > alone + 0.012


def test_young_rows_that_were_asked_for_judge_before_the_lag(shop: Open) -> None:
    one = shop('[labels]\nlag = "30d"\n')
    truth = week(one)
    asks(one, truth, 200)
    assert len(judged_rows(one.ws, one.until(7))) == 200
