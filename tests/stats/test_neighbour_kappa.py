"""Agreement with the nearest neighbour, beside scikit-learn's kappa and neighbours; and the interval that it promises."""

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score
from sklearn.neighbors import NearestNeighbors

from whorl.stats.learning.neighbour_kappa import neighbour_kappa


@pytest.mark.parametrize("n", [5, 60, 1500])
def test_it_is_scikit_learns_kappa_of_scikit_learns_neighbours(n: int) -> None:
    random = np.random.default_rng(n)
    place, truth = random.normal(size=(n, 3)), random.integers(0, 3, n)
    truth[0], truth[1] = 0, 1
    near = NearestNeighbors(n_neighbors=2).fit(place).kneighbors(place, return_distance=False)[:, 1]
    assert neighbour_kappa(place, truth).value == pytest.approx(cohen_kappa_score(truth, truth[near]))


def test_labels_that_are_chance_are_seldom_taken_for_more() -> None:
    """The lower bound lies above 0 in hardly more than the 2.5 % that one side of a 95 % interval leaves."""
    found = 0
    for seed in range(1000):
        random = np.random.default_rng(seed)
        found += neighbour_kappa(random.normal(size=(60, 3)), random.integers(0, 2, 60)).low > 0
    assert found <= 80


def test_two_heaps_with_noise() -> None:
    """With a share e of flipped labels two neighbours agree in (1 - e)^2 + e^2 of the pairs."""
    random = np.random.default_rng(0)
    heap = np.arange(4000) % 2
    place = heap[:, None] * 100 + random.normal(size=(4000, 2))
    truth = np.where(random.random(4000) < 0.1, 1 - heap, heap)
    found = neighbour_kappa(place, truth)
    assert found.low < 2 * (0.9**2 + 0.1**2) - 1 < found.high


@pytest.mark.parametrize("truth", [[], [1], [1, 1, 1]])
def test_undefined_without_two_classes(truth: list[int]) -> None:
    found = neighbour_kappa(np.zeros((len(truth), 2)), np.array(truth, dtype=np.intp))
    assert np.isnan([found.value, found.low, found.high]).all()
    assert found.n == len(truth)
