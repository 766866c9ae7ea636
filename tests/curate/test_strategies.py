"""The contract that every strategy keeps, each check shown to fail on a broken fake; then what each of them prefers."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import pairwise_distances
from sklearn.metrics.pairwise import pairwise_kernels

from whorl.curate.draw import draw
from whorl.curate.strategies.choose import choose
from whorl.curate.strategies.clusters import FEW_ROWS, clusters, tight_clusters
from whorl.curate.strategies.disagreement import divergence
from whorl.curate.strategies.diversity import nearest_distance
from whorl.curate.strategies.mix import undecided_share
from whorl.curate.strategies.pool import Pool
from whorl.curate.strategies.representative import proportional, representative
from whorl.curate.strategies.strategy import STRATEGIES, Strategy, strategy_chances
from whorl.errors import SpecError
from whorl.models.named_function import named_function
from whorl.stats.arrays import Floats

N, BUDGET = 240, 30
NAMES = sorted(STRATEGIES)


def pool(n: int = N, *, seed: int = 0, classes: int = 4, **changed: object) -> Pool:
    """Rows in eight heaps; the champion is sure about some and not about others; two more models see it otherwise."""
    random = np.random.default_rng(seed)
    heap = np.arange(n) % 8
    place = np.eye(8)[heap] * 4 + random.normal(scale=0.3, size=(n, 8))
    p, q, r = (random.dirichlet(np.full(classes, 0.7), size=n) for _ in range(3))
    given = {
        "ids": [f"id{i:04d}" for i in range(n)], "probability": p, "embedding": place.__getitem__, "others": (q, r),
        "labelled": lambda: place[heap < 2][:5], "severity": random.gamma(1.0, size=n), "seed": "s",
    } | changed  # fmt: skip
    return Pool(**given)  # type: ignore[arg-type]


def turned(one: Pool, order: np.ndarray) -> Pool:
    return replace(
        one,
        ids=[one.ids[i] for i in order],
        probability=one.probability[order],
        embedding=lambda rows: one.embedding(order[rows]),
        others=tuple(other[order] for other in one.others),
        severity=one.severity[order],
    )


def strategy(name: str) -> Strategy:
    return named_function(STRATEGIES[name], where="test")


def is_chances(one: Strategy) -> bool:
    """One number a row, from 0 to 1, that add up to the budget at most."""
    got = one(pool(), BUDGET)
    return got.shape == (N,) and bool(((got >= 0) & (got <= 1)).all()) and got.sum() <= BUDGET + 1e-6


def is_deterministic(one: Strategy) -> bool:
    return np.array_equal(one(pool(), BUDGET), one(pool(), BUDGET))


def knows_no_order(one: Strategy) -> bool:
    """The same ids are taken in whatever order the rows come."""
    order = np.random.default_rng(1).permutation(N)
    return np.allclose(one(pool(), BUDGET)[order], one(turned(pool(), order), BUDGET))


def bears_missing_answers(one: Strategy) -> bool:
    """Rows that no model answered have chances too, and they are numbers."""
    blank = pool().probability.copy()
    blank[::3] = np.nan
    return bool(np.isfinite(one(pool(probability=blank), BUDGET)).all())


def uses_its_budget(one: Strategy) -> bool:
    """All of it, or, without a preference, nothing."""
    return round(float(one(pool(), BUDGET).sum()), 6) in (0, BUDGET)


CHECKS = (is_chances, is_deterministic, knows_no_order, bears_missing_answers, uses_its_budget)
_CALLS = iter(range(10_000))


def _flickers(pool: Pool, budget: int) -> Floats:
    return np.roll(np.arange(len(pool)) < budget, next(_CALLS)).astype(float)


BROKEN: dict[str, tuple[Strategy, Callable[[Strategy], bool]]] = {
    "overdrawn": (lambda pool, _: np.ones(len(pool)), is_chances),
    "scores": (lambda pool, _: np.linspace(-1, 1, len(pool)), is_chances),
    "flickers": (_flickers, is_deterministic),
    "first come": (lambda pool, budget: (np.arange(len(pool)) < budget).astype(float), knows_no_order),
    "nan": (lambda pool, _: pool.probability[:, 0] * 0.01, bears_missing_answers),
    "miser": (lambda pool, budget: np.full(len(pool), 0.5 * budget / len(pool)), uses_its_budget),
}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", NAMES)
def test_every_strategy_keeps_the_contract(name: str, check: Callable[[Strategy], bool]) -> None:
    assert check(strategy(name))


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_the_checks_see_what_is_broken(name: str) -> None:
    fake, check = BROKEN[name]
    assert not check(fake)


@pytest.mark.parametrize("name", NAMES)
def test_every_row_may_be_chosen_and_the_chances_are_true(name: str) -> None:
    """Over many draws each row is taken as often as its probability says; totals weighted by it are unbiased."""
    one, draws = pool(120), 400
    wanted = strategy_chances(name, one, 18)
    value = one.severity + 5 * (wanted > 0)
    taken, totals = np.zeros(120), []
    for seed in range(draws):
        drawn = draw(one.ids, wanted, budget=24, seed=f"{name}/{seed}")
        taken[drawn.rows] += 1
        totals.append(float((value[drawn.rows] / drawn.probability).sum()))
        assert (drawn.probability > 0).all()
        assert len(drawn.rows) <= 24
    chance = 1 - (1 - wanted) * (1 - np.where(wanted < 1, (24 - wanted.sum()) / (wanted < 1).sum(), 0))
    assert (np.abs(taken / draws - chance) <= 4.5 * np.sqrt(chance * (1 - chance) / draws) + 1e-9).all()
    assert abs(np.mean(totals) - value.sum()) < 3.5 * np.std(totals) / np.sqrt(draws) + 1e-9


def test_margin_and_entropy_prefer_the_undecided() -> None:
    one = pool(4, probability=np.array([[0.5, 0.5, 0], [0.4, 0.3, 0.3], [0.9, 0.1, 0], [1, 0, 0]]), others=())
    assert strategy_chances("margin", one, 1).tolist() == [1, 0, 0, 0]
    assert strategy_chances("entropy", one, 1).tolist() == [0, 1, 0, 0]


def test_disagreement_is_the_jensen_shannon_divergence() -> None:
    from scipy.spatial.distance import jensenshannon

    one = pool(others=(pool(seed=3).probability,))
    expected = jensenshannon(one.probability, one.others[0], axis=1) ** 2
    assert divergence(one) == pytest.approx(expected)


def test_severity_prefers_dear_and_doubtful_rows() -> None:
    p = np.array([[0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])
    one = pool(3, probability=p, others=(), severity=np.array([10.0, 2.0, 1.0]))
    assert strategy_chances("severity", one, 1).tolist() == [1, 0, 0]
    assert strategy_chances("severity", one, 2).tolist() == [1, 1, 0]


def test_novelty_prefers_the_farthest_from_what_is_known() -> None:
    one = pool()
    places = one.embedding(np.arange(N))
    distance = pairwise_distances(places, one.labelled()).min(axis=1)
    assert nearest_distance(places, one.labelled()) == pytest.approx(distance, abs=1e-6)
    assert distance[strategy_chances("novelty", one, BUDGET) == 1].min() >= np.sort(distance)[-BUDGET]


def test_diversity_is_farthest_first() -> None:
    """Gonzalez (1985): farthest first covers the pool within twice the best radius; its picks are far from each other."""
    one = pool()
    places = one.embedding(np.arange(N))
    picked = np.flatnonzero(strategy_chances("diversity", one, 10))
    known = np.vstack([one.labelled(), places[picked]])
    radius = pairwise_distances(places, known).min(axis=1).max()
    apart = pairwise_distances(places[picked]) + 1e9 * np.eye(10)
    assert radius <= apart.min() + 1e-9


def test_coverage_takes_one_of_each_heap() -> None:
    picked = np.flatnonzero(strategy_chances("coverage", pool(), 8))
    assert sorted(picked % 8) == list(range(8))


def learnable(known: int) -> dict[str, object]:
    """Labelled rows of two far heaps, a class each."""
    truth = np.arange(known) % 2
    return {
        "labelled": lambda: truth[:, None] * np.ones(8) + np.arange(known)[:, None] * 1e-6,
        "truth": truth,
    }


def test_mix_without_answers_takes_every_heap_by_its_size() -> None:
    """Three heaps of 120, 80 and 40 rows have 6, 4 and 2 of twelve."""
    heap = np.repeat([0, 1, 2], [120, 80, 40])
    place = np.eye(3)[heap] * 50 + np.random.default_rng(0).normal(size=(N, 3))
    cold = pool(probability=np.zeros((N, 0)), others=(), embedding=place.__getitem__)
    assert np.bincount(heap[strategy_chances("mix", cold, 12) == 1]) == pytest.approx([6, 4, 2], abs=1)


def test_a_representative_sample_tells_the_mean_better_than_chance() -> None:
    """Root mean squared error of the mean of something that goes with the places: half of chance's at most."""
    random = np.random.default_rng(0)
    place = random.normal(size=(N, 2))
    value = place.sum(axis=1)
    one = pool(embedding=place.__getitem__)
    by_strata = [value[representative(replace(one, seed=str(seed)), 20) == 1].mean() for seed in range(60)]
    by_chance = [value[random.choice(N, 20, replace=False)].mean() for _ in range(60)]
    error = [np.sqrt(np.mean((np.array(told) - value.mean()) ** 2)) for told in (by_strata, by_chance)]
    assert error[0] < error[1] / 2


def test_mix_asks_where_it_is_undecided_once_labels_can_be_learnt_from() -> None:
    one = pool(severity=np.ones(N), **learnable(1000))
    picked = strategy_chances("mix", one, 24) == 1
    lead = np.diff(np.sort(one.probability, axis=1)[:, -2:], axis=1)[:, 0]
    assert lead[picked].max() <= np.sort(lead)[3 * 24 - 1], "none but undecided ones"
    by_margin = strategy_chances("margin", one, 24) == 1
    places = one.embedding(np.arange(N))
    assert spread(places[picked]) > spread(places[by_margin]), "and they lie apart"


@pytest.mark.parametrize("labels", ["noise", "none", "one class", "one row"])
def test_mix_stays_representative_where_labels_cannot_be_learnt_from(labels: str) -> None:
    random = np.random.default_rng(0)
    place = random.normal(size=(200, 8))
    known = {
        "noise": {"labelled": lambda: place, "truth": random.integers(0, 2, 200)},
        "none": {"labelled": None},
        "one class": {"labelled": lambda: place, "truth": np.zeros(200, dtype=np.intp)},
        "one row": {"labelled": lambda: place[:1], "truth": np.zeros(1, dtype=np.intp)},
    }[labels]
    one = pool(severity=np.ones(N), **known)
    assert undecided_share(one) == 0
    assert np.array_equal(strategy_chances("mix", one, 24), representative(one, 24))


def test_the_undecided_share_grows_with_what_was_bought() -> None:
    """A fifth of the labels is noise."""
    random = np.random.default_rng(1)
    heap = np.arange(2000) % 4
    place = np.eye(4)[heap] * 4 + random.normal(size=(2000, 4))
    truth = np.where(random.random(2000) < 0.2, random.integers(0, 4, 2000), heap)
    shares = [
        undecided_share(pool(labelled=lambda m=m: place[:m], truth=truth[:m])) for m in (8, 40, 200, 2000)
    ]
    assert shares == sorted(shares)
    assert shares[-1] > 0.98


def test_proportional_shares_add_up_and_fit() -> None:
    for seed in range(50):
        random = np.random.default_rng(seed)
        size = random.integers(0, 40, size=12)
        budget = int(random.integers(1, size.sum()))
        share = proportional(size, budget)
        assert share.sum() == budget
        assert (share <= size).all()
        assert (np.abs(share - size * budget / size.sum()) < 1).all()


def spread(places: Floats) -> float:
    near = pairwise_kernels(places, metric="rbf", gamma=0.05)
    return float(-near.mean())


def test_clusters_of_rows_that_are_all_alike() -> None:
    group, distance = clusters(np.ones((50, 3)), 5, "s")
    assert set(group) <= set(range(5))
    assert distance == pytest.approx(0)


def test_tight_clusters_find_heaps_and_hold_equal_rows_together() -> None:
    heap = np.arange(N) % 8
    near = pool().embedding(np.arange(N))
    group = tight_clusters(near, 8, "s", np.ones(N))
    assert sorted(np.bincount(group)) == [N // 8] * 8
    assert all(len(set(group[heap == one])) == 1 for one in range(8))
    assert set(tight_clusters(np.ones((50, 3)), 5, "s", np.ones(50))) == {0}


def test_tight_clusters_lose_less_than_one_k_means() -> None:
    """Squared distance to the clusters' middles, of as many clusters as a batch has rows: what Ward's method makes small."""
    place = np.random.default_rng(3).normal(size=(300, 5))

    def loss(group: np.ndarray) -> float:
        middles = np.array([place[group == one].mean(axis=0) for one in group])
        return float(((place - middles) ** 2).sum())

    by_k_means = np.mean([loss(clusters(place, 100, str(seed))[0]) for seed in range(5)])
    assert loss(tight_clusters(place, 100, "s", np.ones(300))) < by_k_means


def test_tight_clusters_of_many_rows_are_those_of_k_means() -> None:
    place = np.random.default_rng(0).normal(size=(FEW_ROWS + 1, 2))
    weight = np.ones(FEW_ROWS + 1)
    assert np.array_equal(tight_clusters(place, 4, "s", weight), clusters(place, 4, "s", weight)[0])


@pytest.mark.parametrize("name", NAMES)
def test_where_all_scores_are_equal_nothing_is_preferred(name: str) -> None:
    """Then the budget goes to chance, each row with the same one; coverage goes by places, not by scores."""
    same = pool(
        probability=np.full((N, 4), 0.25), others=(np.full((N, 4), 0.25),), severity=np.ones(N),
        embedding=lambda rows: np.ones((len(rows), 2)), labelled=lambda: np.ones((3, 2)),
    )  # fmt: skip
    drawn = choose(same, name, budget=BUDGET, random_share=0.1)
    assert len(drawn.rows) == BUDGET
    assert np.isfinite(drawn.probability).all()
    if name not in ("coverage", "mix"):
        assert drawn.probability == pytest.approx(BUDGET / N)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("budget", [0, 1, N - 1, N, 10 * N])
def test_any_budget(name: str, budget: int) -> None:
    drawn = choose(pool(), name, budget=budget, random_share=0.1)
    assert len(drawn.rows) == min(budget, N)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_tiny_pools(name: str, n: int) -> None:
    assert len(choose(pool(n), name, budget=1, random_share=0.1).rows) == min(n, 1)


@pytest.mark.parametrize("name", NAMES)
def test_rows_of_one_class(name: str) -> None:
    """A champion that knows one class tells nothing apart."""
    one = pool(probability=np.ones((N, 1)), others=(np.ones((N, 1)),))
    assert len(choose(one, name, budget=BUDGET, random_share=0.1).rows) == BUDGET


def test_a_strategy_of_the_users(tmp_path, monkeypatch) -> None:
    (tmp_path / "my_choice.py").write_text(
        "import numpy as np\n\ndef shortest(pool, budget):\n"
        "    order = np.argsort([len(i) for i in pool.ids], kind='stable')\n"
        "    return np.isin(np.arange(len(pool)), order[:budget]).astype(float)\n\n"
        "def broken(pool, budget):\n    return np.full(len(pool), 2.0)\n"
    )
    assert strategy_chances("my_choice:shortest", pool(), 5, beside=tmp_path).sum() == 5
    with pytest.raises(SpecError, match=r"'my_choice:broken' gave chances from 2 to 2") as refused:
        strategy_chances("my_choice:broken", pool(), 5, beside=tmp_path)
    assert "docs/selection.md" in (refused.value.hint or "")
    with pytest.raises(SpecError, match="no function 'longest'"):
        strategy_chances("my_choice:longest", pool(), 5, beside=tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "my_choice", raising=False)


def test_a_pool_whose_columns_do_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="columns of lengths"):
        pool(probability=np.ones((N - 1, 2)))
