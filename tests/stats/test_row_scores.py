"""Scores of single rows: uncertainty against sorting, and novelty that finds what was put there."""

import math

import numpy as np
import pytest

from whorl.stats.learning import novelty
from whorl.stats.learning.uncertainty import margin
from whorl.stats.metrics.auc import auc


def test_margin_agrees_with_sorting() -> None:
    probability = np.random.default_rng(0).dirichlet(np.ones(5), 200)
    ordered = np.sort(probability, axis=1)
    assert margin(probability) == pytest.approx(ordered[:, -1] - ordered[:, -2])
    assert margin(probability[:, 0]) == pytest.approx(abs(1 - 2 * probability[:, 0]))


def test_uncertainty_is_nan_where_undefined() -> None:
    assert np.isnan(margin([[1.0]])).all()
    assert np.isnan(margin([math.nan, 0.5])).tolist() == [True, False]


def reference(n: int = 5000) -> dict[str, np.ndarray]:
    random = np.random.default_rng(1)
    return {
        "amount": random.lognormal(size=n),
        "count": random.poisson(0.5, n),
        "country": random.choice(["DE", "FR", "PL"], n, p=[0.7, 0.25, 0.05]),
        "vip": random.random(n) < 0.1,
    }


def test_novel_rows_score_above_ordinary_ones() -> None:
    seen = novelty.fit(reference())
    ordinary = reference(1000)
    strange = {**reference(1000), "amount": np.full(1000, 1e6), "country": np.array(["XX"] * 1000)}
    scores = np.concatenate([novelty.score(seen, ordinary), novelty.score(seen, strange)])
    assert auc(np.repeat([0, 1], 1000), scores) > 0.99
    assert (scores >= 0).all()


def test_novelty_does_not_depend_on_unit_or_row_order() -> None:
    rows = reference()
    back = {name: column[::-1] for name, column in rows.items()}
    scaled = {**rows, "amount": rows["amount"] * 1024}
    here = novelty.score(novelty.fit(rows), rows)
    assert novelty.score(novelty.fit(back), back)[::-1] == pytest.approx(here)
    assert novelty.score(novelty.fit(scaled), scaled) == pytest.approx(here)


def test_novelty_by_column_kind_missing_constant_and_unseen() -> None:
    seen = novelty.fit(
        {"x": np.array([1.0] * 99 + [math.nan]), "c": np.array(["a"] * 99 + [None], dtype=object)}
    )

    def one(x: float, c: str | None) -> float:
        return float(novelty.score(seen, {"x": np.array([x]), "c": np.array([c], dtype=object)})[0])

    assert one(1.0, "a") < 0.1
    assert one(1.0, "a") < one(math.nan, "a") < one(2.0, "a")
    assert one(0.0, "a") == one(2.0, "a")
    assert one(1.0, "a") < one(1.0, None) < one(1.0, "b")
    assert novelty.score(novelty.fit({"x": np.full(3, math.nan)}), {"x": np.array([1.0])})[0] > 0


def test_novelty_refuses_an_empty_reference_and_a_missing_column() -> None:
    for empty in ({}, {"x": np.empty(0)}):
        with pytest.raises(ValueError, match="at least one"):
            novelty.fit(empty)
    with pytest.raises(KeyError, match="amount"):
        novelty.score(novelty.fit(reference()), {"country": np.array(["DE"])})
