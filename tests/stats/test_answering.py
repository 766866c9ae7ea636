"""Who answers, and means over those who do not: against other libraries, by simulation, and at the edges."""

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from whorl.examples.answering import boosted_chances
from whorl.stats.answering.answering import additive_logistic, who_answers
from whorl.stats.answering.doubly_robust import doubly_robust
from whorl.stats.answering.selective_answers import Selective, answered_mean, goes_by_truth, selective_answers
from whorl.stats.arrays import Floats
from whorl.stats.intervals.interval import interval

N = 2000


def test_the_additive_model_is_a_ridge_logistic_regression_on_bins() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(1000, 2))
    answered = (random.random(1000) < 1 / (1 + np.exp(-x[:, 0]))).astype(float)

    def bins(of: Floats) -> Floats:
        edges = [np.quantile(x[:, j], np.linspace(0, 1, 9)[1:-1]) for j in range(2)]
        return np.concatenate(
            [np.eye(8)[np.searchsorted(e, of[:, j], side="right")] for j, e in enumerate(edges)], axis=1
        )

    other = random.normal(size=(50, 2))
    # The prior of two rows at even chances, a quarter of a row's curvature each, is a ridge of 1 / 2.
    peer = LogisticRegression(C=2.0, tol=1e-10, max_iter=1000).fit(bins(x), answered)
    assert additive_logistic(x, answered, other) == pytest.approx(
        peer.predict_proba(bins(other))[:, 1], abs=1e-5
    )


def test_missing_values_are_a_level_and_constant_columns_do_no_harm() -> None:
    random = np.random.default_rng(1)
    missing = random.random(N) < 0.3
    column = np.where(missing, np.nan, random.normal(size=N))
    answered = (random.random(N) < np.where(missing, 0.9, 0.2)).astype(float)
    columns = np.column_stack([column, np.ones(N), np.full(N, np.nan)])
    chance = additive_logistic(columns, answered, columns)
    assert chance[missing].mean() == pytest.approx(0.9, abs=0.03)
    assert chance[~missing].mean() == pytest.approx(0.2, abs=0.03)


def test_answers_at_random_or_by_age_are_seldom_taken_for_selective() -> None:
    found = 0
    for seed in range(40):
        random = np.random.default_rng(seed)
        x, age = random.normal(size=(600, 3)), random.uniform(0, 10, 600)
        answered = random.random(600) < 0.1 + 0.08 * age
        found += who_answers(answered, x, age, x[:, :1]).p_value < 0.01
    assert found <= 2


def test_a_sharp_edge_of_age_is_no_selection() -> None:
    random = np.random.default_rng(4)
    age = random.uniform(0, 10, N)
    season = np.sin(age) + random.normal(0, 0.1, N)
    found = who_answers(age > 2.34, season[:, None], age, season[:, None], learners=(boosted_chances,))
    assert found.p_value > 0.01


def test_a_learner_that_sees_more_is_preferred() -> None:
    random = np.random.default_rng(2)
    x = random.choice([-1.0, 1.0], (N, 2))
    chance = np.where(x[:, 0] * x[:, 1] > 0, 0.8, 0.2)
    answered = random.random(N) < chance

    def cells(columns: Floats, told: Floats, others: Floats) -> Floats:
        return np.array([told[(columns[:, :2] == row[:2]).all(axis=1)].mean() for row in others])

    alone, helped = (
        who_answers(answered, x, np.zeros(N), x[:, :1], learners=more) for more in ((), (cells,))
    )
    assert alone.p_value > 0.01
    assert helped.p_value < 1e-6
    assert np.abs(helped.chance - chance).max() < 0.1


@pytest.mark.parametrize("answered", [np.zeros(100, bool), np.ones(100, bool), np.arange(100) < 3])
def test_all_none_or_hardly_any_answered(answered: np.ndarray) -> None:
    found = who_answers(answered, np.zeros((100, 1)), np.zeros(100), np.zeros((100, 1)))
    assert found.p_value == 1.0
    assert set(found.chance) == {answered.mean()}
    how = selective_answers(answered, np.zeros((100, 1)), np.zeros(100), np.zeros((100, 1)))
    assert (how.weighted, how.refusal) == (False, "")
    mean, _ = answered_mean(np.where(answered, 1.0, np.nan), np.zeros((100, 1)), how, share=True)
    assert mean.n == answered.sum()
    assert np.isnan(mean.value) == (not answered.any())


def test_three_rows_and_no_rows() -> None:
    for n in (0, 3):
        how = selective_answers(np.ones(n, bool), np.zeros((n, 1)), np.zeros(n), np.zeros((n, 1)))
        assert (how.weighted, how.refusal) == (False, "")
    with pytest.raises(ValueError, match="do not fit"):
        who_answers([True], np.zeros((2, 1)), [0.0], np.zeros((1, 1)))


def test_without_regressors_the_mean_is_hajeks_and_where_all_answer_the_plain_one() -> None:
    random = np.random.default_rng(3)
    value, chance = random.random(500), random.uniform(0.2, 0.9, 500)
    value[random.random(500) > chance] = np.nan
    told = ~np.isnan(value)
    found = doubly_robust(value, chance, np.zeros((500, 0)))
    assert found.value == pytest.approx(np.average(value[told], weights=1 / chance[told]))
    hit = (random.random(300) < 0.8).astype(float)
    plain, ours = (
        interval("accuracy", hit, np.ones(300)),
        doubly_robust(hit, np.ones(300), np.zeros((300, 0)), share=True),
    )
    assert (ours.value, ours.low, ours.high) == pytest.approx((plain.value, plain.low, plain.high))


def selective(random: np.random.Generator) -> tuple[Floats, Floats, Floats, np.ndarray]:
    """How sure, whether right, the chance of answering, and who answers: the sure."""
    sure = random.random(N)
    hit = (random.random(N) < 0.4 + 0.5 * sure).astype(float)
    chance = 0.05 + 0.6 * sure**2
    return sure, hit, chance, random.random(N) < chance


@pytest.mark.parametrize("wrong", ["nothing", "chances", "expectations"])
def test_one_of_chances_and_expectations_may_be_wrong(wrong: str) -> None:
    off, inside, naive = [], [], []
    for seed in range(60):
        sure, hit, chance, answered = selective(np.random.default_rng(seed))
        used = np.full(N, 0.25) if wrong == "chances" else chance
        known = np.zeros((N, 1)) if wrong == "expectations" else sure[:, None]
        found = doubly_robust(np.where(answered, hit, np.nan), used, known, share=True)
        off.append(found.value - hit.mean())
        naive.append(hit[answered].mean() - hit.mean())
        inside.append(found.low <= hit.mean() <= found.high)
    assert abs(np.mean(off)) < 0.01
    assert np.mean(naive) > 0.08
    # The interval goes by the chances: with wrong ones only the value is right.
    assert np.mean(inside) > 0.9 or wrong == "chances"


def test_a_high_share_is_covered_where_its_few_misses_answered_often() -> None:
    inside, optimistic = [], []
    for seed in range(300):
        random = np.random.default_rng(seed)
        hit, chance = (
            (random.random(1500) < 0.99).astype(float),
            np.where(random.random(1500) < 0.5, 0.6, 0.15),
        )
        told = np.where(random.random(1500) < chance, hit, np.nan)
        found = doubly_robust(told, chance, np.zeros((1500, 0)), share=True)
        inside.append(found.low <= 0.99 <= found.high)
        optimistic.append(found.low > 0.99)
    assert np.mean(inside) > 0.93
    assert np.mean(optimistic) < 0.04


def found_by_the_whole_way(seed: int, chance_of: Callable[[Floats, Floats], Floats]) -> tuple[Selective, str]:
    random = np.random.default_rng(seed)
    sure, hit, _, _ = selective(random)
    answered = random.random(N) < chance_of(sure, hit)
    asked = random.random(N) < 0.08
    how = selective_answers(answered, sure[:, None], np.zeros(N), sure[:, None])
    told = np.where(answered | asked, hit, np.nan)[:, None]
    p_truth = goes_by_truth(told, answered, how, sure[:, None], np.ones(N))
    mean, refusal = answered_mean(
        np.where(answered, hit, np.nan), sure[:, None], how, p_truth=p_truth, share=True
    )
    assert np.isnan(mean.value) == bool(refusal)
    return how, refusal


@pytest.mark.parametrize(
    ("chance_of", "expected"),
    [
        (lambda sure, _: 0.05 + 0.6 * sure, ""),
        (lambda sure, _: np.full(len(sure), 0.3), ""),
        (lambda sure, _: np.where(sure < 0.2, 0.0, 0.5), "overlap"),
        (lambda _, hit: np.where(hit > 0.5, 0.2, 0.6), "truth"),
    ],
)
def test_it_is_refused_when_it_must_be_and_only_then(
    chance_of: Callable[[Floats, Floats], Floats], expected: str
) -> None:
    refusals = [found_by_the_whole_way(seed, chance_of)[1] for seed in range(15)]
    assert refusals.count(expected) >= 14


def test_too_few_effective_answers_are_refused() -> None:
    random = np.random.default_rng(5)
    chance = np.where(np.arange(3000) < 60, 0.9, 0.02)
    how = selective_answers(random.random(3000) < chance / 10, np.zeros((3000, 1)), np.zeros(3000), np.zeros((3000, 1)),
                            known_chance=chance / 10)  # fmt: skip
    assert how.refusal == "effective"


@pytest.mark.parametrize("wrong", [0.0, -0.1, 1.5, np.nan])
def test_a_known_chance_is_used_as_it_is_and_must_be_one(wrong: float) -> None:
    answered, none = np.tile([True, False], 100), np.zeros((200, 1))
    how = selective_answers(answered, none, np.zeros(200), none, known_chance=np.full(200, 0.5))
    assert how.weighted
    assert np.isnan(how.p_value)
    with pytest.raises(ValueError, match="Known chances"):
        selective_answers(answered, none, np.zeros(200), none, known_chance=np.full(200, wrong))
    with pytest.raises(ValueError, match="chance of a row"):
        doubly_robust([1.0, 0.0], [wrong, 0.5], np.zeros((2, 0)))
