"""Defaults are known within 5 to 40 days, paid loans after 25 to 60: nothing changes, and nobody may say that something did."""

from collections.abc import Callable

import numpy as np
import pytest

from shop import Shop
from whorl.evaluate.rows import judged_rows
from whorl.monitor.error_stream import error_stream, risen_errors
from whorl.monitor.insights.rows import champion_rows
from whorl.monitor.quality import quality
from whorl.stats.metrics.accuracy import hits

Open = Callable[..., Shop]
SECTIONS = "[monitor]\nmetric = 'accuracy'\nperiod = '7d'\n[evaluate]\nmetric = 'accuracy'\nwindow = '0d'\n"
DEFAULTED, RIGHT_OF_DEFAULTED, RIGHT_OF_PAID = 0.35, 0.55, 0.95
ACCURACY = DEFAULTED * RIGHT_OF_DEFAULTED + (1 - DEFAULTED) * RIGHT_OF_PAID
DAYS = 120


def loans(one: Shop, *, rows: int = 4000, seed: int = 0, imported: bool = False) -> None:
    """`imported`: what was known on the last day, received all at once."""
    random = np.random.default_rng(seed)
    ids, at = [f"loan-{n:05d}" for n in range(rows)], np.sort(random.uniform(0, DAYS, rows))
    truth = random.random(rows) < DEFAULTED
    right = random.random(rows) < np.where(truth, RIGHT_OF_DEFAULTED, RIGHT_OF_PAID)
    known = at + np.where(truth, random.uniform(5, 40, rows), random.uniform(25, 60, rows))
    one.predicts(ids, at, split="holdout", score=np.where(right == truth, 0.8, 0.2), amount=right * 1.0)
    told = known < DAYS if imported else np.ones(rows, dtype=np.bool_)
    received = float(DAYS) if imported else None
    one.learns(
        [id for id, here in zip(ids, told, strict=True) if here],
        truth[told].tolist(),
        known[told],
        received=received,
    )


@pytest.mark.parametrize("seed", range(3))
def test_errors_that_are_known_sooner_are_no_rise(shop: Open, seed: int) -> None:
    one = shop(SECTIONS)
    loans(one, rows=2000, seed=seed, imported=True)
    as_of = one.until(DAYS)
    assert risen_errors(one.ws, as_of) == []
    assert error_stream(one.ws, as_of).errors.mean() == pytest.approx(1 - ACCURACY, abs=0.03)


def test_nothing_is_watched_before_rows_are_old_enough_to_tell_how_late_truth_comes(shop: Open) -> None:
    one = shop(SECTIONS)
    loans(one, rows=2000)
    watched = [len(error_stream(one.ws, one.until(day)).errors) for day in (40, 60, 90)]
    assert watched[:2] == [0, 0]
    assert watched[2] > 300


def test_a_rise_of_errors_is_seen_once_both_classes_are_known(shop: Open) -> None:
    one = shop(SECTIONS)
    loans(one)
    ids = [f"worse-{n:04d}" for n in range(1500)]
    at, truth = np.linspace(DAYS, DAYS + 30, 1500), np.random.default_rng(1).random(1500) < DEFAULTED
    one.predicts(ids, at, split="holdout", score=0.4, amount=0.0)
    one.learns(ids, truth.tolist(), at + np.where(truth, 20.0, 40.0))
    one.predicts([f"new-{n}" for n in range(400)], np.linspace(DAYS + 30, DAYS + 90, 400), score=0.5)
    found = risen_errors(one.ws, one.until(DAYS + 95))
    assert [finding.kind for finding in found] == ["error_rate_up"]


def test_weeks_in_which_one_class_cannot_be_known_have_no_figure(shop: Open) -> None:
    one = shop(SECTIONS)
    loans(one)
    periods = quality(one.ws, one.until(DAYS))
    told = [period for period in periods if period.value is not None]
    missed = [period for period in told if not (period.low or 0.0) <= ACCURACY <= (period.high or 0.0)]
    # Of a dozen 95 % intervals one may miss.
    assert len(missed) <= 1
    assert len(told) >= 11
    young = periods[-2]
    assert (young.value, young.rows) == (None, 0)
    assert "so young that the truth of some class can hardly be known" in young.waiting


def test_gates_and_insights_leave_such_rows_out_and_count_them(shop: Open) -> None:
    one = shop(SECTIONS)
    loans(one)
    as_of = one.until(DAYS)
    judged = judged_rows(one.ws, as_of)
    right = hits(judged.truth, judged.table["score"].to_numpy())
    assert np.average(right, weights=judged.weight) == pytest.approx(ACCURACY, abs=0.02)
    assert judged.left_out["too young for the truth of every class to be known"] > 50
    looked_at = champion_rows(one.ws, as_of, logged=True)
    assert min(looked_at.table["age_days"].to_pylist()) > 25
    assert any("so young" in note for note in looked_at.notes)
