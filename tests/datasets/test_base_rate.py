"""Rows chosen because of their truth do not bend what a class's share is, among all rows and among those that are alike."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest

from shop import Shop

Open = Callable[..., Shop]
RULE = '[[curate.rules]]\nname = "missed"\nwhen = "score < 0.5 and label"'


def trained_rows(one: Shop, *, n: int = 4000) -> dict[str, npt.NDArray[np.float64]]:
    """Two cycles; the second chooses 200 of n rows, 6 % positive below an amount of 0 and 18 % above. Label, weight, amount."""
    random = np.random.default_rng(4)
    before = one.day(2)
    one.sales(60, name="first", days=(0, 1), holdout=0.0)
    one.dataset(one.until(2))
    ids, amount = [f"r{i:04d}" for i in range(n)], random.normal(size=n)
    rate = np.where(amount > 0, 0.18, 0.06)
    one.predicts(ids, 3.0, amount=amount, age=random.normal(size=n), place="p", score=rate)
    one.learns(ids, (random.random(n) < rate).tolist(), 4.0)
    rows = pq.read_table(one.dataset(one.until(5), before).path)
    rows = rows.filter([name.startswith("r") for name in rows["id"].to_pylist()])
    return {name: rows[name].to_numpy(zero_copy_only=False).astype(float) for name in ("label", "weight", "amount")}  # fmt: skip


@pytest.mark.parametrize("power", [0, 1])
def test_shares_of_classes_are_those_of_all_rows(shop: Open, power: int) -> None:
    # By power 1 the random rows stand for nearly all: they have to be some.
    share = 0.05 if power == 0 else 0.3
    rows = trained_rows(
        shop(f"[curate]\nbudget = 200\nrandom_share = {share}\n{RULE}\n[train]\nselection_weight = {power}")
    )
    plain = rows["label"].mean()
    assert plain > 0.25, "more than a quarter of those chosen are positive, of all rows 12 %"
    below, above = rows["amount"] <= 0, rows["amount"] > 0
    for part, rate in ((below, 0.06), (above, 0.18)):
        share = np.average(rows["label"][part], weights=rows["weight"][part])
        assert share == pytest.approx(rate, abs=0.06)


def test_rows_that_were_chosen_by_their_truth_weigh_next_to_nothing(shop: Open) -> None:
    """By default: forty candidates for each row that is taken."""
    rows = trained_rows(shop(f"[curate]\nbudget = 100\nreason_share = 0.9\n{RULE}"))
    assert rows["label"].mean() > 0.45
    assert np.average(rows["label"], weights=rows["weight"]) == pytest.approx(0.12, abs=0.08)


def test_rules_that_see_no_truth_leave_rows_of_a_cycle_alike(shop: Open) -> None:
    off = "reasons = { uncertain = 0, wrong = 0, changed = 0, rare = 0, novel = 0 }"
    rule = '[[curate.rules]]\nname = "dear"\nwhen = "amount > 1"'
    rows = trained_rows(shop(f"[curate]\nbudget = 200\n{off}\n{rule}"))
    assert np.ptp(rows["weight"]) == pytest.approx(0)
