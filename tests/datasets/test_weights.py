"""What a training row counts: one over its chance of being here, whatever made that chance; and totals that stay."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shop import NO_REASONS, Shop, shop_spec
from whorl.datasets.rows import dataset_steps
from whorl.evaluate.rows import judged_rows
from whorl.examples.weights import MAX_WEIGHT
from whorl.monitor import quality as quality_module
from whorl.monitor.quality import quality
from whorl.spec import Spec
from whorl.storage.engine import Engine

Open = Callable[..., Shop]
AS_OF = datetime(2026, 3, 1, tzinfo=UTC)
CENSORED = 'action = "action"\ncensored = ["blocked"]'
WINDOW = '[train]\nselection_weight = 1\nwindow = "20d"\nreplay_rows = {rows}\nseed = {seed}'


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    opened = Engine(tmp_path / "spill", threads=1)
    yield opened
    opened.close()


def weights(engine: Engine, spec: Spec, **columns: Any) -> dict[str, float]:
    """Weight of each row of a dataset whose members and examples are given; absent columns are ordinary."""
    n = len(columns["probability"])
    ids = [f"r{i:04d}" for i in range(n)]
    time = columns.get("time", [AS_OF - timedelta(days=1)] * n)
    status = columns.get("status", ["known"] * n)
    examples = {
        "id": ids, "split": ["train"] * n, "time": pa.array(time, pa.timestamp("us", tz="UTC")), "status": status, "label": [True] * n,
        "label_time": pa.array(time, pa.timestamp("us", tz="UTC")), "age_days": [1.0] * n, "delay_days": [0.0] * n,
        "propensity": pa.array(columns.get("propensity", [None] * n), pa.float64()),
        "censored": columns.get("censored", [False] * n),
        **{f"f_{name}": pa.nulls(n, pa.float64()) for name in spec.features},
    }  # fmt: skip
    members = {
        "dataset": ["training"] * n, "version": [1] * n, "id": ids, "role": columns.get("role", ["case"] * n),
        "reason": ["x"] * n, "probability": np.asarray(columns["probability"], dtype=np.float64),
        "blind_probability": pa.array(columns.get("blind", [None] * n), pa.float64()),
    }  # fmt: skip
    engine.register("examples", pa.table(examples))
    engine.register("members", pa.table(members))
    steps = dataset_steps("examples", "members", spec, name="training", version=1, as_of=AS_OF)
    rows = engine.query(steps.sql("dataset_rows"))
    return dict(zip(rows["id"].to_pylist(), rows["weight"].to_pylist(), strict=True))


def test_one_over_the_chance_and_no_more_than_the_cap(engine: Engine) -> None:
    spec = shop_spec("[train]\nselection_weight = 1")
    found = weights(engine, spec, probability=[1.0, 0.25, 0.02, 0.001])
    assert list(found.values()) == pytest.approx([1, 4, 50, MAX_WEIGHT])


def test_rows_of_a_cycle_weigh_alike_and_stand_for_as_many_in_all(engine: Engine) -> None:
    """Whatever the power, the cycle's rows stand together for as many as one over their chances says."""
    chance = [1.0, 1.0, 1.0, 0.05, 0.05]
    for power, ratio in ((0, 1.0), (0.5, 20**0.5), (1, 20.0)):
        found = weights(engine, shop_spec(f"[train]\nselection_weight = {power}"), probability=chance)
        assert sum(found.values()) == pytest.approx(43)
        assert found["r0004"] / found["r0000"] == pytest.approx(ratio)


def test_rows_drawn_with_one_chance_weigh_the_same_whatever_the_power(engine: Engine) -> None:
    for power in (0, 1):
        found = weights(engine, shop_spec(f"[train]\nselection_weight = {power}"), probability=[0.1] * 6)
        assert list(found.values()) == pytest.approx([10.0] * 6)


def test_a_chance_that_saw_the_truth_is_weighed_out_whatever_the_power(engine: Engine) -> None:
    """Rows of one kind, of which those of one class were certain and the others had 1 chance in 20: each class as it is."""
    chance, blind = [1.0] * 40 + [0.05] * 8, [0.05] * 48
    for power in (0, 0.5, 1):
        found = weights(
            engine, shop_spec(f"[train]\nselection_weight = {power}"), probability=chance, blind=blind
        )
        weight = np.array(list(found.values()))
        assert weight[40] / weight[0] == pytest.approx(20)
        assert weight.sum() == pytest.approx(40 + 8 * 20)


def test_let_through_by_chance_stands_for_those_that_were_not(engine: Engine) -> None:
    given = {"probability": [0.5, 0.5, 0.5, 1.0], "propensity": [0.1, None, 0.1, 0.001],
             "censored": [False, False, True, False]}  # fmt: skip
    one = "[train]\nselection_weight = 1"
    assert list(weights(engine, shop_spec(one, schema=CENSORED), **given).values()) == pytest.approx(
        [20, 2, 2, MAX_WEIGHT]
    )
    # Where no action hides the truth, a propensity is nothing to weight by.
    assert set(weights(engine, shop_spec(one), **given).values()) == {2.0, 1.0}


def test_a_row_counts_in_training_as_it_does_in_judging_and_watching(shop: Open) -> None:
    """What was let through by chance stands for what was not; a blocked row whose truth came all the same, for itself."""
    one = shop("[monitor]\nmin_rows = 1", schema=CENSORED)
    actions = {"paid": (1.0, 1.0), "explored": (0.05, 20.0), "seldom": (0.02, 50.0), "hardly": (0.001, MAX_WEIGHT),
               "blocked": (0.95, 1.0), "blocked by chance": (0.05, 1.0), "unknown": (None, 1.0)}  # fmt: skip
    for split in ("train", "holdout"):
        of = {f"{split} {name}": chance for name, (chance, _) in actions.items()}
        said = ["blocked" if "blocked" in name else "paid" for name in of]
        one.predicts(list(of), 1.0, split=split, action=said, propensity=list(of.values()), score=0.5)
        one.learns(list(of), [True, False] * 3 + [True], 2.0)
    expected = {name: weight for name, (_, weight) in actions.items()}
    as_of = one.until(3)
    trained = pq.read_table(one.dataset(as_of).path).to_pylist()
    assert {r["id"].removeprefix("train "): r["weight"] for r in trained} == pytest.approx(expected)
    judged = judged_rows(one.ws, as_of)
    names = [i.removeprefix("holdout ") for i in judged.table["id"].to_pylist()]
    assert dict(zip(names, judged.weight.tolist(), strict=True)) == pytest.approx(expected)
    seen: list[npt.NDArray[np.float64]] = []
    with pytest.MonkeyPatch.context() as patch:
        real = quality_module.interval
        patch.setattr(quality_module, "interval", lambda *a, **k: (seen.append(a[3]), real(*a, **k))[1])
        quality(one.ws, as_of)
    assert sorted(seen[0].tolist()) == pytest.approx(sorted(expected.values()))


def test_open_rows_count_by_their_own_chance(engine: Engine) -> None:
    found = weights(
        engine, shop_spec('[labels]\ndelay = "survival"'), probability=[0.1, 0.2], role=["open", "case"],
        status=["open", "known"],
    )  # fmt: skip
    assert list(found.values()) == pytest.approx([10, 5])


def days_ago(n: int, span: float) -> list[datetime]:
    return [AS_OF - timedelta(days=span * (i + 0.5) / n) for i in range(n)]


@pytest.mark.parametrize("rows", [10, 37, 199, 500])
def test_rows_that_stay_stand_for_all_older_ones(engine: Engine, rows: int) -> None:
    spec = shop_spec(WINDOW.format(rows=rows, seed=0))
    found = weights(engine, spec, probability=[1.0] * 400, time=days_ago(400, 40))
    assert len(found) == 200 + min(rows, 200)
    assert sum(found.values()) == pytest.approx(400)


def test_without_replay_rows_the_old_ones_leave(engine: Engine) -> None:
    found = weights(
        engine, shop_spec(WINDOW.format(rows=0, seed=0)), probability=[1.0] * 40, time=days_ago(40, 40)
    )
    assert set(found.values()) == {1.0}
    assert len(found) == 20


def test_on_average_over_seeds_totals_stay_with_unequal_chances_too(engine: Engine) -> None:
    random = np.random.default_rng(3)
    chance = random.uniform(0.1, 1.0, 400)
    truth = float((1 / chance).sum())
    totals = [
        sum(weights(engine, shop_spec(WINDOW.format(rows=40, seed=seed)), probability=chance,
                    time=days_ago(400, 40)).values())
        for seed in range(40)
    ]  # fmt: skip
    error = np.std(totals, ddof=1) / np.sqrt(len(totals))
    assert error > 0
    assert abs(np.mean(totals) - truth) < 3 * error
    # The broken fake: old rows that stay, each for itself alone.
    unweighted = float((1 / chance[:200]).sum() + (1 / chance[200:]).mean() * 40)
    assert abs(unweighted - truth) > 3 * error


def test_the_whole_way_from_budget_to_weight(shop: Open) -> None:
    one = shop(f"[curate]\nbudget = 50\n{NO_REASONS}")
    one.sales(60, name="first", days=(0, 1), holdout=0.0)
    one.dataset(one.until(2))
    one.sales(400, name="later", days=(2, 3), holdout=0.0)
    made = one.dataset(one.until(4), one.day(2))
    rows = pq.read_table(made.path).to_pylist()
    assert made.rows == len(rows) == 60 + 50
    assert {round(r["weight"], 9) for r in rows if r["reason"] == "random"} == {8.0}
    assert sum(r["weight"] for r in rows) == pytest.approx(460)
