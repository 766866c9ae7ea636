"""Held-out rows and labels in disguise stop a fit; easy tasks do not."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from whorl.errors import LeakFound
from whorl.train.leak import check_leaks
from whorl.train.rows import read_rows
from whorl.train.single_feature import telling

SPEC = """name = "toy"
task = "binary"
[schema.features]
amount = "float"
color = "category"
[train]
"""


def run(bench: Any, features: dict[str, Any], label: Any) -> list[str]:
    made = bench.dataset(features, label)
    return check_leaks(bench, made, read_rows(made.path, bench.spec, made.as_of))


def honest(rows: int = 400, seed: int = 0) -> tuple[dict[str, Any], list[bool]]:
    random = np.random.default_rng(seed)
    label = random.random(rows) < 0.3
    return {
        "amount": random.normal(size=rows) + label,
        "color": random.choice(["r", "g"], rows),
    }, label.tolist()


def test_holdout_and_golden_rows_are_found(bench: Callable[[str], Any]) -> None:
    ws = bench(SPEC)
    features, label = honest()
    assert run(ws, features, label) == []
    ws.knows(holdout=["r7", "elsewhere"])
    with pytest.raises(LeakFound, match="1 of 400 training rows are holdout rows: r7"):
        run(ws, features, label)
    ws.knows(golden=["r1", "r2"])
    with pytest.raises(LeakFound, match="2 of 400 training rows are golden rows: r1, r2"):
        run(ws, features, label)


@pytest.mark.parametrize("disguise", ["number", "reversed", "code", "color", "null", "text_of_null"])
def test_the_label_in_disguise_is_named(bench: Callable[[str], Any], disguise: str) -> None:
    features, label = honest()
    truth = np.array(label)
    noise = np.random.default_rng(1).normal(size=len(truth))
    leaks: dict[str, dict[str, Any]] = {
        "number": {"amount": truth * 10 + noise},
        "reversed": {"amount": truth * -10.0 + noise},
        "code": {"amount": np.where(truth, 3.0, np.random.default_rng(2).choice([1.0, 5.0], len(truth)))},
        "color": {"color": np.where(truth, "yes", np.where(noise > 0, "no", "never"))},
        "null": {"amount": pa.array(noise, mask=~truth)},
        "text_of_null": {"color": pa.array(["case 7"] * len(truth), mask=truth)},
    }
    name = next(iter(leaks[disguise]))
    with pytest.raises(
        LeakFound, match=rf"Feature '{name}' tells the label by itself \(AUC 1\.0000"
    ) as raised:
        run(bench(SPEC), {**features, **leaks[disguise]}, label)
    assert f'trusted = ["{name}"]' in raised.value.hint
    trusting = bench(SPEC + f'trusted = ["{name}"]\n')
    assert run(trusting, {**features, **leaks[disguise]}, label) == []


def test_easy_tasks_and_ids_are_no_leaks(bench: Callable[[str], Any]) -> None:
    features, label = honest(2000)
    truth = np.array(label)
    noise = np.random.default_rng(1).normal(size=len(truth))
    easy = truth * 3.5 + noise  # AUC 0.993
    assert run(bench(SPEC), {**features, "amount": easy}, label) == []
    assert run(bench(SPEC), {**features, "color": [f"id{i}" for i in range(2000)]}, label) == []
    # Perfect, and luck: 12 positives.
    few = np.zeros(400, bool)
    few[::35] = True
    assert run(bench(SPEC), {"amount": few.astype(float), "color": ["x"] * 400}, few.tolist()) == []


def test_classes_and_numbers_leak_too(bench: Callable[[str], Any]) -> None:
    random = np.random.default_rng(0)
    classes = random.choice(["a", "b", "c"], 600)
    colors = SPEC.replace('"binary"', '"multiclass"')
    with pytest.raises(LeakFound, match="'color'"):
        run(
            bench(colors),
            {"amount": random.normal(size=600), "color": np.char.upper(classes)},
            classes.tolist(),
        )
    half_told = np.where(classes == "a", "x", "y")
    assert run(bench(colors), {"amount": random.normal(size=600), "color": half_told}, classes.tolist()) == []
    price = random.lognormal(size=300)
    numbers = SPEC.replace('"binary"', '"regression"')
    near = {"amount": price * random.lognormal(0, 0.2, 300), "color": ["x"] * 300}
    assert run(bench(numbers), near, price.tolist()) == []
    for same in (price * 1.19 + 3, np.log(price)):
        with pytest.raises(LeakFound, match=r"correlation 1\.0000"):
            run(bench(numbers), {**near, "amount": same}, price.tolist())


def test_what_is_filled_in_after_the_fact_is_found(bench: Callable[[str], Any]) -> None:
    features, label = honest(1000)
    random = np.random.default_rng(3)
    known = np.array(label) & (random.random(1000) < 0.6)
    flagged = {**features, "color": pa.array(["chargeback"] * 1000, mask=~known)}
    ws = bench(SPEC)
    ws.serves({"amount": random.normal(size=500), "color": pa.nulls(500, pa.string())})
    with pytest.raises(
        LeakFound, match=r"'color' is known in 1\d\.\d% of the training rows and in 0.0% of the newest 500"
    ):
        run(ws, flagged, label)


def test_a_feed_that_stopped_is_a_note(bench: Callable[[str], Any]) -> None:
    features, label = honest(1000)
    ws = bench(SPEC)
    ws.serves({"amount": np.zeros(500), "color": pa.nulls(500, pa.string())})
    (note,) = run(ws, features, label)
    assert note.startswith("Feature 'color' is known in 100.0% of the training rows")
    ws.serves({"amount": np.zeros(100), "color": pa.nulls(100, pa.string())})
    assert run(ws, features, label) == [], "100 rows are too few to say so"


def test_false_alarms_stay_away() -> None:
    """200 honest strong features, each of AUC about 0.98, on as few rows as are looked at."""
    random = np.random.default_rng(5)
    label = np.tile([0.0, 1.0], 40)
    found = [telling(label * 3 + random.normal(size=80), False, label, "binary") for _ in range(200)]
    assert np.median(found) > 0.95
    assert sum(figure > 0.999 for figure in found) <= 4
