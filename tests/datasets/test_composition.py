"""Shares of strata in a dataset, with weights that keep standing for all, and rows in the order of a curriculum."""

from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from shop import Shop
from whorl.datasets.build import rebuild
from whorl.errors import SpecError
from whorl.storage import dataset_versions

Open = Callable[..., Shop]


def made(one: Shop, positives: int, negatives: int, **columns: Any) -> list[dict[str, Any]]:
    """The rows of a first dataset with so many labels of each class."""
    n = positives + negatives
    ids = [f"r{i:04d}" for i in range(n)]
    one.predicts(ids, np.linspace(0, 1, n), **({"amount": 1.0, "place": "p"} | columns))
    one.learns(ids, [True] * positives + [False] * negatives, 2.0)
    return pq.read_table(one.dataset(one.until(3)).path).to_pylist()


def counted(rows: list[dict[str, Any]], by: str) -> tuple[dict[Any, int], dict[Any, float]]:
    """Rows and total weight of each value."""
    weights: dict[Any, float] = defaultdict(float)
    for row in rows:
        weights[row[by]] += row["weight"]
    return dict(Counter(row[by] for row in rows)), dict(weights)


def test_equal_shares_of_the_classes_and_weights_that_stay(shop: Open) -> None:
    rows = made(shop("[train.composition]"), 60, 300)
    found, weights = counted(rows, "label")
    assert found == {True: 60, False: 60}
    assert weights == pytest.approx({True: 60, False: 300}), "those that stay weigh for those that leave"


def test_named_shares_and_the_rest(shop: Open) -> None:
    one = shop('[train.composition]\nby = "place"\nshares = { north = 0.5, south = 0.25 }')
    place = ["north"] * 100 + ["south"] * 150 + ["east"] * 70 + ["west"] * 80
    found, weights = counted(made(one, 200, 200, place=place), "place")
    assert found["north"] == 100
    assert found["south"] == 50
    assert found["east"] + found["west"] == 50
    assert weights["north"] == pytest.approx(100)
    assert weights["south"] == pytest.approx(150)
    assert weights["east"] + weights["west"] == pytest.approx(150)


def test_a_segment_of_three_rows_does_not_make_the_others_small(shop: Open) -> None:
    one = shop('[train.composition]\nby = "place"')
    found, weights = counted(made(one, 100, 103, place=["a"] * 100 + ["b"] * 100 + ["tiny"] * 3), "place")
    assert found == {"a": 100, "b": 100, "tiny": 3}
    assert weights == pytest.approx({"a": 100, "b": 100, "tiny": 3})


def test_what_was_left_out_is_counted_and_said(shop: Open) -> None:
    one = shop('[train.composition]\nby = "place"\nshares = { north = 0.5, nowhere = 0.2 }')
    made(one, 150, 150, place=["north"] * 100 + ["south"] * 200)
    [(dataset, manifest)] = dataset_versions.versions(one.ws.ledger, one.ws.name)

    assert (dataset.rows, dataset.left) == (160, {"composition": 140})
    assert manifest.counts["left:composition"] == 140
    unknown, kept = dataset.notes
    assert "place = 'nowhere', which no labelled training row has" in unknown
    assert "south" in unknown, "the values that there are"
    assert "keeps 60 of 200 rows of all other values" in kept
    assert "3.33 times" in kept


def test_rows_that_a_window_leaves_out_are_counted(shop: Open) -> None:
    one = shop('[train]\nwindow = "1h"\nreplay_rows = 10')
    one.predicts([f"r{i:04d}" for i in range(40)], np.arange(40) / 20, amount=1.0, place="p")
    one.learns([f"r{i:04d}" for i in range(40)], [True, False] * 20, 2.0)
    dataset = one.dataset(one.until(2))
    assert dataset.left == {"window": 40 - dataset.rows}


def test_strata_without_losses_say_nothing(shop: Open) -> None:
    one = shop("[train.composition]")
    made(one, 50, 50)
    [(dataset, _)] = dataset_versions.versions(one.ws.ledger, one.ws.name)
    assert (dataset.left, dataset.notes) == ({}, [])


def test_the_same_rows_stay_each_time(shop: Open) -> None:
    one = shop("[train.composition]")
    rows = made(one, 60, 300)
    dataset, _ = dataset_versions.versions(one.ws.ledger, one.ws.name)[0]
    assert rebuild(one.ws, dataset.id) == dataset.content_hash
    assert len(rows) == dataset.rows == 120


def test_a_curriculum_goes_from_easy_to_hard(shop: Open) -> None:
    one = shop('[train]\norder = "curriculum"')
    score = np.random.default_rng(0).random(80)
    score[[7, 9]] = np.nan
    rows = made(one, 40, 40, score=[None if np.isnan(s) else float(s) for s in score])
    by_id = {f"r{i:04d}": s for i, s in enumerate(score)}
    loss = [-np.log(by_id[r["id"]] if r["label"] else 1 - by_id[r["id"]]) for r in rows]
    assert np.isnan(loss[-2:]).all(), "rows without an answer come last"
    assert np.all(np.diff(loss[:-2]) >= 0)
    times = [row["time"] for row in rows]
    assert times != sorted(times)


def test_otherwise_rows_are_in_the_order_of_time(shop: Open) -> None:
    times = [row["time"] for row in made(shop(), 40, 40)]
    assert times == sorted(times)


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ('[train.composition]\nby = "plaice"', "'plaice' is neither 'label' nor a feature"),
        ("[train.composition]\nshares = { true = 0.8, false = 0.4 }", "add up to 1.2"),
        ("[train.composition]\nshares = { yes = 0.5 }", "label is true or false, never 'yes'"),
        ("[train.composition]\nshares = { true = 0 }", "No row would be left to stand for the others"),
        ('[train.composition]\nby = "amount"', "nearly every row would be a stratum"),
    ],
)
def test_what_cannot_be_meant_is_refused(shop: Open, sections: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        shop(sections)
