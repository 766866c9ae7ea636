"""Means of period after period from few labels: against exact conditioning of a Gaussian, in simulated drifts, at the edges."""

import itertools

import numpy as np
import pytest

from whorl.stats.answering.score_regressors import score_regressors
from whorl.stats.arrays import Floats
from whorl.stats.change import smoothed_means as module
from whorl.stats.change.smoothed_means import PeriodRows, smoothed_means
from whorl.stats.sampling.inclusion import systematic_sample

LABELS, ROWS = 25, 500


def period(value: Floats, known: Floats, rest: int = 0, rest_known: Floats | None = None) -> PeriodRows:
    return PeriodRows(
        value,
        known,
        np.ones(len(value)),
        rest,
        np.zeros(known.shape[1]) if rest_known is None else rest_known,
    )


def test_the_filter_is_exact_conditioning_of_one_gaussian(monkeypatch: pytest.MonkeyPatch) -> None:
    """One model of the bank, all labels of all periods at once: what a Gaussian process with its covariance says."""
    keep, share, n, periods = 0.8, 0.05, 6, 4
    monkeypatch.setattr(module, "_KEEPS", (keep,))
    monkeypatch.setattr(module, "_STEPS", (share,))
    monkeypatch.setattr(module._Spread, "variance", 0.2)
    random = np.random.default_rng(1)
    value, known = random.random((periods, n)), random.normal(size=(periods, n, 1))
    at = random.normal(size=(periods, 1))
    weight = random.uniform(1, 3, (periods, n))
    given = [PeriodRows(v, x, w, 94, z) for v, x, w, z in zip(value, known, weight, at, strict=True)]
    found = smoothed_means(given)[-1]

    def covariance(t: int, x: float, u: int, z: float) -> float:
        first, common = min(t, u), range(min(t, u) + 1)
        departure = sum(keep ** (t - s) * keep ** (u - s) for s in common) * share * 0.2
        return 0.2 + departure + x * z * (0.2 / 4 + (first + 1) * share * 0.2)

    rows = [(t, known[t, i, 0]) for t in range(periods) for i in range(n)]
    noise = 0.2 / (weight / weight.mean(axis=1, keepdims=True)).ravel()
    gram = np.array([[covariance(*a, *b) for b in rows] for a in rows]) + np.diag(noise)
    cross = np.array([covariance(periods - 1, at[-1, 0], *b) for b in rows])
    prior = float(np.average(value[0], weights=weight[0]))
    mean = prior + cross @ np.linalg.solve(gram, value.ravel() - prior)
    square = covariance(periods - 1, at[-1, 0], periods - 1, at[-1, 0]) - cross @ np.linalg.solve(gram, cross)
    assert found.value == pytest.approx(0.94 * mean + value[-1].sum() / 100)
    error = np.sqrt(0.94**2 * square + 94 * 0.2 / 100**2)
    assert (found.high - found.low) / 2 == pytest.approx(1.959964 * error)


def drift(kind: str, random: np.random.Generator, periods: int = 50) -> list[tuple[Floats, Floats]]:
    """Scores and truths of period after period while what is true of a score moves."""
    shift, slope, made = 0.0, 1.0, []
    for t in range(periods):
        z = random.normal(random.normal(0, 0.3), 1.8, ROWS)
        shift += random.normal(0, 0.25) if kind == "walk" else 0.0
        slope = {"walk": 0.5, "still": 1.0, "worthless": 1 - t / periods}.get(kind, slope)
        if kind == "jumps" and t % 15 == 8:
            slope, shift = random.choice([0.1, 0.4, 1.0]), random.normal(0, 0.7)
        truth = random.random(ROWS) < 1 / (1 + np.exp(-(slope * z + shift)))
        made.append((1 / (1 + np.exp(-z)), truth.astype(np.float64)))
    return made


@pytest.mark.parametrize("kind", ["still", "walk", "jumps", "worthless"])
def test_it_beats_the_periods_own_labels_under_every_drift_and_covers(kind: str) -> None:
    errors, own_errors, inside = [], [], []
    for seed in range(6):
        given, truth, own = [], [], []
        for t, (score, label) in enumerate(drift(kind, np.random.default_rng(seed))):
            hit, known = ((score >= 0.5) == label).astype(np.float64), score_regressors(score)
            drawn = systematic_sample(np.full(ROWS, LABELS / ROWS), score, f"{seed}-{t}")
            rest = np.setdiff1d(np.arange(ROWS), drawn)
            given.append(period(hit[drawn], known[drawn], len(rest), known[rest].mean(axis=0)))
            truth.append(hit.mean())
            own.append(hit[drawn].mean())
        found = smoothed_means(given, lowest=0.0, greatest=1.0)
        errors += [abs(one.value - true) for one, true in zip(found, truth, strict=True)]
        own_errors += np.abs(np.subtract(own, truth)).tolist()
        inside += [one.low <= true <= one.high for one, true in zip(found, truth, strict=True)]
    assert np.mean(errors) < 0.75 * np.mean(own_errors)
    assert np.mean(inside) > 0.94


def test_a_reference_of_many_labels_steadies_what_follows() -> None:
    random = np.random.default_rng(3)
    many = period((random.random(2000) < 0.8).astype(float), np.zeros((2000, 1)))
    few = period(np.array([1.0, 1.0, 0.0]), np.zeros((3, 1)), 497)
    alone, leaning = smoothed_means([few])[0], smoothed_means([many, few])[1]
    assert leaning.high - leaning.low < 0.6 * (alone.high - alone.low)
    assert leaning.value == pytest.approx(0.8, abs=0.05)


def test_a_period_without_labels_is_foretold_and_the_longer_the_less_sure() -> None:
    random = np.random.default_rng(0)
    told = period((random.random(200) < 0.7).astype(float), np.zeros((200, 1)), 300)
    silent = period(np.zeros(0), np.zeros((0, 1)), 500)
    found = smoothed_means([told, *[silent] * 5])
    widths = [one.high - one.low for one in found]
    assert all(a < b for a, b in itertools.pairwise(widths))
    assert [one.n for one in found] == [200, 0, 0, 0, 0, 0]


def test_what_is_labelled_completely_is_what_was_seen() -> None:
    value = np.array([1.0, 0.0, 1.0, 1.0])
    (one,) = smoothed_means([period(value, np.zeros((4, 1)))])
    assert (one.value, one.low, one.high) == pytest.approx((0.75, 0.75, 0.75))


def test_bounds_and_what_is_undefined() -> None:
    nothing = period(np.zeros(0), np.zeros((0, 1)), 10)
    single = period(np.ones(1), np.zeros((1, 1)), 10)
    empty = period(np.zeros(0), np.zeros((0, 1)), 0)
    found = smoothed_means([nothing, single, single, empty], lowest=0.0, greatest=1.0)
    assert [np.isnan(one.value) for one in found] == [True, True, False, True]
    assert found[2].high == 1.0
    assert smoothed_means([]) == []
    alike = smoothed_means([period(np.ones(25), np.zeros((25, 1)), 475)], greatest=1.0)[0]
    assert alike.low < 1.0, "all right so far is not always right"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (period(np.array([np.nan]), np.zeros((1, 1))), "not finite"),
        (period(np.ones(1), np.zeros((1, 2))), "do not fit 1 regressors"),
        (PeriodRows(np.ones(1), np.zeros((1, 1)), np.zeros(1), 0, np.zeros(1)), "positive"),
    ],
)
def test_rows_that_cannot_count_are_refused(wrong: PeriodRows, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        smoothed_means([period(np.ones(2), np.zeros((2, 1))), wrong])
