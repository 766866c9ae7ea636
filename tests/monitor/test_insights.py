"""Where the champion errs: slices of its holdout rows, with their figures and rows to look at, over every face."""

import json
from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from shop import Shop
from whorl.errors import StateError
from whorl.flywheel import Flywheel
from whorl.models.digest import folder_digest
from whorl.monitor.insights.insights import insights

Open = Callable[..., Shop]
ACCURATE = '[monitor]\nmetric = "accuracy"'


def errs(one: Shop, n: int = 1500, bad: float = 0.4, seed: int = 0, **more: Any) -> None:
    """Holdout rows of which 10 % are answered wrong, and in the place `q` this share."""
    random = np.random.default_rng(seed)
    ids, place = [f"r{i:05d}" for i in range(n)], random.choice(list("pqr"), n)
    truth = random.random(n) < 0.5
    wrong = random.random(n) < np.where(place == "q", bad, 0.1)
    at = np.sort(random.uniform(0, 20, n))
    told = {"amount": random.normal(size=n), "age": random.normal(size=n), "place": place, **more}
    one.predicts(ids, at, split="holdout", score=np.where(truth != wrong, 0.8, 0.2), **told)
    one.learns(ids, truth.tolist(), at + 0.1)


def test_the_slice_in_which_it_errs_is_named_with_rows_to_look_at(shop: Open) -> None:
    one = shop(ACCURATE)
    errs(one)
    found = insights(one.ws, one.until(21))
    assert (found.loss, found.rows, found.champion) == ("error rate", 1500, None)
    assert found.mean is not None
    assert found.mean.low < 0.2 < found.mean.high
    (slice_,) = found.slices
    assert slice_.text == "place = 'q'"
    assert slice_.loss.low < 0.4 < slice_.loss.high
    assert slice_.lift.low < 4 < slice_.lift.high
    assert slice_.p < 0.001
    wrong = one.asked(
        f"SELECT f_place AS place, label, score FROM {one.ws.examples(one.day(21)).name} "
        f"WHERE id IN ({', '.join(repr(id) for id in slice_.ids)})"
    )
    assert len(wrong) == 5
    assert all(row["place"] == "q" and row["label"] != (row["score"] > 0.5) for row in wrong)


def test_where_nothing_is_worse_nothing_is_named(shop: Open) -> None:
    one = shop(ACCURATE)
    errs(one, bad=0.1)
    found = insights(one.ws, one.until(21))
    assert found.slices == []
    assert found.tested > 0


def test_only_the_window_of_the_gates_is_looked_at(shop: Open) -> None:
    one = shop(ACCURATE + '\n[evaluate]\nwindow = "5d"')
    errs(one)
    assert 300 < insights(one.ws, one.until(21)).rows < 450


def test_a_champion_of_its_own_answers_anew(
    shop: Open, constant_model: Callable[..., Path], tmp_path: Path
) -> None:
    one = shop(ACCURATE)
    errs(one)
    folder = constant_model(tmp_path / "sure", one.ws.spec, 0.9)
    one.until(21)
    one.crowned(one.ws.registry.register(folder, trainer="lightgbm", digest=folder_digest(folder)))
    found = Flywheel(one.ws).insights()
    assert found.notes == []
    truth = one.asked(f"SELECT avg(label::INT) AS share FROM {one.ws.examples(one.day(21)).name}")[0]["share"]
    assert found.mean is not None
    assert found.mean.value == pytest.approx(1 - truth), "it says yes to all, whatever was logged"
    assert found.champion == "shop/1"


def test_of_a_champion_elsewhere_only_its_own_logged_answers_count(shop: Open) -> None:
    one = shop(ACCURATE + '\n[champion]\nversion = "v7"')
    errs(one, model_version=["v7"] * 1000 + ["v6"] * 500)
    found = insights(one.ws, one.until(21))
    assert (found.rows, found.champion) == (1000, "v7")
    assert found.notes == ["500 rows left out: no answer of the champion is known for them."]


def test_protected_attributes_are_looked_at_and_free_text_is_not(shop: Open) -> None:
    one = shop(ACCURATE, schema='protected = ["band"]')
    random = np.random.default_rng(1)
    errs(one, bad=0.1)
    band = random.choice(["young", "old"], 600)
    truth = random.random(600) < 0.5
    wrong = random.random(600) < np.where(band == "old", 0.5, 0.05)
    ids = [f"b{i}" for i in range(600)]
    one.predicts(ids, 5.0, split="holdout", score=np.where(truth != wrong, 0.8, 0.2), g_band=band)
    one.learns(ids, truth.tolist(), 5.1)
    assert any("band = 'old'" in found.text for found in insights(one.ws, one.until(21)).slices)


@pytest.mark.parametrize("n", [0, 3, 100])
def test_too_few_rows_are_said_to_be(shop: Open, n: int) -> None:
    one = shop(ACCURATE)
    if n:
        errs(one, n=n)
    found = insights(one.ws, one.until(21))
    assert found.slices == []
    assert found.notes == [f"Too few rows to look for slices: {n} labelled holdout rows of 120 needed."]
    assert "NaN" not in json.dumps(json.loads(msgspec.json.encode(found)))


def test_numbers_and_classes_have_slices_too(shop: Open) -> None:
    random = np.random.default_rng(2)
    ids, place = [f"n{i}" for i in range(1200)], random.choice(list("pqr"), 1200)
    one = shop(head='task = "regression"')
    value = random.normal(size=1200)
    off = np.where(place == "q", 3.0, 0.5) * random.normal(size=1200)
    one.predicts(ids, 1.0, split="holdout", score=value + off, place=place)
    one.learns(ids, value, 2.0)
    found = insights(one.ws, one.until(3))
    assert (found.loss, [s.text for s in found.slices]) == ("mae", ["place = 'q'"])
    two = shop(ACCURATE, head='task = "multiclass"')
    truth = random.choice(list("xyz"), 1200)
    said = np.where((place == "q") & (random.random(1200) < 0.6), "x", truth)
    two.predicts(ids, 1.0, split="holdout", scores=[[(s, 1.0)] for s in said], place=place)
    two.learns(ids, truth.tolist(), 2.0)
    found = insights(two.ws, two.until(4))
    assert "place = 'q'" in found.slices[0].text
    assert all(isfinite(s.loss.value) for s in found.slices)


def test_texts_are_not_compared(shop: Open) -> None:
    one = shop('[train]\ntrainer = "external"', head='task = "generation"')
    with pytest.raises(StateError, match="judged, not compared"):
        insights(one.ws, one.until(1))
