"""Another model answers half of the rows beside the champion: it is the champion that is watched, planned for and judged."""

from collections.abc import Callable

import numpy as np
import pytest

from shop import Shop
from whorl.evaluate.holdout_plan import plan
from whorl.monitor.error_stream import error_stream, risen_errors
from whorl.monitor.quality import quality

Open = Callable[..., Shop]
OF_A, OF_B = 0.9, 0.5
NAMED = '[champion]\nversion = "A"\n'


def both_answer(one: Shop, *, names: tuple[str | None, str] = ("A", "B"), rows: int = 1200) -> None:
    random = np.random.default_rng(0)
    ids, at = [f"r{n:05d}" for n in range(rows)], np.linspace(0, 7, rows)
    of_a = np.arange(rows) % 2 == 0
    truth, right = random.random(rows) < 0.5, random.random(rows) < np.where(of_a, OF_A, OF_B)
    one.predicts(
        ids,
        at,
        split="holdout",
        score=np.where(right == truth, 0.7, 0.3),
        model_version=[names[0] if a else names[1] for a in of_a],
    )
    one.learns(ids, truth.tolist(), at + 0.1)


@pytest.mark.parametrize("names", [("A", "B"), (None, "B")], ids=["named", "of no model named"])
def test_the_figures_are_the_champions(shop: Open, names: tuple[str | None, str]) -> None:
    one = shop(NAMED + "[monitor]\nmetric = 'accuracy'\nperiod = '7d'\n")
    both_answer(one, names=names)
    one.predicts(["asked"], 7.0, split="holdout", score=0.7, model_version="A")
    as_of = one.until(8)
    first = quality(one.ws, as_of)[0]
    assert first.value == pytest.approx(OF_A, abs=0.04)
    assert error_stream(one.ws, as_of).errors.mean() == pytest.approx(1 - OF_A, abs=0.04)


def test_nobody_is_asked_for_rows_that_others_answered(shop: Open) -> None:
    one = shop(NAMED)
    both_answer(one)
    picked = plan(one.ws, one.until(8), labels=100).picked["id"].to_pylist()
    assert {int(id[1:]) % 2 for id in picked} == {0}


def test_records_with_names_of_their_own_are_all_watched(shop: Open) -> None:
    one = shop('[champion]\nversion = "fraud/4"\n[monitor]\nmetric = "accuracy"\nperiod = "7d"\n')
    both_answer(one)
    assert quality(one.ws, one.until(8))[0].rows > 1000


def test_a_model_on_trial_is_no_rise_of_the_champions_errors(shop: Open) -> None:
    one = shop(NAMED)
    random = np.random.default_rng(1)
    for name, days, share in (("A", (0, 20), 0.1), ("trial", (10, 20), 0.6)):
        ids, at = [f"{name}{n}" for n in range(800)], np.linspace(*days, 800)
        truth = random.random(800) < 0.5
        wrong = random.random(800) < share
        one.predicts(ids, at, split="holdout", score=np.where(truth != wrong, 0.9, 0.1), model_version=name)
        one.learns(ids, truth.tolist(), at + 0.1)
    assert risen_errors(one.ws, one.until(21)) == []
