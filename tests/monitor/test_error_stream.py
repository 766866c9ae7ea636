"""The champion's errors as they become known: which rows, in which order, and what is said when there are more of them."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from shop import Shop
from whorl.evaluate.holdout_ask import record
from whorl.evaluate.holdout_plan import plan
from whorl.monitor.error_stream import error_stream, risen_errors
from whorl.monitor.insights.insights import insights
from whorl.monitor.watch import watch
from whorl.records import Finding
from whorl.storage.tables import lake_schemas

Open = Callable[..., Shop]
ONLY = "[monitor]\ndrift = false\n"


def errs(
    one: Shop,
    name: str,
    days: tuple[float, float],
    n: int,
    share: float,
    *,
    seed: int = 0,
    label_at: float | None = None,
    **columns: Any,
) -> None:
    """n holdout rows, answered, of which this share is wrong; the truth of each is known an hour later, or on a day."""
    random = np.random.default_rng(seed)
    ids, at = [f"{name}{i:05d}" for i in range(n)], np.sort(random.uniform(*days, n))
    truth, wrong = random.random(n) < 0.5, random.random(n) < share
    one.predicts(ids, at, **{"split": "holdout", "score": np.where(truth ^ wrong, 0.9, 0.1), **columns})
    one.learns(ids, truth.tolist(), at + 1 / 24 if label_at is None else label_at)


def asked(one: Shop, ids: list[str], purpose: str) -> None:
    """On day 4 people were asked for the truth of these rows, hard ones of the day before."""
    fixed = {
        "draw": purpose,
        "as_of": one.day(4),
        "day": one.day(4).date(),
        "time": one.day(3.5),
        "purpose": purpose,
        "strategy": "doubt",
        "since": one.day(3),
        "until": one.day(4),
    }
    rows = [{**fixed, "id": id, "probability": 0.5} for id in ids]
    schema = lake_schemas(one.ws.spec)["asked"]
    one.ws.lake.append("asked", pa.Table.from_pylist(rows, schema), app=f"test/asked/{purpose}", version=1)


def risen(found: list[Finding]) -> list[Finding]:
    return [one for one in found if one.kind == "error_rate_up"]


def test_a_rise_is_said_with_when_it_began_and_both_rates(shop: Open) -> None:
    one = shop(ONLY)
    errs(one, "a", (0, 10), 2_000, 0.1)
    errs(one, "b", (10, 12), 400, 0.4, seed=1)
    [said] = risen(watch(one.ws, one.until(13)))
    assert (said.severity, said.facts["detector"], said.facts["champion"]) == ("warning", "e-detector", None)
    assert said.value == pytest.approx(0.4, abs=0.15)
    assert said.threshold == pytest.approx(0.1, abs=0.02)
    assert said.facts["since"][:10] in ("2026-01-10", "2026-01-11")
    assert said.facts["rows_before"] == pytest.approx(2_000, abs=30)
    assert "more frequent" in said.message
    one.clock.advance(timedelta(days=5))
    assert risen(watch(one.ws, one.clock.now())) == [], "the same alarm of the same champion is said once"


def test_it_began_when_the_rows_were_answered_not_when_their_truth_came(shop: Open) -> None:
    """Truths of all ages come on one day, those of old rows too: errors have been more since day 10, and known on day 20."""
    one = shop(ONLY + 'metric = "accuracy"')
    errs(one, "a", (0, 10), 1_500, 0.1)
    errs(one, "old", (0, 5), 600, 0.1, seed=2, label_at=20.0)
    errs(one, "b", (10, 12), 600, 0.4, seed=1, label_at=20.0)
    [said] = risen(watch(one.ws, one.until(21)))
    assert said.facts["since"][:10] in ("2026-01-10", "2026-01-11")
    assert said.facts["period"][:10] == "2026-01-21"
    assert said.threshold == pytest.approx(0.1, abs=0.02)
    why = insights(one.ws, one.clock.now()).why
    assert why is not None
    assert why.since.isoformat() == said.facts["since"]
    assert why.recent_rows == pytest.approx(600, abs=60)


def test_since_when_is_not_said_where_old_rows_err_as_much(shop: Open) -> None:
    """The truths that came late are of rows older than all others: nothing has become worse since."""
    one = shop(ONLY + 'metric = "accuracy"')
    errs(one, "old", (0, 5), 600, 0.5, seed=1, label_at=20.0)
    errs(one, "a", (5, 10), 1_500, 0.1)
    [said] = risen(watch(one.ws, one.until(21)))
    assert said.facts["since"] is None
    assert insights(one.ws, one.clock.now()).why is None


def test_no_rise_is_not_said(shop: Open) -> None:
    one = shop(ONLY)
    errs(one, "a", (0, 10), 2_000, 0.2)
    errs(one, "b", (10, 12), 400, 0.05, seed=1)
    assert risen(watch(one.ws, one.until(13))) == []


def test_it_is_the_same_however_often_it_is_looked_at(shop: Open) -> None:
    once, often = shop(ONLY + 'cooldown = "1s"'), shop(ONLY + 'cooldown = "1s"')
    for one in (once, often):
        errs(one, "a", (0, 10), 1_000, 0.1)
        errs(one, "b", (10, 14), 400, 0.5, seed=1)
    said = [found for day in (8, 11, 12, 15) for found in risen(watch(often.ws, often.until(day)))]
    assert risen(watch(once.ws, once.until(15))) == said


def test_errors_come_in_the_order_in_which_they_became_known(shop: Open) -> None:
    one = shop(ONLY)
    one.predicts(["a", "b", "c", "d"], [0.0, 0.1, 0.2, 0.3], split="holdout", score=[0.9, 0.9, 0.9, 0.9])
    one.learns(["a", "b", "c"], [False, True, False], [5.0, 3.0, 1.0])
    stream = error_stream(one.ws, one.until(9))
    assert stream.errors.tolist() == [1.0, 0.0, 1.0]
    assert (np.diff(stream.known_us) / 86_400e6).tolist() == [2.0, 2.0]
    assert error_stream(one.ws, one.day(4)).errors.tolist() == [1.0, 0.0]


def test_a_row_waits_until_both_classes_could_have_been_known(shop: Open) -> None:
    one = shop(ONLY + '[labels]\nlag = "2d"\ndefault_after = { value = false, after = "4d" }')
    one.predicts(["yes", "no"], [0.0, 1.0], split="holdout", score=[0.1, 0.9])
    one.learns(["yes"], True, 0.5)
    assert error_stream(one.ws, one.until(3.9)).errors.tolist() == []
    assert error_stream(one.ws, one.until(4.5)).errors.tolist() == [1.0]
    assert error_stream(one.ws, one.until(5.5)).errors.tolist() == [1.0, 1.0]


def test_only_the_champions_holdout_rows_are_watched(shop: Open) -> None:
    one = shop(ONLY)
    errs(one, "old", (0, 1), 10, 1.0)
    one.until(2)
    one.crowned(one.scored({"old00000": 0.5}))
    errs(one, "new", (3, 4), 10, 0.0)
    errs(one, "train", (3, 4), 10, 1.0, split="train")
    errs(one, "mute", (3, 4), 10, 1.0, score=None)
    assert error_stream(one.ws, one.until(6)).errors.tolist() == [0.0] * 10
    every = shop('[monitor]\nerrors_of = "all"')
    errs(every, "train", (0, 1), 10, 1.0, split="train")
    assert error_stream(every.ws, every.until(6)).errors.tolist() == [1.0] * 10


def test_truths_that_came_because_they_were_asked_for_are_not_watched(shop: Open) -> None:
    one = shop(ONLY)
    errs(one, "known", (3, 3.9), 10, 0.0)
    errs(one, "waiting", (3.97, 3.99), 10, 1.0)
    asked(one, [f"known{i:05d}" for i in range(10)] + [f"waiting{i:05d}" for i in range(5)], "judge")
    errs(one, "after", (4, 5), 10, 0.0)
    assert error_stream(one.ws, one.until(6)).errors.tolist() == [0.0] * 20
    every = shop('[monitor]\nerrors_of = "all"')
    errs(every, "waiting", (3.97, 3.99), 10, 1.0, split="train")
    asked(every, [f"waiting{i:05d}" for i in range(5)], "train")
    assert error_stream(every.ws, every.until(6)).errors.tolist() == [1.0] * 5


def test_asking_for_doubtful_rows_changes_nothing_of_what_comes_by_itself(shop: Open) -> None:
    one, random = shop(ONLY), np.random.default_rng(0)
    wrong: list[float] = []
    for week in range(5):
        ids, at = [f"w{week}-{i}" for i in range(300)], np.sort(7 * week + random.uniform(0.01, 6.8, 300))
        score = random.beta(0.4, 0.4, 300)
        truth = random.random(300) < score
        wrong += ((score >= 0.5) != truth).astype(float).tolist()
        one.predicts(ids, at, split="holdout", score=score)
        one.learns(ids, truth.tolist(), at + 0.05)
        end = one.until(7 * week + 6.95)
        if week % 2:
            record(one.ws, plan(one.ws, end, labels=200))
    assert error_stream(one.ws, end).errors.tolist() == wrong


def test_of_several_classes_the_likeliest_is_the_answer(shop: Open) -> None:
    one = shop(ONLY, head='task = "multiclass"')
    scores = [{"a": 0.7, "b": 0.3}, {"a": 0.2, "b": 0.8}, {}]
    one.predicts(["x", "y", "z"], [0.0, 0.1, 0.2], split="holdout", scores=scores)
    one.learns(["x", "y", "z"], ["a", "c", "a"], 1.0)
    assert error_stream(one.ws, one.until(2)).errors.tolist() == [0.0, 1.0]


@pytest.mark.parametrize("error", ["", 'error = "large"'])
def test_of_numbers_a_loss_larger_than_most_at_first_is_an_error(shop: Open, error: str) -> None:
    one = shop(ONLY + error, head='task = "regression"')
    for name, n, days, spread in (("a", 1_200, (0, 10), 1.0), ("b", 300, (10, 12), 3.0)):
        random = np.random.default_rng(n)
        ids, at = [f"{name}{i:04d}" for i in range(n)], np.sort(random.uniform(*days, n))
        one.predicts(ids, at, split="holdout", score=np.zeros(n))
        one.learns(ids, random.normal(0, spread, n).tolist(), at + 0.01)
    assert error_stream(one.ws, one.until(10)).errors.mean() == pytest.approx(0.2, abs=0.05)
    [said] = risen(watch(one.ws, one.until(13)))
    assert "large errors" in said.message
    assert said.value == pytest.approx(0.67, abs=0.15)


def test_few_rows_or_none_or_a_task_without_scores_are_no_stream(shop: Open) -> None:
    few = shop(ONLY, head='task = "regression"')
    few.predicts(["a"], 0.0, split="holdout", score=1.0)
    few.learns(["a"], 1.0, 1.0)
    text = shop(ONLY + '[train]\ntrainer = "external"', head='task = "generation"')
    for one in (few, text, shop(ONLY)):
        assert error_stream(one.ws, one.until(5)).errors.tolist() == []
        assert risen(watch(one.ws, one.clock.now())) == []


def test_a_score_that_is_no_number_is_left_out(shop: Open) -> None:
    one = shop(ONLY)
    one.predicts(["a", "b"], 0.0, split="holdout", score=[float("nan"), 0.9])
    one.learns(["a", "b"], True, 1.0)
    assert error_stream(one.ws, one.until(5)).errors.tolist() == [0.0]


def test_other_detectors_may_watch_and_none_at_all(shop: Open) -> None:
    for detectors, by in (
        ('["page-hinkley"]', "page-hinkley"),
        ('["e-detector", "adwin"]', "e-detector"),
        ('["adwin", "e-detector"]', "e-detector"),
        ("[]", None),
    ):
        one = shop(ONLY + f"detectors = {detectors}")
        errs(one, "a", (0, 10), 3_000, 0.05)
        errs(one, "b", (10, 12), 200, 0.6, seed=1)
        assert [said.facts["detector"] for said in risen(watch(one.ws, one.until(13)))] == (
            [by] if by else []
        )


def test_one_rise_that_several_see_is_one_finding(shop: Open) -> None:
    one = shop(ONLY + 'detectors = ["e-detector", "adwin", "page-hinkley"]\ncooldown = "1s"')
    errs(one, "a", (0, 10), 3_000, 0.05)
    errs(one, "b", (10, 14), 400, 0.6, seed=1)
    found = [
        said for hour in range(10 * 24, 15 * 24, 2) for said in risen(watch(one.ws, one.until(hour / 24)))
    ]
    assert [said.facts["detector"] for said in found] == ["e-detector"]
    [last] = risen_errors(one.ws, one.clock.now())
    assert last.facts["period"] == found[0].facts["period"]
    assert last.facts["seen_by"] == ["adwin", "e-detector", "page-hinkley"]
