"""Two samples of counts, many tests at once, and when a rate rose: against scipy, by table, by simulation."""

import numpy as np
import pytest
from scipy import stats

from whorl.stats.change.rise import rise
from whorl.stats.change.two_samples import difference
from whorl.stats.intervals.benjamini_hochberg import benjamini_hochberg


@pytest.mark.parametrize("seed", range(5))
def test_the_chi_square_test_is_scipys(seed: int) -> None:
    random = np.random.default_rng(seed)
    a, b = random.integers(20, 400, 12), random.integers(20, 400, 12)
    found, expected = difference(a, b), stats.chi2_contingency(np.vstack([a, b]), correction=False)
    assert found.chi_square == pytest.approx(expected.statistic)
    assert (found.degrees, found.p_value) == (expected.dof, pytest.approx(expected.pvalue))


def test_rare_levels_are_taken_together() -> None:
    rare, pooled = difference([100, 50, 4, 3], [90, 60, 3, 4]), difference([100, 50, 7], [90, 60, 7])
    assert (rare.chi_square, rare.degrees) == (pooled.chi_square, 2)
    assert difference([100, 50, 1], [90, 60, 1]).degrees == 1


def test_p_values_are_uniform_when_nothing_has_changed() -> None:
    random = np.random.default_rng(7)
    share = np.array([0.5, 0.2, 0.1, 0.1, 0.05, 0.03, 0.02])
    p = [
        difference(random.multinomial(800, share), random.multinomial(300, share)).p_value for _ in range(800)
    ]
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_quantile_bins_of_the_reference_leave_them_uniform() -> None:
    """Edges that are taken from one of the samples are no unfair game."""
    random = np.random.default_rng(8)
    p = []
    for _ in range(400):
        a, b = random.normal(size=1_000), random.normal(size=700)
        edges = np.quantile(a, np.linspace(0, 1, 11)[1:-1])
        counts = [np.bincount(np.searchsorted(edges, x), minlength=10) for x in (a, b)]
        p.append(difference(*counts).p_value)
    assert stats.kstest(p, "uniform").pvalue > 0.01


@pytest.mark.parametrize(
    ("reference", "current", "p_value"),
    [([3], [3], 1.0), ([1, 1, 1], [1, 0, 2], 1.0), ([0, 9], [0, 90], 1.0)],
)
def test_three_rows_and_one_level_tell_nothing(
    reference: list[int], current: list[int], p_value: float
) -> None:
    assert difference(reference, current).p_value == p_value


def test_an_empty_sample_has_no_difference() -> None:
    found = difference([0, 0], [5, 5])
    assert np.isnan([found.total_variation, found.chi_square, found.p_value]).all()
    assert found.degrees == 0


@pytest.mark.parametrize("counts", [[1, -1], [1, float("nan")], [1, 2, 3]])
def test_what_are_no_counts_is_refused(counts: list[float]) -> None:
    with pytest.raises(ValueError, match=r"negative|fit each other"):
        difference(counts, [1, 1])


@pytest.mark.parametrize("seed", range(4))
def test_adjusted_p_values_are_scipys(seed: int) -> None:
    p = np.random.default_rng(seed).random(30) ** 2
    assert benjamini_hochberg(p) == pytest.approx(stats.false_discovery_control(p))


def test_what_was_not_tested_is_no_test() -> None:
    found = benjamini_hochberg([0.01, np.nan, 0.02])
    assert found[[0, 2]] == pytest.approx([0.02, 0.02])
    assert np.isnan(found[1])
    assert benjamini_hochberg([]).tolist() == []
    with pytest.raises(ValueError, match="outside"):
        benjamini_hochberg([1.5])


def test_the_share_of_false_discoveries_is_the_stated_one() -> None:
    random = np.random.default_rng(9)
    shares = []
    for _ in range(400):
        z = random.normal(size=100) + np.where(np.arange(100) < 20, 3.0, 0.0)
        found = benjamini_hochberg(stats.norm.sf(z)) <= 0.1
        shares.append(found[20:].sum() / max(found.sum(), 1))
    assert np.mean(shares) <= 0.1
    assert np.mean(shares) > 0.05


def test_the_rise_is_where_it_was() -> None:
    random = np.random.default_rng(10)
    found = rise(np.concatenate([random.random(2_000) < 0.1, random.random(500) < 0.4]))
    assert found.start == pytest.approx(2_000, abs=40)
    assert (found.before, found.after) == (pytest.approx(0.1, abs=0.03), pytest.approx(0.4, abs=0.06))
    assert found.shown


def test_errors_in_any_order_show_no_rise() -> None:
    random = np.random.default_rng(11)
    assert sum(rise(random.random(1_000) < random.uniform(0.05, 0.5)).shown for _ in range(400)) <= 8


@pytest.mark.parametrize(
    "errors", [[], [1], [0, 0, 0], [1, 1, 1, 1], [1, 0], [0.5] * 9], ids=lambda errors: f"n={len(errors)}"
)
def test_no_rise_is_none(errors: list[float]) -> None:
    found = rise(errors)
    assert found.start == len(errors)
    assert np.isnan(found.after)
