"""Draws beside each other: taken back when they were a mistake, each row in one of them, and enough labels a period."""

from collections.abc import Callable

import numpy as np
import pytest

from shop import Shop
from whorl.errors import StateError
from whorl.evaluate.holdout_ask import record, withdraw
from whorl.evaluate.holdout_plan import plan
from whorl.examples.asked_list import asked_list

Open = Callable[..., Shop]


def answered_shop(shop: Open, sections: str = "", rows: int = 2000) -> Shop:
    one = shop(sections)
    answers(one, rows)
    return one


def answers(one: Shop, rows: int, *, name: str = "a", at: tuple[float, float] = (0.0, 5.0)) -> None:
    random = np.random.default_rng(7)
    ids = [f"{name}{i:05d}" for i in range(rows)]
    one.predicts(ids, np.sort(random.uniform(*at, rows)), score=random.beta(0.5, 0.5, rows), split="holdout")


def test_a_draw_by_mistake_is_taken_back_and_its_rows_are_drawn_from_again(shop: Open) -> None:
    one = answered_shop(shop)
    mistake = plan(one.ws, one.until(6), labels=3)
    record(one.ws, mistake)
    one.learns(mistake.picked["id"].to_pylist()[:2], True, 6.2)
    with pytest.raises(StateError, match="'judge-0009' is not the last one, which is 'judge-0001'"):
        withdraw(one.ws, "judge-0009")
    one.until(6.5)
    assert withdraw(one.ws, "judge-0001") == 3
    assert asked_list(one.ws.examples(one.until(6.6))).num_rows == 0
    assert asked_list(one.ws.examples(one.day(6.4))).num_rows == 3, "it was as it was"
    with pytest.raises(StateError, match="there is none"):
        withdraw(one.ws, "judge-0001")

    again = plan(one.ws, one.until(7), labels=100)
    assert (again.draw, again.since, again.rows) == ("judge-0002", None, mistake.rows)
    record(one.ws, again)
    assert set(asked_list(one.ws.examples(one.until(7.1)))["draw"].to_pylist()) == {"judge-0002"}


def test_only_the_last_draw_is_taken_back(shop: Open) -> None:
    one = answered_shop(shop)
    record(one.ws, plan(one.ws, one.until(6), labels=5))
    answers(one, 100, name="b", at=(6.1, 6.9))
    record(one.ws, plan(one.ws, one.until(7), labels=5))
    one.until(8)
    with pytest.raises(StateError, match="'judge-0001' is not the last one, which is 'judge-0002'"):
        withdraw(one.ws, "judge-0001")


def test_a_row_that_is_sent_late_is_in_the_next_draw(shop: Open) -> None:
    one = answered_shop(shop, rows=200)
    record(one.ws, plan(one.ws, one.until(6), labels=5))
    one.predicts(["late"], 3.0, received=6.5, split="holdout", score=0.4)
    assert plan(one.ws, one.until(7), labels=5).picked["id"].to_pylist() == ["late"]


def test_a_plan_of_too_few_labels_a_period_says_so(shop: Open) -> None:
    one = answered_shop(shop, "[evaluate]\nask = 40\n" + '[monitor]\nperiod = "1d"\nmin_rows = 30\n')
    assert (
        "5 of 5 monitor periods (1d) would have fewer than 30 answers" in plan(one.ws, one.until(6)).warning
    )
    assert plan(one.ws, one.until(6), labels=400).warning is None
