"""Why the champion got worse: planted causes are named with rows to look at, and none where none is, or where nobody can tell."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest

from shop import Shop
from whorl.errors import StateError
from whorl.flywheel import Flywheel
from whorl.monitor.insights.insights import insights
from whorl.monitor.insights.why import why_worse
from whorl.monitor.watch import watch

Open = Callable[..., Shop]
BRIER = '[monitor]\nmetric = "brier"\n'
N = 2400


def plays(one: Shop, cause: str, *, n: int = N, seed: int = 0) -> None:
    """Four weeks of rows that are answered by their true chance; in the last, a cause is planted."""
    random = np.random.default_rng(seed)
    at = np.sort(random.uniform(0, 28, n))
    recent = at >= 21
    amount, age = random.normal(size=n), random.normal(size=n)
    place = random.choice(list("pqrs"), n)
    if cause == "shifted_features":
        amount = np.where(recent, amount * 0.3, amount)
    chance = 1 / (1 + np.exp(-3 * amount))
    truth = random.random(n) < chance
    score = chance.copy()
    if cause == "noisy_labels":
        truth ^= recent & (random.random(n) < 0.2)
    if cause == "label_definition":
        truth |= recent & (place == "q") & (amount > -1.5)
    if cause == "segment":
        score = np.where(recent & (place == "q"), 1 - score, score)
    if cause == "not explained":
        mixed = np.flatnonzero(recent & (random.random(n) < 0.4))
        score[mixed] = score[random.permutation(mixed)]
    ids = [f"w{i:05d}" for i in range(n)]
    one.predicts(ids, at, split="holdout", score=score, amount=amount, age=age, place=place)
    one.learns(ids, truth.tolist(), at + 0.05)


@pytest.mark.parametrize(
    "cause", ["shifted_features", "noisy_labels", "label_definition", "segment", "not explained"]
)
def test_a_planted_cause_is_named_first_and_no_other(shop: Open, cause: str) -> None:
    one = shop(BRIER)
    plays(one, cause)
    found = why_worse(one.ws, one.until(29), one.day(21))
    assert found.verdict == cause
    shown = [each for each in found.causes if each.found]
    assert [each.kind for each in shown] == ([cause] if cause != "not explained" else [])
    for each in shown:
        assert each.p is not None
        assert each.p <= 0.05
        assert each.explains is not None
        assert each.explains > 0.2
        assert 1 <= len(each.ids) <= 5
    if cause in ("label_definition", "segment"):
        assert "place = 'q'" in found.message
    assert "NaN" not in json.dumps(json.loads(msgspec.json.encode(found)))


def sees(one: Shop, broken: str, *, n: int = N, seed: int = 0, moved: bool = False) -> None:
    """Four weeks answered by amount, age and place; in the last, what is seen of one of them breaks, or rows truly differ."""
    random = np.random.default_rng(seed)
    at = np.sort(random.uniform(0, 28, n))
    recent = at >= 21
    amount, age, place = random.normal(size=n), random.normal(size=n), random.choice(list("pqrs"), n)
    if moved:
        amount, age = np.where(recent, 0.2 * amount, amount), np.where(recent, 0.2 * age, age)
        place = np.where(recent & (random.random(n) < 0.4), "p", place)
    truth = random.random(n) < chance_of(amount, age, place == "q")
    if broken == "age":
        age = np.where(recent, -1.5, age)
    if broken == "amount":
        amount = np.where(recent, 100 * amount, amount)
    if broken == "place":
        place = np.where(recent, "q", place)
    score = chance_of(amount, age, place == "q")
    ids = [f"w{i:05d}" for i in range(n)]
    gone = [
        None if late and broken == "missing" else float(value)
        for value, late in zip(age, recent, strict=True)
    ]
    if broken == "missing":
        score = np.where(recent, chance_of(amount, -1.5, place == "q"), score)
    one.predicts(ids, at, split="holdout", score=score, amount=amount, age=gone, place=place)
    one.learns(ids, truth.tolist(), at + 0.05)


def chance_of(amount: Any, age: Any, of_q: Any) -> Any:
    return 1 / (1 + np.exp(-2 * amount - 1.5 * age - 1.5 * of_q))


@pytest.mark.parametrize(
    ("broken", "name"), [("age", "age"), ("missing", "age"), ("amount", "amount"), ("place", "place")]
)
def test_a_feature_that_broke_is_named_though_no_row_is_like_earlier_ones(
    shop: Open, broken: str, name: str
) -> None:
    one = shop(BRIER)
    sees(one, broken)
    found = why_worse(one.ws, one.until(29), one.day(21))
    assert found.verdict == "broken_feature"
    assert f"with earlier values of '{name}' " in found.message
    (cause,) = [each for each in found.causes if each.found]
    assert cause.explains is not None
    assert 0.3 < cause.explains <= 1
    assert 1 <= len(cause.ids) <= 5


@pytest.mark.parametrize("seed", range(3))
def test_rows_that_truly_differ_are_no_broken_feature(shop: Open, seed: int) -> None:
    one = shop(BRIER)
    sees(one, "", moved=True, seed=seed)
    found = why_worse(one.ws, one.until(29), one.day(21))
    assert found.verdict == "shifted_features"
    assert "moved most: " in found.message
    assert "amount" in found.message
    (cause,) = [each for each in found.causes if each.kind == "broken_feature"]
    assert not cause.found


def test_what_changed_but_takes_from_the_loss_is_no_cause_of_it(shop: Open) -> None:
    one, random, n = shop(BRIER), np.random.default_rng(0), N
    at = np.sort(random.uniform(0, 28, n))
    recent, amount, place = at >= 21, random.normal(size=n), random.choice(list("pqrs"), n)
    score = 1 / (1 + np.exp(-3 * amount))
    truth = (random.random(n) < score) ^ (~recent & (place == "q") & (amount > -0.5))
    mixed = np.flatnonzero(recent & (place != "q") & (random.random(n) < 0.9))
    score[mixed] = score[random.permutation(mixed)]
    ids = [f"w{i:05d}" for i in range(n)]
    one.predicts(ids, at, split="holdout", score=score, amount=amount, age=random.normal(size=n), place=place)
    one.learns(ids, truth.tolist(), at + 0.05)
    found = why_worse(one.ws, one.until(29), one.day(21))
    (cause,) = [each for each in found.causes if each.kind == "label_definition"]
    assert cause.p is not None
    assert cause.p < 0.001
    assert (cause.found, cause.explains) == (False, 0.0)
    assert cause.effect.startswith("changed, but it does not explain the loss: where ")
    assert found.verdict != "label_definition"


def test_much_noise_explains_a_share_of_the_loss(shop: Open) -> None:
    one, random, n = shop(BRIER), np.random.default_rng(0), N
    at = np.sort(random.uniform(0, 28, n))
    amount, place = random.normal(size=n), random.choice(list("pqrs"), n)
    score = 1 / (1 + np.exp(2.5 - 1.5 * amount))
    truth = (random.random(n) < score) ^ ((at >= 21) & (random.random(n) < 0.3))
    ids = [f"w{i:05d}" for i in range(n)]
    one.predicts(ids, at, split="holdout", score=score, amount=amount, age=random.normal(size=n), place=place)
    one.learns(ids, truth.tolist(), at + 0.05)
    found = why_worse(one.ws, one.until(29), one.day(21))
    assert found.verdict == "noisy_labels"
    assert found.causes[0].explains is not None
    assert 0.2 < found.causes[0].explains <= 1


def test_what_did_not_get_worse_has_no_cause(shop: Open) -> None:
    one = shop(BRIER)
    plays(one, "none")
    found = why_worse(one.ws, one.until(29), one.day(21))
    assert (found.verdict, found.causes) == ("not worse", [])
    assert found.added is not None
    assert found.added.low < 0 < found.added.high


def test_too_few_rows_are_said_to_be(shop: Open) -> None:
    one = shop(BRIER)
    plays(one, "noisy_labels", n=400)
    found = why_worse(one.ws, one.until(29), one.day(21))
    assert found.verdict == "too few rows"
    assert f"{found.recent_rows} recent labelled holdout rows, 200 of each needed" in found.message
    assert found.added is None
    assert why_worse(one.ws, one.day(29), one.day(40)).recent_rows == 0


def test_a_new_class(shop: Open) -> None:
    one, random = shop(BRIER, head='task = "multiclass"'), np.random.default_rng(0)
    truth = random.choice(list("xyz"), 1200)
    at = np.linspace(0, 27.9, 1200)
    told = np.where((at >= 21) & (random.random(1200) < 0.1), "new", truth)
    amount = np.array([float("xyz".index(name)) for name in truth]) + 0.1 * random.normal(size=1200)
    scores = [[(name, 0.8 if name == t else 0.1) for name in "xyz"] for t in truth]
    ids = [f"n{i}" for i in range(1200)]
    one.predicts(ids, at, split="holdout", scores=scores, amount=amount)
    one.learns(ids, told.tolist(), at + 0.01)
    found = why_worse(one.ws, one.until(29), one.day(21))
    assert found.verdict == "new_class"
    assert "'new'" in found.message
    (cause,) = [each for each in found.causes if each.found]
    assert set(cause.ids) <= {ids[i] for i in np.flatnonzero(told == "new")}


def test_numbers_have_causes_too(shop: Open) -> None:
    one, random = shop('[monitor]\nmetric = "mae"', head='task = "regression"'), np.random.default_rng(0)
    n = 2000
    at, amount = np.sort(random.uniform(0, 28, n)), random.normal(size=n)
    place, said = random.choice(list("pqr"), n), amount
    off = np.where((at >= 21) & (place == "q"), 2.0, 0.0)
    ids = [f"n{i}" for i in range(n)]
    one.predicts(ids, at, split="holdout", score=said + off, amount=amount, place=place)
    one.learns(ids, amount + 0.3 * random.normal(size=n), at + 0.01)
    found = why_worse(one.ws, one.until(29), one.day(21))
    assert found.verdict == "segment"
    assert "place = 'q'" in found.message
    assert {each.kind: each.p for each in found.causes}["new_class"] is None, "could not be tested"


def test_since_is_a_time_or_a_text_that_is_one(shop: Open) -> None:
    one = shop(BRIER)
    plays(one, "none", n=100)
    as_of = one.until(29)
    for since in (one.day(21), "2026-01-22", "2026-01-22T01:00:00+01:00", one.day(21).replace(tzinfo=None)):
        found = insights(one.ws, as_of, since=since).why
        assert found is not None
        assert found.since == one.day(21)
    for since in ("last week", "", "0001-01-01T00:00:00+02:00"):
        with pytest.raises(StateError, match="is no time"):
            insights(one.ws, as_of, since=since)


def test_it_is_asked_by_itself_when_decay_was_found(shop: Open) -> None:
    one = shop(BRIER + "threshold = 0.14")
    plays(one, "noisy_labels")
    asked: dict[str, Any] = {"as_of": one.until(29)}
    assert insights(one.ws, **asked).why is None
    found = insights(one.ws, **asked, why=True).why
    assert found is not None
    assert found.since == one.day(22)
    assert "below_threshold" in [finding.kind for finding in watch(one.ws, one.day(29))]
    found = Flywheel(one.ws).insights().why
    assert found is not None
    assert found.verdict == "noisy_labels"
    assert (found.since - one.day(0)).days in (21, 28), "the period of the finding"
