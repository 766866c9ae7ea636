"""Why a challenger does worse than the champion: what it was taught is tested, and what it was never taught."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from shop import Shop
from whorl.flywheel import Flywheel
from whorl.monitor.insights.why import Why, why_lost
from whorl.records import ModelVersion
from whorl.train.fit import fit

Open = Callable[..., Shop]
SPEC = """[curate]
budget = 5000
reasons = { uncertain = 0, wrong = 0, large_error = 0, changed = 0, rare = 0, novel = 0 }
[train]
calibrate = false
params = { num_iterations = 40 }
[monitor]
metric = "brier"
"""


def champion(one: Shop, n: int = 3000) -> dict[str, Any]:
    """A champion that was taught the truth of two thirds of the rows."""
    random = np.random.default_rng(1)
    sold = one.sales(n, holdout=0.35, place=random.choice(list("pqrs"), n).tolist())
    one.crowned(taught(one, 11))
    return sold


def taught(one: Shop, day: float) -> ModelVersion:
    """The next version, of every label that is known on a day."""
    dataset = one.dataset(one.until(day))
    return fit(one.ws, dataset, f"shop-fit-{dataset.version}")


def relabelled(one: Shop, sold: dict[str, Any], wrong: np.ndarray) -> None:
    """Labels of training rows are turned round where `wrong`."""
    rows = np.flatnonzero(wrong & (np.array(sold["split"]) == "train"))
    one.learns([sold["id"][i] for i in rows], [not sold["truth"][i] for i in rows], 11.5)


def kinds(found: Why) -> list[str]:
    return [cause.kind for cause in found.causes if cause.found]


def test_it_learnt_from_wrong_labels(shop: Open) -> None:
    one = shop(SPEC)
    sold = champion(one)
    relabelled(one, sold, np.random.default_rng(0).random(3000) < 0.3)
    found = why_lost(one.ws, one.until(12), taught(one, 12))
    assert found.verdict == "noisy_labels", found
    assert "learnt from wrong labels" in found.message
    assert found.added is not None
    assert found.added.low > 0


def test_labels_of_one_segment_mean_something_else(shop: Open) -> None:
    one = shop(SPEC)
    sold = champion(one)
    relabelled(one, sold, (np.array(sold["place"]) == "q") & ~sold["truth"])
    found = why_lost(one.ws, one.until(12), taught(one, 12))
    assert {"label_definition", "segment"} <= set(kinds(found))
    assert found.verdict in ("label_definition", "segment")
    assert "place = 'q'" in found.message
    assert all(len(cause.ids) for cause in found.causes if cause.found)


def test_one_that_learnt_the_same_does_no_worse(shop: Open) -> None:
    one = shop(SPEC)
    champion(one)
    found = why_lost(one.ws, one.until(12), taught(one, 12))
    assert (found.verdict, found.causes) == ("not worse", [])


def test_of_scores_that_were_handed_in_the_segment_alone_is_tested(shop: Open) -> None:
    one = shop(SPEC)
    sold = champion(one)
    place = np.array(sold["place"])
    score = np.where(place == "q", np.where(sold["truth"], 0.2, 0.8), np.where(sold["truth"], 0.8, 0.2))
    found = why_lost(one.ws, one.until(12), one.scored(dict(zip(sold["id"], score.tolist(), strict=True))))
    assert found.verdict == "too few rows", "what it says of these rows is not in the records"


@pytest.mark.parametrize("asked", [True, False])
def test_insights_ask_it_of_the_last_challenger(shop: Open, asked: bool) -> None:
    one = shop(SPEC)
    sold = champion(one)
    relabelled(one, sold, np.random.default_rng(0).random(3000) < 0.3)
    taught(one, 12)
    found = Flywheel(one.ws).insights(why=asked).lost
    assert (found is not None) == asked, "nobody has judged it yet"
