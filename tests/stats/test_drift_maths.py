"""Two samples of counts, many tests at once, and when a rate rose: against scipy, by table, by simulation."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from whorl.stats.change.rise import rise
from whorl.stats.change.sequential_p import sequential_p
from whorl.stats.change.two_samples import ASYMPTOTIC, difference
from whorl.stats.intervals.benjamini_hochberg import benjamini_hochberg

Sample = Callable[[np.random.Generator, int], np.ndarray]


def counted(a: np.ndarray, b: np.ndarray) -> list[np.ndarray]:
    """Rows of each value that occurs in either sample."""
    levels, codes = np.unique(np.concatenate([a, b]), return_inverse=True)
    return [np.bincount(side, minlength=len(levels)) for side in (codes[: len(a)], codes[len(a) :])]


def share_at_most(q: float, reference: int, current: int, sample: Sample, repeats: int) -> float:
    random = np.random.default_rng(12)
    p = [
        difference(*counted(sample(random, reference), sample(random, current))).p_value
        for _ in range(repeats)
    ]
    return float(np.mean(np.array(p) <= q))


@pytest.mark.parametrize("seed", range(5))
def test_with_many_rows_the_chi_square_test_is_scipys(seed: int) -> None:
    random = np.random.default_rng(seed)
    a, b = random.integers(120, 160, 12), random.integers(120, 160, 12)
    assert (a + b).min() * min(a.sum(), b.sum()) / (a + b).sum() >= ASYMPTOTIC
    assert difference(a, b).p_value == pytest.approx(stats.chi2_contingency([a, b], correction=False).pvalue)


def test_with_few_rows_it_is_fishers_exact_test() -> None:
    for a, b in (([50, 10], [58, 2]), ([55, 5], [40, 20]), ([48, 12], [45, 15])):
        exact = stats.fisher_exact([a, b]).pvalue
        assert difference(a, b).p_value == pytest.approx(exact, rel=0.5)


def test_with_few_rows_and_many_levels_it_is_scipys_test_by_resampling() -> None:
    random = np.random.default_rng(5)
    a, b = random.multinomial(60, [0.2] * 5), random.multinomial(90, [0.2, 0.2, 0.1, 0.2, 0.3])
    resampled = stats.chi2_contingency(
        [a, b], correction=False, method=stats.PermutationMethod(n_resamples=1_999, rng=random)
    )
    assert difference(a, b).p_value == pytest.approx(resampled.pvalue, rel=0.5)


@pytest.mark.parametrize("rows", [(60, 60), (90, 70), (1_000, 60)], ids=str)
@pytest.mark.parametrize(
    "sample",
    [
        lambda random, n: random.choice(5, n, p=[0.6, 0.3, 0.05, 0.04, 0.01]),
        lambda random, n: random.integers(0, 150, n),
        lambda random, n: random.random(n) < 0.1,
    ],
    ids=["few levels", "many levels", "two"],
)
def test_however_few_the_rows_false_alarms_are_the_stated_ones(rows: tuple[int, int], sample: Sample) -> None:
    assert share_at_most(0.05, *rows, sample, 120) <= 0.05 + 3 * (0.05 * 0.95 / 120) ** 0.5


def test_levels_are_taken_together_whichever_side_their_rows_are_on() -> None:
    """Were they chosen by the counts that are tested, the p-value would not be valid."""
    found = {difference([20, 20, 20, rows], [20, 20, 20, 8 - rows]).p_value > 0.9 for rows in (3, 4, 5)}
    assert found == {True}
    assert difference([2_000, 2_000, 0], [20, 20, 8]).p_value == pytest.approx(1e-4)


def test_new_values_are_found_among_ever_so_many() -> None:
    random = np.random.default_rng(6)
    for reference, least in ((60, 0.8), (10_000, 1.0)):
        p = [
            difference(
                *counted(random.integers(0, 300, reference), random.integers(1_000, 1_300, 60))
            ).p_value
            for _ in range(20)
        ]
        assert np.mean(np.array(p) <= 0.05) >= least
    ids = np.arange(120)
    assert difference(*counted(ids[:60], ids[60:])).p_value == 1.0, "values that never repeat tell nothing"


def test_more_rows_than_can_be_drawn_from_are_tested_all_the_same() -> None:
    found = difference([2 * 10**9, 10**9, 3, 2], [2 * 10**9, 10**9, 3, 2])
    assert found == (0.0, 1.0)


def test_a_p_value_by_draws_is_exact_on_average() -> None:
    random = np.random.default_rng(13)
    p = [sequential_p(lambda n: random.normal(size=n), float(random.normal())) for _ in range(800)]
    assert stats.kstest(p, "uniform").pvalue > 0.01
    assert sequential_p(lambda n: random.normal(size=n), 99.0) == pytest.approx(1e-4)


def test_p_values_are_uniform_when_nothing_has_changed() -> None:
    random = np.random.default_rng(7)
    share = np.array([0.5, 0.2, 0.1, 0.1, 0.05, 0.03, 0.02])
    p = [
        difference(random.multinomial(800, share), random.multinomial(300, share)).p_value for _ in range(800)
    ]
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_quantile_bins_of_both_samples_leave_them_uniform() -> None:
    """Edges that are taken from the rows that are compared are no unfair game while they do not ask which side a row is on."""
    random = np.random.default_rng(8)
    p = []
    for _ in range(300):
        a, b = random.normal(size=80), random.normal(size=60)
        edges = np.quantile(np.concatenate([a, b]), np.linspace(0, 1, 7)[1:-1])
        counts = [np.bincount(np.searchsorted(edges, x), minlength=6) for x in (a, b)]
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
    assert np.isnan(found).all()


@pytest.mark.parametrize("counts", [[1, -1], [1, float("nan")], [1, 0.5], [1, 2, 3]])
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
