"""Which holdout rows people are asked about: planned to a precision, priced, drawn once, never twice."""

import numpy as np
import pyarrow as pa
import pytest

from shop import Shop
from whorl.errors import SourceError, StateError, TruthError
from whorl.evaluate.holdout_ask import ask_in_cycle, record
from whorl.evaluate.holdout_plan import plan
from whorl.examples.asked_list import asked_list
from whorl.storage.lock import hold
from whorl.storage.row_file import write_rows

TEST = "[evaluate]\nlabel_cost = 0.5\nask = 40\n"


def answered_shop(shop, sections=TEST, *, rows=2000, head="", name="a", at=(0.0, 5.0), score=None):
    one = shop(sections, head=head)
    answers(one, rows, name=name, at=at, score=score)
    return one


def answers(one: Shop, rows: int, *, name: str = "a", at=(0.0, 5.0), score=None, holdout=0.5) -> list[str]:
    random = np.random.default_rng(7)
    ids = [f"{name}{i:05d}" for i in range(rows)]
    split = np.where(random.random(rows) < holdout, "holdout", "train").tolist()
    said = random.beta(0.5, 0.5, rows) if score is None else np.full(rows, score)
    one.predicts(ids, np.sort(random.uniform(*at, rows)), score=said, split=split)
    return ids


def test_a_plan_names_rows_with_chances_and_their_price(shop):
    one = answered_shop(shop)
    found = plan(one.ws, one.until(6), labels=100)

    assert found.draw == "judge-0001"
    assert found.labels == found.picked.num_rows == 100
    assert found.cost == 50.0
    assert found.since is None
    assert found.basis == "the model's claim"
    assert set(found.picked.column_names) == {"id", "time", "score", "probability", "stratum"}
    chance = np.asarray(found.picked["probability"])
    assert ((chance > 0) & (chance <= 1)).all()
    assert np.sum(1 / chance) == pytest.approx(found.rows, rel=0.1)
    split = one.asked(
        f"SELECT DISTINCT split FROM {one.lake('predictions')} WHERE id IN "
        f"({', '.join(repr(i) for i in found.picked['id'].to_pylist())})"
    )
    assert split == [{"split": "holdout"}]


def test_a_precision_is_turned_into_the_labels_it_takes(shop):
    one = answered_shop(shop)
    coarse, fine = (plan(one.ws, one.until(6), precision=p) for p in (0.05, 0.03))

    assert coarse.precision <= 0.05
    assert fine.precision <= 0.03
    assert coarse.labels < fine.labels < fine.rows
    whole = plan(one.ws, one.until(6), precision=1e-6)
    assert whole.labels == whole.rows
    assert 0 < whole.precision < fine.precision


def test_without_a_number_the_budget_of_the_spec_is_asked_for(shop):
    one = answered_shop(shop)
    assert plan(one.ws, one.until(6)).labels == 40


def test_without_a_price_there_is_no_cost(shop):
    one = answered_shop(shop, "")
    found = plan(one.ws, one.until(6), labels=10)
    assert found.cost is None


def test_rows_whose_truth_has_come_cost_nothing(shop):
    one = answered_shop(shop)
    first = plan(one.ws, one.until(6), labels=10)
    one.learns(first.picked["id"].to_pylist()[:4], True, 6.5)
    found = plan(one.ws, one.until(7), labels=10)

    assert found.picked["id"].to_pylist() == first.picked["id"].to_pylist()
    assert found.labelled == 4
    assert found.cost == 3.0


def test_known_labels_say_where_errors_lie_and_how_many_labels_it_takes(shop):
    one = answered_shop(shop)
    claimed = plan(one.ws, one.until(6), precision=0.03)
    rows = one.asked(
        f"SELECT id, score FROM {one.lake('predictions')} WHERE split = 'holdout' ORDER BY id LIMIT 300"
    )
    for truth in (True, False):
        one.learns([r["id"] for r in rows if (r["score"] >= 0.5) is truth], truth, 6.5)
    found = plan(one.ws, one.until(7), precision=0.03)

    assert claimed.basis == "the model's claim"
    assert found.basis == "known labels"
    assert found.accuracy > 0.97
    assert found.labels < claimed.labels


def test_a_draw_is_kept_once_and_its_rows_are_never_asked_again(shop):
    one = answered_shop(shop)
    first = plan(one.ws, one.until(6), labels=50)
    record(one.ws, first)
    with pytest.raises(StateError, match="judge-0001 has been made already"):
        record(one.ws, first)

    kept = one.asked(f"SELECT * FROM {one.lake('asked')}")
    assert len(kept) == 50
    assert {row["purpose"] for row in kept} == {"judge"}
    assert {row["strategy"] for row in kept} == {"doubt"}
    assert {row["until"] for row in kept} == {one.day(6)}
    with pytest.raises(StateError, match="since 2026-01-07 00:00 UTC, when labels were last asked for"):
        plan(one.ws, one.until(7), labels=50)

    answers(one, 500, name="b", at=(7.0, 8.0))
    second = plan(one.ws, one.until(9), labels=20)
    record(one.ws, second)
    assert second.draw == "judge-0002"
    assert second.since == one.day(6)
    assert all(i.startswith("b") for i in second.picked["id"].to_pylist())


def test_what_was_asked_is_listed_with_the_truth_that_came(shop):
    one = answered_shop(shop)
    assert asked_list(one.ws.examples(one.until(6))).num_rows == 0
    found = plan(one.ws, one.until(6), labels=5)
    record(one.ws, found)
    ids = found.picked["id"].to_pylist()
    one.learns(ids[:2], True, 6.5)
    listed = {row["id"]: row["label"] for row in asked_list(one.ws.examples(one.until(7))).to_pylist()}

    assert listed == dict.fromkeys(ids[:2], True) | dict.fromkeys(ids[2:])


def test_more_labels_than_rows_asks_for_every_row(shop):
    one = answered_shop(shop, rows=12)
    found = plan(one.ws, one.until(6), labels=500)

    assert found.labels == found.rows
    assert set(found.picked["probability"].to_pylist()) == {1.0}


def test_a_holdout_of_three_rows_can_be_asked_about(shop):
    one = shop(TEST)
    one.predicts(["a", "b", "c"], [1.0, 2.0, 3.0], score=[0.2, 0.9, 0.4], split="holdout")
    found = plan(one.ws, one.until(6), labels=2)
    assert found.labels == 2
    assert found.rows == 3


def test_all_scores_equal_gives_every_row_the_same_chance(shop):
    one = answered_shop(shop, score=0.3)
    found = plan(one.ws, one.until(6), labels=30)
    assert np.ptp(np.asarray(found.picked["probability"])) < 1e-12


@pytest.mark.parametrize("rows", [75, 225, 315, 365])
def test_where_all_scores_are_equal_rounding_does_not_decide_how_is_drawn(shop, rows):
    one = shop(TEST)
    ids = answers(one, rows, score=0.3, holdout=1.0)
    one.learns(ids[::3], True, 5.1)
    one.learns([i for i in ids if i not in ids[::3]], False, 5.1)
    assert plan(one.ws, one.until(6), labels=20).strategy == "doubt"


def test_classes_are_asked_about_by_their_two_likeliest(shop):
    one = shop(TEST, head='task = "multiclass"')
    ids = [f"m{i}" for i in range(300)]
    scores = [{"x": 0.5, "y": 0.45, "z": 0.05} if i % 10 == 0 else {"x": 0.98, "y": 0.02} for i in range(300)]
    one.predicts(ids, np.linspace(0, 5, 300), scores=[list(s.items()) for s in scores], split="holdout")
    found = plan(one.ws, one.until(6), labels=30)
    doubted = [i for i in found.picked["id"].to_pylist() if int(i[1:]) % 10 == 0]

    assert len(doubted) >= 6
    assert "scores" in found.picked.column_names


@pytest.mark.parametrize(
    ("made", "asking", "said"),
    [
        ({"score": 1.5}, {"labels": 10}, "of .* probabilities are missing or lie outside"),
        ({}, {"labels": 0}, "A budget of 0 labels asks for nothing"),
        ({}, {"precision": 0.0}, "does not lie between 0 and 1"),
        ({}, {"precision": -0.01}, "A precision of -0.01 does not lie between 0 and 1"),
        ({}, {"precision": 1.5}, "It is half the width of the interval"),
        ({}, {"precision": float("nan")}, "does not lie between 0 and 1"),
        ({}, {"precision": 0.01, "labels": 5}, "both given"),
        ({"rows": 0}, {"labels": 10}, "No holdout row was answered"),
        (
            {"head": 'task = "regression"', "sections": ""},
            {"labels": 10},
            "Accuracy needs classes; the task is 'regression'",
        ),
        ({"sections": "[evaluate]\nask = 0\n"}, {}, "A budget of 0 labels asks for nothing"),
    ],
)
def test_what_cannot_be_asked_is_said(shop, made, asking, said):
    one = answered_shop(shop, **made)
    with pytest.raises((StateError, TruthError), match=said):
        plan(one.ws, one.until(6), **asking)


@pytest.mark.parametrize("suffix", ["csv", "parquet", "ndjson"])
def test_rows_go_into_a_file_whole(shop, tmp_path, suffix):
    one = answered_shop(shop)
    found = plan(one.ws, one.until(6), labels=7)
    file = tmp_path / f"rows.{suffix}"
    write_rows(found.picked, file)

    assert found.picked["id"].to_pylist()[0].encode() in file.read_bytes() or suffix == "parquet"
    assert list(tmp_path.glob("*.draft")) == []
    if suffix == "parquet":
        assert pa.parquet.read_table(file).num_rows == 7


def test_a_file_of_unknown_format_is_refused(shop, tmp_path):
    one = answered_shop(shop)
    with pytest.raises(SourceError, match=r"No format is known for '\.xlsx'"):
        write_rows(plan(one.ws, one.until(6), labels=7).picked, tmp_path / "rows.xlsx")


def test_where_labels_show_that_doubt_says_nothing_the_draw_is_even(shop):
    one = answered_shop(shop)
    assert plan(one.ws, one.until(6), labels=30).strategy == "doubt"
    ids = [
        row["id"]
        for row in one.asked(f"SELECT id FROM {one.lake('predictions')} WHERE split = 'holdout' ORDER BY id")
    ]
    truth = np.random.default_rng(5).random(len(ids)) < 0.5
    for value in (True, False):
        one.learns([i for i, t in zip(ids[:600], truth, strict=False) if t == value], value, 6.5)
    found = plan(one.ws, one.until(7), labels=30)

    assert found.strategy == "random"
    assert np.ptp(np.asarray(found.picked["probability"])) < 1e-12
    assert found.accuracy == pytest.approx(0.5, abs=0.06)


def test_a_cycle_asks_once_however_often_its_step_runs(shop):
    one = answered_shop(shop)
    first = ask_in_cycle(one.ws, "shop-0001", one.until(6))
    again = ask_in_cycle(one.ws, "shop-0001", one.until(6))

    assert first == again == 40
    assert set(asked_list(one.ws.examples(one.until(6)))["draw"].to_pylist()) == {"judge-shop-0001"}
    assert ask_in_cycle(one.ws, "shop-0002", one.until(6)) == 0, "no row has come since"


def test_a_cycle_asks_for_nothing_while_somebody_else_does(shop):
    one = answered_shop(shop)
    with hold(one.ws.root, one.ws.ledger, f"asking-{one.ws.name}"):
        assert ask_in_cycle(one.ws, "shop-0001", one.until(6)) == 0


def test_a_cycle_that_waited_asks_for_nothing_that_was_asked_meanwhile(shop):
    one = answered_shop(shop, rows=400)
    began = one.until(4)
    record(one.ws, plan(one.ws, one.until(6), labels=50))
    assert ask_in_cycle(one.ws, "shop-0001", began) == 0
    assert asked_list(one.ws.examples(one.until(6))).num_rows == 50
