"""Verdicts where only some truths come: at random nothing changes, by what is known rows are weighted, else it is refused."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from shop import Shop
from whorl.evaluate.judge import judge
from whorl.evaluate.rows import JudgedRows, judged_rows
from whorl.records import Verdict
from whorl.storage.tables import lake_schemas

Open = Callable[..., Shop]
ANY = '[evaluate]\nwindow = "36500d"\ngates = []\n'
N = 3000
Chance = Callable[[np.ndarray, np.ndarray], np.ndarray]


def ask(one: Shop, ids: list[str], probability: float) -> None:
    """A draw among all rows, on day 30."""
    schema, at = lake_schemas(one.ws.spec)["asked"], one.day(30)
    row = {"draw": "d", "as_of": at, "day": at.date(), "time": at, "purpose": "judge", "strategy": "even", "stratum": "0",
           "probability": probability, "since": None, "until": at}  # fmt: skip
    one.ws.lake.append(
        "asked", pa.Table.from_pylist([row | {"id": i} for i in ids], schema), app="test/draw", version=1
    )


def answers(one: Shop, chance: Chance, *, asked: int = 0) -> tuple[JudgedRows, Verdict, float]:
    """Holdout rows, right more often where the score is sure; those that answer by a chance of (how sure, whether right).

    `asked`: so many were asked at random as well. Returns what judges, the verdict, and the share that is right.
    """
    random = np.random.default_rng(0)
    ids = [f"r{i:04d}" for i in range(N)]
    sure, said = random.random(N), random.random(N) < 0.5
    right = random.random(N) < 0.5 + 0.45 * sure
    truth = said == right
    score = np.where(said, 0.5 + sure / 2, 0.5 - sure / 2)
    at = np.sort(random.uniform(0, 30, N))
    one.predicts(ids, at, split="holdout", score=score, amount=random.normal(size=N))
    came = random.random(N) < chance(sure, right)
    if asked:
        drawn = np.zeros(N, np.bool_)
        drawn[random.choice(N, asked, replace=False)] = True
        ask(one, [i for i, d in zip(ids, drawn, strict=True) if d], asked / N)
        came |= drawn
    one.learns([i for i, c in zip(ids, came, strict=True) if c], truth[came].tolist(), 31.0)
    as_of = one.until(40)
    version = one.scored(dict(zip(ids, score.tolist(), strict=True)))
    return judged_rows(one.ws, as_of), judge(one.ws, version, "c1", as_of), float(right.mean())


def by_sure(sure: np.ndarray, _: np.ndarray) -> np.ndarray:
    return 0.05 + 0.8 * sure**2


def accuracy(verdict: Verdict) -> dict[str, float]:
    found: dict[str, float] = verdict.metrics["accuracy"]["challenger"]
    return found


def test_answers_that_go_by_the_score_are_weighted_and_the_verdict_says_so(shop: Open) -> None:
    rows, verdict, full = answers(shop(ANY), by_sure)
    assert rows.weight.max() > 3
    [note] = [note for note in verdict.notes if "Whose truth comes is not by chance" in note]
    assert "count as much as" in note
    found = accuracy(verdict)
    assert found["low"] < full < found["high"]
    unweighted = float(np.mean((rows.table["score"].to_numpy() >= 0.5) == rows.truth))
    assert unweighted > full + 0.06, "the check above can fail"


@pytest.mark.parametrize(
    "chance", [lambda sure, _: np.full(len(sure), 0.3), lambda sure, _: np.ones_like(sure)]
)
def test_where_truths_come_at_random_or_all_come_nothing_changes(shop: Open, chance: Chance) -> None:
    rows, verdict, _ = answers(shop(ANY), chance)
    assert set(rows.weight) == {1.0}
    assert not [note for note in verdict.notes if "Whose truth" in note]
    assert verdict.decision == "promote"


def test_a_kind_of_row_that_never_answers_holds_the_verdict(shop: Open) -> None:
    _, verdict, _ = answers(shop(ANY), lambda sure, _: np.where(sure < 0.3, 0.0, 0.5))
    assert (verdict.decision, verdict.reason.split(":")[0]) == ("hold", "answering")
    assert "nothing known stands for them" in verdict.reason
    assert "whorl holdout ask" in verdict.reason


def test_answers_that_go_by_the_truth_are_found_beside_rows_that_were_asked(shop: Open) -> None:
    def wronged(_: np.ndarray, right: np.ndarray) -> np.ndarray:
        return np.where(right, 0.15, 0.6)

    rows, verdict, full = answers(shop(ANY), wronged, asked=200)
    assert len(rows) == 200, "those who were asked judge, the others' answers do not"
    assert accuracy(verdict)["low"] < full < accuracy(verdict)["high"]
    _, fair, _ = answers(shop(ANY), by_sure, asked=200)
    assert fair.decision == "promote"


def test_a_declared_default_means_that_everybody_answers(shop: Open) -> None:
    rows, _, _ = answers(shop(ANY + '[labels]\ndefault_after = { value = false, after = "5d" }'), by_sure)
    assert len(rows) == N
    assert set(rows.weight) == {1.0}


def test_rows_that_are_too_young_to_have_answered_are_not_silent(shop: Open) -> None:
    one = shop(ANY)
    random = np.random.default_rng(1)
    ids, at = [f"r{i:04d}" for i in range(N)], np.sort(random.uniform(0, 10, N))
    # The amount rises with time: it tells who is young, and so does the score.
    one.predicts(ids, at, split="holdout", amount=at, score=np.clip(at / 10, 0.01, 0.99))
    came = at + 3 < 10
    truth = random.random(N) < 0.5
    one.learns([i for i, c in zip(ids, came, strict=True) if c], truth[came].tolist(), at[came] + 3)
    rows = judged_rows(one.ws, one.until(10))
    assert set(rows.weight) == {1.0}
    assert (rows.refusal, rows.notes) == ("", [])


def test_late_truth_is_weighted_in_its_own_way_and_not_twice(shop: Open) -> None:
    _, verdict, _ = answers(shop(ANY + '[labels]\ndelay = "survival"'), by_sure)
    assert not [note for note in verdict.notes if "Whose truth" in note]
