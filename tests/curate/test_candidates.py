"""Who may be chosen at all: training rows whose truth is known, each once; never the holdout, never golden rows."""

from collections.abc import Callable

import numpy as np
import pyarrow.parquet as pq
import pytest

from shop import NO_REASONS, Shop, shop_spec
from whorl.curate.curate import selection_steps
from whorl.curate.why import why
from whorl.datasets.build import build
from whorl.datasets.named import make_golden_set
from whorl.evaluate.rows import judged_rows

Open = Callable[..., Shop]
CENSORED = 'action = "action"\ncensored = ["blocked"]'


def test_holdout_and_golden_rows_never_become_cases(shop: Open) -> None:
    one = shop("[curate]\nbudget = 1000")
    told = one.sales(400)
    train = [i for i, split in zip(told["id"], told["split"], strict=True) if split == "train"]
    golden = set(train[:30])
    make_golden_set(one.ws, "sacred", one.until(11), ids=sorted(golden))
    cases = one.curates(one.until(12))
    assert set(one.cases()) == set(train) - golden
    assert (cases.cases, cases.candidates) == (len(train) - 30, len(train) - 30)
    assert len(golden) == 30 < len(train) < 400


def test_the_check_of_the_holdout_can_fail(shop: Open) -> None:
    """The same rows under another split are chosen: the test above looks at what the split decides."""
    one = shop()
    one.sales(40, split="holdout")
    assert one.curates(one.until(12)).candidates == 0
    other = shop()
    other.sales(40, split="train")
    assert other.curates(other.day(12)).candidates == 40


def test_a_group_on_both_sides_is_on_neither(shop: Open) -> None:
    """[curate] holdout_share was raised, and back: what was trained on must not judge, nor the other way round."""
    one = shop('[evaluate]\nmetric = "log_loss"')
    ids = [f"r{i}" for i in range(90)]
    one.predicts(ids[:60], group_id=[f"u{i % 30}" for i in range(60)])
    one.learns(ids[:60], [i % 3 == 0 for i in range(60)])
    first = one.until(3)
    assert one.dataset(first).rows == 60
    one.predicts(ids[60:], 3.5, group_id=[f"u{i}" for i in range(10, 40)], split="holdout", score=0.5)
    one.learns(ids[60:], [i % 3 == 0 for i in range(30)], 4)
    cases = one.curates(one.until(5), first)
    assert one.ws.examples(one.day(5)).counts()["parted.known"] == 40 + 20
    assert "60 labelled predictions are neither trained on nor judged" in cases.notes[0]
    assert build(one.ws, cases.cycle_id, cases).rows == 20
    assert len(judged_rows(one.ws, one.day(5))) == 10


def test_open_and_censored_rows_are_no_candidates(shop: Open) -> None:
    one = shop(schema=CENSORED)
    one.predicts(["let-through", "blocked", "open"], action=["paid", "blocked", "paid"])
    one.learns(["let-through"], [True])
    cases = one.curates(one.until(5))
    assert list(one.cases()) == ["let-through"]
    assert cases.candidates == 1
    counts = one.ws.examples(one.day(5)).counts()
    assert counts["train.censored"] == counts["train.open"] == 1


def test_a_censored_row_does_not_take_the_default(shop: Open) -> None:
    one = shop('[labels]\ndefault_after = { value = false, after = "3d" }', schema=CENSORED)
    one.predicts(["quiet", "blocked"], action=["paid", "blocked"])
    assert one.curates(one.until(2)).candidates == 0
    one.curates(one.until(4))
    assert {i: case["status"] for i, case in one.cases().items()} == {"quiet": "defaulted"}


def test_each_row_is_considered_once(shop: Open) -> None:
    """Whatever comes late: over all cycles the candidates are the rows, each one time."""
    one = shop(f"[curate]\nbudget = 20\n{NO_REASONS}")
    ids = [f"r{i:03d}" for i in range(300)]
    random = np.random.default_rng(1)
    at = np.sort(random.uniform(0, 30, 300))
    known = at + random.exponential(4, 300)
    # One in ten predictions is received long after its label.
    received = np.where(random.random(300) < 0.1, known + 3, at)
    one.predicts(ids, at, received=received, amount=1.0)
    one.learns(ids, True, known)
    met: list[str] = []
    since = None
    for number in (7, 14, 21, 28, 35, 80):
        as_of = one.until(number)
        steps = selection_steps(
            one.ws,
            one.ws.examples(as_of).name,
            as_of,
            one.ws.arrivals(as_of, one.turned(as_of)).newly_taken(),
        )
        met += [row["id"] for row in one.asked(steps.sql("candidates_with_rules"))]
        cases = one.curates(as_of, since)
        build(one.ws, cases.cycle_id, cases)
        since = as_of
    assert sorted(met) == ids


def test_a_correction_gives_another_chance(shop: Open) -> None:
    """Once a correction, by the chance of the new draw; what was drawn stays, and takes the new label."""
    one = shop('[curate]\nstrategy = "random"\nbudget = 4\ninitial = 2')
    ids = [f"r{i}" for i in range(10)]
    one.predicts(ids)
    one.learns(ids, False, 2)
    first = one.until(3)
    one.dataset(first)
    drawn = set(one.cases())
    passed_over = min(set(ids) - drawn)
    assert "was considered in cycle" in str(why(one.ws, passed_over, first).why_not)
    one.learns(ids, True, 5)
    assert "the next one considers it again" in str(why(one.ws, passed_over, one.until(7)).why_not)
    cases = one.curates(one.day(7), first)
    assert (cases.candidates, cases.cases) == (8, 4)
    assert cases.notes[0].startswith(
        "8 of 8 candidates were considered before and not drawn; their label was corrected"
    )
    made = build(one.ws, cases.cycle_id, cases)
    again = one.cases(cases.cycle_id)
    assert not drawn & set(again)
    assert {case["probability"] for case in again.values()} == {0.5}
    rows = pq.read_table(made.path).to_pylist()
    assert {row["id"] for row in rows} == drawn | set(again)
    assert all(row["label"] for row in rows)
    assert one.curates(one.until(8), one.day(7)).candidates == 0, "once a correction"
    one.learns(ids, False, 9)
    assert one.curates(one.until(10), one.day(8)).candidates == 4, "this is another one"


def test_what_is_no_correction_gives_no_other_chance(shop: Open) -> None:
    one = shop("[curate]\nbudget = 1\ninitial = 1")
    ids = ["same", "back", "golden", "early"]
    one.predicts(ids)
    one.learns(["early"], True, 1)
    one.learns(ids, False, 2)
    first = one.until(3)
    assert one.curates(first).candidates == 4
    make_golden_set(one.ws, "sacred", one.until(4), ids=["golden"])
    one.learns(["same"], False, 5)
    one.learns(["back", "golden"], True, 5)
    one.learns(["back"], False, 6)
    assert one.curates(one.until(7), first).candidates == 0


def test_a_truth_that_replaces_its_default_gives_another_chance(shop: Open) -> None:
    one = shop('[curate]\nbudget = 1\ninitial = 1\n[labels]\ndefault_after = { value = false, after = "3d" }')
    one.predicts(["a", "b", "c"])
    first = one.until(4)
    one.dataset(first)
    (drawn,) = one.cases()
    one.learns(["a", "b", "c"], True, 5)
    one.curates(one.until(7), first)
    steps = one.asked(
        f"SELECT id, label FROM {one.lake('considered')} WHERE as_of = TIMESTAMPTZ '{one.day(7)}'"
    )
    assert {row["id"] for row in steps} == {"a", "b", "c"} - {drawn}
    assert all(row["label"] for row in steps)


def test_a_rule_meets_what_was_corrected(shop: Open) -> None:
    """Rows that were passed over as ordinary, and are what a rule looks for as they are now."""
    rule = '[[curate.rules]]\nname = "missed"\nwhen = "label and score < 0.2"'
    one = shop(f"[curate]\nbudget = 50\ninitial = 50\n{NO_REASONS}\n{rule}")
    ids = [f"r{i:03d}" for i in range(400)]
    one.predicts(ids, score=0.1)
    one.learns(ids, [i % 10 == 0 for i in range(400)], 2)
    first = one.until(3)
    one.dataset(first)
    rest = [i for i in ids[1::10] if i not in one.cases()]
    one.learns(rest, True, 5)
    cases = one.curates(one.until(7), first)
    assert (cases.candidates, cases.by_reason) == (len(rest), {"missed": len(rest)})


def test_young_rows_wait_for_the_lag(shop: Open) -> None:
    one = shop('[labels]\nlag = "10d"')
    one.predicts(["old", "young"], [0.0, 5.0])
    one.learns(["old", "young"], True, 5.5)
    first = one.until(12)
    one.curates(first)
    assert list(one.cases()) == ["old"]
    assert one.curates(one.until(16), first).candidates == 1


def test_a_shorter_lag_takes_nobodys_chance(shop: Open) -> None:
    """Rows that an earlier cycle passed over as too young are met by the first one whose lag allows it."""
    one = shop('[labels]\nlag = "10d"')
    one.predicts(["old", "young", "younger"], [0.0, 5.0, 11.0])
    one.learns(["old", "young", "younger"], True, 11.5)
    first = one.until(12)
    one.curates(first)
    one.ws.spec = shop_spec()
    assert one.curates(one.until(12.1), first).candidates == 2
    assert one.curates(one.until(13), one.day(12.1)).candidates == 0


def test_rows_of_the_time_forward_holdout_are_trained_on_later(shop: Open) -> None:
    one = shop('[curate]\nholdout_share = 0.0\n[evaluate]\ntime_forward = "3d"')
    one.predicts(["a", "b"], [0.0, 5.0])
    one.learns(["a", "b"], True, 5.5)
    first = one.until(6)
    one.curates(first)
    assert list(one.cases()) == ["a"]
    one.curates(one.until(9), first)
    assert list(one.cases()) == ["a", "b"]


@pytest.mark.parametrize("known_at", [6.0, 6.5])
def test_a_label_on_the_stroke_of_a_cycle_is_met_by_one_of_the_two(shop: Open, known_at: float) -> None:
    one = shop()
    one.predicts(["a"])
    one.learns(["a"], True, known_at)
    first, second = one.day(6), one.day(7)
    one.until(7)
    assert one.curates(first).candidates + one.curates(second, first).candidates == 1
