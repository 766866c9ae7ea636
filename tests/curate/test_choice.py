"""What a cycle's choice keeps: strategy, budget, first dataset, segments, recency, and the chance of each case."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from shop import NO_REASONS, Shop

Open = Callable[..., Shop]
RULE = '\n[[curate.rules]]\nname = "dear"\nwhen = "amount > 1"'


def second(one: Shop, n: int = 400, **columns: object) -> str:
    """Choose among n rows after a first dataset; the cycle's id. One row in four is dear."""
    one.sales(60, name="first", days=(0, 1), holdout=0.0)
    one.dataset(one.until(2))
    ids = [f"r{i:03d}" for i in range(n)]
    told = {"amount": np.where(np.arange(n) % 4 == 0, 2.0, 0.0), "place": "p", **columns}
    one.predicts(ids, 3.0, **told)
    one.learns(ids, [True, False] * (n // 2), 4.0)
    return one.curates(one.until(5), one.day(2)).cycle_id


def test_the_first_dataset_takes_every_known_row(shop: Open) -> None:
    one = shop("[curate]\nbudget = 5" + RULE)
    one.sales(80, holdout=0.0)
    cases = one.curates(one.until(11))
    assert cases.by_reason == {"initial": 80}
    assert {case["probability"] for case in one.cases().values()} == {1.0}


def test_or_some_of_them_at_random(shop: Open) -> None:
    one = shop("[curate]\ninitial = 20" + RULE)
    one.sales(80, holdout=0.0)
    cases = one.curates(one.until(11))
    assert cases.by_reason == {"initial": 20}
    assert {case["probability"] for case in one.cases().values()} == {0.25}


def test_a_share_is_drawn_at_random_whatever_the_rules_say(shop: Open) -> None:
    one = shop(f"[curate]\nbudget = 60\nrandom_share = 0.4\nreason_share = 1\n{NO_REASONS}" + RULE)
    cases = one.cases(second(one))
    why = Counter(case["reason"] for case in cases.values())
    at_random = 0.4 * 60 / 400
    by_rule = 1 - (1 - 36 / 100) * (1 - at_random)
    assert len(cases) <= 60
    assert why["dear"] >= 36
    assert why["random"] > 0
    assert {(c["reason"], round(c["probability"], 9)) for c in cases.values()} == {
        ("dear", round(by_rule, 9)), ("random", round(at_random, 9)),
    }  # fmt: skip
    assert {(c["reason"], c["policy"]) for c in cases.values()} >= {("dear", "mix"), ("random", "random")}


def test_chances_are_in_proportion_to_severity(shop: Open) -> None:
    """Also below the mean: a case of severity 1 beside many of 9 is not worth as much as they are on average."""
    one = shop(
        f"[curate]\nbudget = 60\nrandom_share = 0.05\nreason_share = 1\n{NO_REASONS}"
        + RULE
        + '\nseverity = "amount"'
    )
    amount = np.where(np.arange(400) % 4 == 0, np.where(np.arange(400) % 8 == 0, 18.0, 2.0), 0.0)
    cases = one.cases(second(one, amount=amount)).values()
    chances = {case["severity"]: case["probability"] for case in cases if case["reason"] == "dear"}
    # The 50 rows of severity 18 are certain, and need no second chance.
    at_random = 3 / 350
    assert chances == pytest.approx({18.0: 1.0, 2.0: 1 - (1 - 7 / 50) * (1 - at_random)})


def test_the_chance_without_what_saw_the_truth_is_kept(shop: Open) -> None:
    """A rule that names the label makes its rows certain; without it they would have had the random share alone."""
    one = shop(
        f"[curate]\nbudget = 60\nrandom_share = 0.5\nreason_share = 1\n{NO_REASONS}"
        '\n[[curate.rules]]\nname = "missed"\nwhen = "label and amount > 1"'
        '\n[[curate.rules]]\nname = "dear"\nwhen = "amount > 1.5"'
    )
    label = np.arange(400) % 40 == 0
    one.sales(60, name="first", days=(0, 1), holdout=0.0)
    one.dataset(one.until(2))
    ids = [f"r{i:03d}" for i in range(400)]
    one.predicts(ids, 3.0, amount=np.where(label, 1.2, 0.0), place="p")
    one.learns(ids, label.tolist(), 4.0)
    cases = one.cases(one.curates(one.until(5), one.day(2)).cycle_id).values()
    at_random = 30 / 370  # 10 rows are missed, and the strategy is sure of 20.
    assert {(c["label"], round(c["probability"], 9), round(c["blind_probability"], 9)) for c in cases} == {
        (True, 1.0, round(at_random, 9)), (False, round(at_random, 9), round(at_random, 9)),
        (False, 1.0, 1.0),
    }  # fmt: skip


def test_strategy_random_asks_no_reason(shop: Open) -> None:
    one = shop('[curate]\nbudget = 60\nstrategy = "random"' + RULE)
    cases = one.cases(second(one))
    assert len(cases) == 60
    assert {(c["reason"], c["policy"]) for c in cases.values()} == {("random", "random")}
    assert [c["probability"] for c in cases.values()] == pytest.approx([0.15] * 60)


def test_without_a_budget_all_are_taken(shop: Open) -> None:
    one = shop("[curate]" + RULE)
    # The file's default is a budget; none has to be said by who makes the spec.
    import msgspec

    spec = one.ws.spec
    one.ws.spec = msgspec.structs.replace(spec, curate=msgspec.structs.replace(spec.curate, budget=0))
    cases = one.cases(second(one))
    assert len(cases) == 400
    assert {c["probability"] for c in cases.values()} == {1.0}


def test_segments_share_a_reason_equally(shop: Open) -> None:
    """One row in twenty is of the small place; it gets as many cases as the large one."""
    one = shop(
        f"[curate]\nbudget = 40\nrandom_share = 0.05\nreason_share = 1\n{NO_REASONS}" + RULE,
        schema='segments = ["place"]',
    )
    place = ["small" if i % 20 == 0 else "large" for i in range(800)]
    cases = one.cases(second(one, 800, place=place)).values()
    dear = Counter(c["segment"] for c in cases if c["reason"] == "dear")
    assert dear["small"] == pytest.approx(19, abs=5)
    assert dear["large"] == pytest.approx(19, abs=5)


def test_a_row_a_half_life_older_weighs_half(shop: Open) -> None:
    one = shop(
        f'[curate]\nbudget = 40\nrandom_share = 0.05\nreason_share = 1\nhalf_life = "1d"\n{NO_REASONS}\n'
        '[[curate.rules]]\nname = "all"\nwhen = "amount is not null"'
    )
    one.sales(60, name="first", days=(0, 1), holdout=0.0)
    one.dataset(one.until(2))
    ids = [f"r{i:03d}" for i in range(200)]
    one.predicts(ids, np.where(np.arange(200) < 100, 3.0, 4.0), amount=1.0)
    one.learns(ids, True, 4.5)
    cases = one.cases(one.curates(one.until(5), one.day(2)).cycle_id)
    at_random = 2 / 200
    chance = {day: {round(1 - (1 - c["probability"]) / (1 - at_random), 6) for c in cases.values()
                    if c["time"] == one.day(day)} for day in (3, 4)}  # fmt: skip
    (old,), (young,) = chance[3], chance[4]
    assert young == pytest.approx(2 * old, rel=1e-3)


def test_a_case_keeps_what_was_known_of_it(shop: Open) -> None:
    one = shop(schema='segments = ["place"]')
    one.predicts(["a"], score=0.7, place="north", model_version="v7")
    one.learns(["a"], [True])
    made = one.curates(one.until(3))
    case = one.cases()["a"]
    assert (case["cycle_id"], case["as_of"], case["time"]) == (made.cycle_id, one.day(3), one.day(0))
    assert (case["score"], case["label"], case["status"]) == (0.7, True, "known")
    assert (case["segment"], case["model_version"], case["policy"]) == ("north", "v7", "random")


def test_the_same_choice_again_adds_nothing(shop: Open) -> None:
    """A step that was cut short runs again: the cases are there once, and they are the same."""
    from whorl.curate.curate import curate

    one = shop(f"[curate]\nbudget = 20\n{NO_REASONS}" + RULE)
    second(one)
    for _ in range(2):
        curate(one.ws, "again", one.day(5), one.turned(one.day(2)))
    rows = one.asked(f"SELECT id FROM {one.lake('cases')} WHERE cycle_id = 'again'")
    assert 0 < len(rows) <= 20
    assert len({row["id"] for row in rows}) == len(rows)
    considered = one.asked(f"SELECT id FROM {one.lake('considered')} WHERE cycle_id = 'again'")
    assert len({row["id"] for row in considered}) == len(considered) == 400
