"""Quality where truths come selectively, and where few are bought a period: weighted, smoothed, refused; plain otherwise."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from shop import Shop
from whorl.evaluate.rows import judged_rows
from whorl.monitor.quality import PeriodQuality, quality
from whorl.monitor.watch import watch
from whorl.stats.sampling.inclusion import systematic_sample
from whorl.storage.tables import lake_schemas

Open = Callable[..., Shop]
WATCH = '[monitor]\nperiod = "7d"\nmetric = "METRIC"\nmin_rows = 20\ndetectors = []\ndrift = false\n'
N = 800


def week(one: Shop, number: int, right: float = 0.5) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
    """Ids, how sure, truth, and whether the answer is right: from `right` for the unsure to certainly."""
    random = np.random.default_rng(number)
    ids = [f"w{number}-{i:04d}" for i in range(N)]
    sure, said = random.random(N), random.random(N) < 0.5
    hit = random.random(N) < right + (0.97 - right) * sure
    score = np.where(said, 0.5 + sure / 2, 0.5 - sure / 2)
    one.predicts(ids, 7 * number + np.sort(random.uniform(0.01, 6, N)), split="holdout", score=score)
    return ids, sure, said == hit, hit


def told(one: Shop, ids: list[str], truth: np.ndarray, came: np.ndarray, at: float) -> None:
    one.learns([i for i, c in zip(ids, came, strict=True) if c], truth[came].tolist(), at)


@pytest.mark.parametrize("metric", ["accuracy", "brier", "auc"])
def test_truths_that_come_for_the_sure_are_weighted_in_every_period(shop: Open, metric: str) -> None:
    figures = []
    for selective in (True, False):
        one = shop(WATCH.replace("METRIC", metric))
        for number in range(3):
            ids, sure, truth, _ = week(one, number)
            chance = 0.2 + 0.6 * sure if selective else np.ones(N)
            told(one, ids, truth, np.random.default_rng(9 + number).random(N) < chance, 7 * number + 6.5)
        figures.append(quality(one.ws, one.until(22)))
    weighted, full = figures
    assert [p.method for p in weighted + full] == ["weighted"] * 3 + ["labelled"] * 3
    assert all("count as much as" in note for p in weighted for note in p.notes)
    assert [p.notes for p in full] == [()] * 3
    for one_week, all_known in zip(weighted, full, strict=True):
        assert all_known.value is not None
        assert one_week.low is not None
        assert one_week.high is not None
        assert one_week.low < all_known.value < one_week.high


def test_where_a_kind_of_row_never_answers_there_is_no_figure_and_a_finding(shop: Open) -> None:
    one = shop(WATCH.replace("METRIC", "accuracy"))
    for number in range(2):
        ids, sure, truth, _ = week(one, number)
        told(
            one, ids, truth, (sure > 0.3) & (np.random.default_rng(number).random(N) < 0.6), 7 * number + 6.5
        )
    periods = quality(one.ws, one.until(15))
    assert [(p.value, p.low, p.high) for p in periods] == [(None, None, None)] * 2
    [found] = [f for f in watch(one.ws, one.until(15)) if f.kind == "selective_answers"]
    assert "nothing known stands for them" in found.message


def test_answers_that_go_by_the_truth_are_refused_beside_a_week_of_asked_rows_as_gates_do(shop: Open) -> None:
    """Who was wronged answers. One week's rows were asked at random as well, and all of those have answered."""
    one, full = shop(WATCH.replace("METRIC", "accuracy")), []
    schema = lake_schemas(one.ws.spec)["asked"]
    for number in range(3):
        random = np.random.default_rng(100 + number)
        ids, _, truth, hit = week(one, number)
        came = random.random(N) < np.where(hit, 0.15, 0.6)
        if number == 1:
            drawn = random.random(N) < 0.3
            until = one.until(7 * number + 6.2)
            row = {"draw": "d", "as_of": until, "day": until.date(), "purpose": "judge", "strategy": "random", "stratum": "0",
                   "probability": 0.3, "since": one.day(7), "until": until, "time": one.day(7)}  # fmt: skip
            rows = [row | {"id": i} for i, d in zip(ids, drawn, strict=True) if d]
            one.ws.lake.append("asked", pa.Table.from_pylist(rows, schema), app="test/draw", version=1)
            came |= drawn
        told(one, ids, truth, came, 7 * number + 6.5)
        full.append(float(hit.mean()))
    periods = quality(one.ws, one.until(21))
    assert [(p.method, p.value is None) for p in periods] == [
        ("weighted", True),
        ("asked", False),
        ("weighted", True),
    ]
    assert periods[1].low is not None
    assert periods[1].high is not None
    assert periods[1].low <= full[1] <= periods[1].high
    [found] = [f for f in watch(one.ws, one.until(21)) if f.kind == "selective_answers"]
    assert "goes by the truth itself" in found.message
    assert "goes by the truth itself" in judged_rows(one.ws, one.until(21)).refusal + " ".join(
        judged_rows(one.ws, one.until(21)).notes
    )


def asked_weeks(one: Shop, shares: list[float], labels: int = 25) -> tuple[list[PeriodQuality], list[float]]:
    """A week after another in which few truths are bought, evenly over scores; what is told, and what is true."""
    schema, full = lake_schemas(one.ws.spec)["asked"], []
    for number, right in enumerate(shares):
        ids, sure, truth, hit = week(one, number, right)
        drawn = systematic_sample(np.full(N, labels / N), sure, f"draw {number}")
        came = np.isin(np.arange(N), drawn)
        until = one.until(7 * number + 6.2)
        row = {"draw": f"d{number}", "as_of": until, "day": until.date(), "purpose": "judge", "strategy": "even",
               "stratum": "0", "probability": labels / N, "since": one.day(7 * number), "until": until}  # fmt: skip
        rows = [row | {"id": ids[i], "time": one.day(7 * number)} for i in drawn]
        one.ws.lake.append("asked", pa.Table.from_pylist(rows, schema), app="test/draw", version=number + 1)
        told(one, ids, truth, came, 7 * number + 6.5)
        full.append(float(hit.mean()))
    return quality(one.ws, one.until(7 * len(shares))), full


def test_few_bought_labels_are_smoothed_beside_the_plain_figure(shop: Open) -> None:
    one = shop(WATCH.replace("METRIC", "accuracy"))
    periods, full = asked_weeks(one, [0.9, 0.85, 0.85, 0.8, 0.5, 0.45, 0.4, 0.4])
    assert {p.method for p in periods} == {"asked"}
    off, inside = [], []
    for period, true in zip(periods, full, strict=True):
        assert period.smoothed is not None
        assert period.value is not None
        off.append((abs(period.smoothed.value - true), abs(period.value - true)))
        inside.append(period.smoothed.low <= true <= period.smoothed.high)
    ours, plain = np.mean(off, axis=0)
    assert ours < plain
    assert sum(inside) >= 7


def test_a_metric_that_is_no_mean_of_rows_is_not_smoothed(shop: Open) -> None:
    periods, _ = asked_weeks(shop(WATCH.replace("METRIC", "auc")), [0.8])
    assert [p.smoothed for p in periods] == [None]
