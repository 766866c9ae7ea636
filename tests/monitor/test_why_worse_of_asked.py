"""Rows that people were asked for because they were doubted are no other rows than before: they count as many as they stand for."""

from collections.abc import Callable

import numpy as np
import pytest

from shop import Shop
from whorl.evaluate.holdout_ask import record
from whorl.evaluate.holdout_plan import plan
from whorl.monitor.insights.insights import insights
from whorl.monitor.insights.why import why_worse

Open = Callable[..., Shop]
SECTIONS = '[monitor]\nmetric = "accuracy"\ndrift = false\n[evaluate]\nwindow = "0d"\n'


def plays(one: Shop, *, answer: float = 1.0, shifted: bool = False, seed: int = 0) -> None:
    """Five weeks: of four a quarter of the truths came by themselves, and a draw was never answered; of the fifth came those of 400
    rows that were drawn by doubt.
    """
    random = np.random.default_rng(seed)
    for week in range(5):
        n, last = 1_500, week == 4
        if last:
            record(one.ws, plan(one.ws, one.until(28), labels=60))
        ids, at = [f"w{week}-{i:04d}" for i in range(n)], np.sort(7 * week + random.uniform(0.01, 6.9, n))
        chance = random.beta(1.5, 1.5, n) if last and shifted else random.beta(0.4, 0.4, n)
        truth, amount = random.random(n) < chance, chance + random.normal(0, 0.1, n)
        one.predicts(
            ids, at, split="holdout", score=chance, amount=amount, age=random.normal(size=n), place="p"
        )
        known = random.random(n) < 0.25
        received: object = at[known] + 0.05
        if last:
            planned = plan(one.ws, one.until(34.95), labels=400)
            record(one.ws, planned)
            asked = set(planned.picked["id"].to_pylist())
            known, received = np.array([id in asked for id in ids]) & (random.random(n) < answer), 34.97
        one.learns([ids[i] for i in np.flatnonzero(known)], truth[known].tolist(), received)


def test_being_asked_is_no_shift(shop: Open) -> None:
    one = shop(SECTIONS)
    plays(one)
    found = why_worse(one.ws, one.until(36), one.day(28))
    assert (found.verdict, found.recent_rows) == ("not worse", 400)
    assert found.added is not None
    assert abs(found.added.value) < 0.05, "unweighted they err 0.1 more often"


def test_a_shift_is_seen_by_asked_rows(shop: Open) -> None:
    one = shop(SECTIONS)
    plays(one, shifted=True)
    found = why_worse(one.ws, one.until(36), one.day(28))
    assert found.verdict == "shifted_features"
    assert [cause.kind for cause in found.causes if cause.found] == ["shifted_features"]


@pytest.mark.parametrize("answer", [0.0, 0.5])
def test_a_draw_that_waits_for_answers_tells_nothing(shop: Open, answer: float) -> None:
    one = shop(SECTIONS)
    plays(one, answer=answer)
    found = why_worse(one.ws, one.until(36), one.day(28))
    assert (found.verdict, found.recent_rows) == ("too few rows", 0)
    assert insights(one.ws, one.clock.now()).rows == found.earlier_rows
