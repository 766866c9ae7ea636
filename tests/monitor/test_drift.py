"""Features compared with those of before: counts that are right, figures that scipy has too, and what is said of them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from shop import Shop
from whorl.monitor.drift import BINS_FROM, MISSING, MOST_LEVELS, RARER, FeatureDrift, drift
from whorl.monitor.drifted import compared_sides, feature_drift
from whorl.monitor.watch import watch
from whorl.records import Finding
from whorl.storage.engine import Engine

Open = Callable[..., Shop]
Compare = Callable[..., dict[str, FeatureDrift]]
N = 2_000


@pytest.fixture
def compare(tmp_path: Path) -> Iterator[Compare]:
    """Drift of columns whose second half is current."""
    engine = Engine(tmp_path)

    def of(
        kinds: dict[str, Any], *, fdr: float = 0.05, floor: float = 0.1, **columns: Any
    ) -> dict[str, FeatureDrift]:
        n = len(next(iter(columns.values())))
        rows = pa.table({"id": [str(i) for i in range(n)], "is_current": np.arange(n) >= n // 2, **columns})
        engine.register("rows", rows)
        found = drift(engine, "rows", kinds, current="is_current", fdr=fdr, floor=floor)
        engine.drop("rows")
        return {one.feature: one for one in found}

    yield of
    engine.close()


def test_a_number_that_has_moved_a_category_that_has_changed_and_one_that_has_not(compare: Compare) -> None:
    random = np.random.default_rng(0)
    now = np.arange(2 * N) >= N
    found = compare(
        {"moved": "float", "changed": "category", "same": "float", "flag": "bool"},
        moved=random.normal(size=2 * N) + now,
        changed=np.where(random.random(2 * N) < np.where(now, 0.5, 0.2), "x", "y"),
        same=random.normal(size=2 * N),
        flag=random.random(2 * N) < 0.5,
    )
    assert {name for name, one in found.items() if one.drifted} == {"moved", "changed"}
    assert found["moved"].moved_share == pytest.approx(0.383, abs=0.03), (
        "that of two normals one spread apart"
    )
    assert found["changed"].moved_share == pytest.approx(0.3, abs=0.03)
    assert (found["moved"].reference_rows, found["moved"].current_rows) == (N, N)
    [most, other] = found["changed"].moved
    assert {most.level, other.level} == {"x", "y"}
    assert (min(most.before, other.before), min(most.now, other.now)) == pytest.approx((0.2, 0.5), abs=0.03)


def test_the_figures_are_those_of_scipy_on_the_same_counts(compare: Compare) -> None:
    random = np.random.default_rng(1)
    value, level = random.normal(size=2 * N), random.integers(0, 6, 2 * N)
    found = compare(
        {"value": "float", "level": "int", "name": "category"},
        value=value,
        level=level,
        name=level.astype(str),
    )
    assert 2 * N < BINS_FROM, "all rows set the bins"
    edges = np.quantile(value, np.arange(1, 20) / 20, method="inverted_cdf")
    bins = np.searchsorted(edges, value, side="left")
    for codes, k, name in ((bins, 20, "value"), (level, 6, "level"), (level, 6, "name")):
        table = np.array([np.bincount(codes[:N], minlength=k), np.bincount(codes[N:], minlength=k)])
        assert found[name].moved_share == pytest.approx(np.abs(table[0] / N - table[1] / N).sum() / 2)
    p = [
        stats.chi2_contingency(np.array([np.bincount(c[:N]), np.bincount(c[N:])])).pvalue
        for c in (bins, level, level)
    ]
    assert [one.p_value for one in found.values()] == pytest.approx(stats.false_discovery_control(p))


def test_what_is_significant_but_small_is_no_drift(compare: Compare) -> None:
    random, n = np.random.default_rng(2), 20_000
    value = random.normal(size=2 * n) + 0.1 * (np.arange(2 * n) >= n)
    [one] = compare({"value": "float"}, value=value).values()
    assert one.p_value is not None
    assert one.p_value < 1e-6
    assert not one.drifted
    assert compare({"value": "float"}, value=value, floor=0.02)["value"].drifted


def test_of_features_that_have_not_moved_few_are_said_to_have(compare: Compare) -> None:
    random, kinds = np.random.default_rng(3), {f"x{i}": "float" for i in range(70)}
    said = 0
    for _ in range(3):
        columns = {name: random.normal(size=600) for name in kinds}
        said += any(one.drifted for one in compare(kinds, floor=0.0, **columns).values())
    assert said <= 1, "70 features, which are more than DuckDB groups at once"


def test_a_new_category_and_a_share_of_missing_are_drift(compare: Compare) -> None:
    random = np.random.default_rng(4)
    now = np.arange(2 * N) >= N
    name = np.where(now & (random.random(2 * N) < 0.2), "new", "old")
    number = np.where(now & (random.random(2 * N) < 0.2), np.nan, random.normal(size=2 * N))
    found = compare({"name": "category", "number": "float"}, name=name, number=number)
    assert all(one.drifted for one in found.values())
    assert ("new", 0.0) in [(one.level, one.before) for one in found["name"].moved]
    assert (found["number"].moved[0].level, found["number"].moved[0].before) == (MISSING, 0.0)
    assert found["number"].moved[0].now == pytest.approx(0.2, abs=0.03)


def test_odd_columns_are_told_of_and_are_no_drift(compare: Compare) -> None:
    n = 400
    found = compare(
        {"null": "float", "none": "category", "constant": "float", "infinite": "float", "text": "text"},
        null=pa.array([None] * n, pa.float64()),
        none=pa.array([None] * n, pa.string()),
        constant=np.ones(n),
        infinite=np.where(np.arange(n) % 2, np.inf, -np.inf),
        text=np.array(["some text"] * n),
    )
    assert [one.drifted for one in found.values()] == [False] * 4, "free text is not compared"
    assert {(one.moved_share, one.p_value) for one in found.values()} == {(0.0, 1.0)}


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_three_rows_say_nothing(compare: Compare, rows: int) -> None:
    found = compare(
        {"x": "float", "y": "category"},
        x=np.arange(rows) * 100.0,
        y=np.array(["a", "b", "c"][:rows], dtype=object).astype(str),
    )
    assert not any(one.drifted for one in found.values())
    assert all(one.p_value in (None, 1.0) for one in found.values())


def test_a_category_of_many_values_is_counted_by_the_frequent_ones(compare: Compare) -> None:
    random = np.random.default_rng(5)
    name = np.char.add("user", random.integers(0, 5_000, 2 * N).astype(str))
    name[N : N + 600] = [f"never{i}" for i in range(600)]
    [one] = compare({"name": "category"}, name=name).values()
    assert one.reference_rows + one.current_rows == 2 * N
    assert one.moved[0].level == f"{RARER} (under 2 rows each)", (
        "new values stand apart from old ones that are as frequent as ever"
    )
    assert one.drifted
    assert MOST_LEVELS < 5_000


TEN = {f"x{place}": "float" for place in range(10)}


@pytest.fixture
def sides(tmp_path: Path) -> Iterator[Compare]:
    """Drift of columns whose first rows are the reference, by the defaults."""
    engine = Engine(tmp_path)

    def of(reference: int, kinds: dict[str, Any], **columns: Any) -> dict[str, FeatureDrift]:
        n = len(next(iter(columns.values())))
        engine.register("rows", pa.table({"id": np.arange(n), "now": np.arange(n) >= reference, **columns}))
        found = drift(engine, "rows", kinds, current="now", fdr=0.05, floor=0.1)
        engine.drop("rows")
        return {one.feature: one for one in found}

    yield of
    engine.close()


@pytest.mark.parametrize(("reference", "current"), [(50, 50), (60, 60), (1_000, 60)])
def test_few_rows_of_ten_features_that_have_not_moved_hardly_ever_drift(
    sides: Compare, reference: int, current: int
) -> None:
    random, n = np.random.default_rng(8), reference + current
    scans = [sides(reference, TEN, **{name: random.normal(size=n) for name in TEN}) for _ in range(25)]
    assert sum(any(one.drifted for one in found.values()) for found in scans) <= 4


@pytest.mark.parametrize("reference", [60, 10_000])
def test_few_rows_that_have_moved_far_have_drifted(sides: Compare, reference: int) -> None:
    random = np.random.default_rng(9)

    def columns(rows: int, now: bool) -> list[np.ndarray]:
        return [
            random.normal(size=rows) + 1.5 * now,
            random.normal(size=rows) * (3 if now else 1),
            (random.integers(0, 300, rows) + 1_000 * now).astype(str),
            np.where(random.random(rows) < 0.3 * now, np.nan, random.normal(size=rows)),
            random.normal(size=rows),
        ]

    names = ["moved", "spread", "all new", "missing", "same"]
    both = zip(columns(reference, False), columns(60, True), strict=True)
    kinds = {name: "category" if name == "all new" else "float" for name in names}
    found = sides(reference, kinds, **dict(zip(names, map(np.concatenate, both), strict=True)))
    assert [name for name, one in found.items() if one.drifted] == names[:-1]


def test_names_that_never_come_twice_tell_nothing(compare: Compare) -> None:
    [one] = compare(
        {"invoice": "category"}, invoice=np.array([f"{number:06}" for number in range(2 * N)])
    ).values()
    assert not one.drifted


def test_names_of_columns_and_values_may_hold_anything(compare: Compare) -> None:
    odd = "a \"b\" 'c'"
    [one] = compare({odd: "category"}, **{odd: np.array(["it's"] * N + ['"quoted"'] * N)}).values()
    assert (one.feature, one.moved_share, one.drifted) == (odd, 1.0, True)
    assert {moved.level for moved in one.moved} == {"it's", '"quoted"'}


def test_it_is_the_same_each_time(compare: Compare) -> None:
    value = np.random.default_rng(6).normal(size=60_000)
    assert len({str(compare({"value": "float"}, value=value)) for _ in range(3)}) == 1


def drifted(found: list[Finding]) -> list[Finding]:
    return [one for one in found if one.kind == "feature_drift"]


WATCH = '[monitor]\nperiod = "7d"\n'


def test_features_are_compared_with_those_before_the_release(shop: Open) -> None:
    one = shop(WATCH)
    told = one.sales(400, days=(0, 10))
    one.until(10)
    one.crowned(one.scored({told["id"][0]: 0.5}))
    random = np.random.default_rng(7)
    one.sales(300, name="t", seed=1, days=(11, 17), amount=random.normal(3, 1, 300))
    [said] = drifted(watch(one.ws, one.until(17.5)))
    assert (said.severity, said.facts["features"], said.threshold) == ("info", ["f_amount"], 0.1)
    assert said.value == pytest.approx(0.86, abs=0.08)
    assert "amount" in said.message
    assert "does not say that the champion got worse" in said.message
    assert "two windows, the rows since 2026" in said.message
    assert "when the change began they do not tell" in said.message
    sides = compared_sides(one.ws, one.day(17.5))
    assert (sides.reference_until, sides.current_from) == (one.day(10), one.day(10.5))
    one.until(18.5)
    assert drifted(watch(one.ws, one.day(18.5))) == [], "it is said once a period"


def test_without_a_release_the_last_period_is_compared_with_what_came_before(shop: Open) -> None:
    one = shop(WATCH)
    one.sales(400, days=(0, 10))
    one.sales(300, name="t", seed=1, days=(10, 17), place=["elsewhere"] * 300)
    [said] = drifted(watch(one.ws, one.until(17)))
    assert said.facts["features"] == ["f_place"]
    assert said.facts["champion"] is None


def test_few_rows_on_a_side_or_drift_switched_off_say_nothing(shop: Open) -> None:
    few, off, none = shop(WATCH), shop(WATCH + "drift = false"), shop(WATCH)
    for one, n in ((few, 15), (off, 300)):
        one.sales(400, days=(0, 10))
        one.sales(n, name="t", seed=1, days=(11, 17), amount=[9.0] * n)
    for one in (few, off, none):
        assert drifted(watch(one.ws, one.until(17.5) if one is few else one.day(17.5))) == []
    assert feature_drift(none.ws, one.day(17.5)) == []
