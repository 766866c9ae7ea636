"""How near 200 labels come to a classifier's accuracy, beside other ways of spending and reading them.

Classifiers' probabilities and the given labels of four data sets (`cleanlab_label_errors`, `cifar10_humans_and_model`).
Each way draws 200 rows, reads their labels and estimates the accuracy on all rows, 3,000 times over. The gain is the
variance of the mean of 200 rows drawn at random, divided by the mean squared error. A baseline is valid where its 95 %
interval covers in at least 94 % of the repeats. Nothing is set by data set, and a way sees the probabilities and the labels that
it bought. Ours is `stats/sampling/few_labels.py`, as `whorl holdout ask` draws and `whorl holdout quality`
tells each draw: bounds for these very rows. Those of the monitor's periods are for rows like these: .0468 wide beside .0456 on cifar10.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
from scipy.stats import beta

from report import Figure, data_folder, options, report
from whorl.stats.intervals.estimate import Estimate, from_standard_error, normal_quantile
from whorl.stats.intervals.wilson import wilson
from whorl.stats.sampling.active_inference import active_chances, active_mean
from whorl.stats.sampling.claimed_accuracy import claimed_accuracy
from whorl.stats.sampling.doubt import doubt
from whorl.stats.sampling.few_labels import asking_chances, draw, estimate_accuracy
from whorl.stats.sampling.prediction_powered import prediction_powered_mean
from whorl.stats.sampling.stratified import neyman_allocation, stratified_mean

BUDGET, REPEATS, QUICK_REPEATS, SEED, STRATA = 200, 3000, 300, 1729, 10
VALID, REACH = 0.94, {"imdb": 1.4, "20news": 1.5, "cifar10": 2.4, "mnist": 4.0}
FILES = {
    "imdb": ("cleanlab_label_errors", "imdb_test_pyx.parquet"),
    "20news": ("cleanlab_label_errors", "20news_test_pyx.parquet"),
    "cifar10": ("cifar10_humans_and_model", "cifar10_test.parquet"),
    "mnist": ("cleanlab_label_errors", "mnist_test_pyx.parquet"),
}
Way = Callable[[np.random.Generator], Estimate]


class Judged(NamedTuple):
    """A classifier's confidence and doubt (n,), and where it was right (n,), which costs a label each."""

    confidence: np.ndarray
    doubts: np.ndarray
    hits: np.ndarray


class Told(NamedTuple):
    """What a way's repeats amount to: gain, coverage, mean width, bias in points."""

    gain: float
    coverage: float
    width: float
    bias: float


def judged(name: str) -> tuple[Judged, float]:
    """A data set, and the accuracy that its classifier claims."""
    folder, file = FILES[name]
    table = pq.read_table(Path(data_folder(folder)) / file)
    columns = [c for c in table.column_names if c.startswith(("p_", "model_", "prob_"))]
    p = np.column_stack([table[c].to_numpy().astype(float) for c in columns]).clip(0, 1)
    hits = (p.argmax(axis=1) == table["given_label"].to_numpy()).astype(float)
    return Judged(p.max(axis=1), doubt(p), hits), claimed_accuracy(p)


def ways(rows: Judged) -> dict[str, Way]:
    """Each draws anew and reads the labels of what it drew."""
    confidence, doubts, hits = rows
    n = len(hits)

    def simple(random: np.random.Generator) -> np.ndarray:
        return random.choice(n, BUDGET, replace=False)

    def wald(random: np.random.Generator) -> Estimate:
        rate = hits[simple(random)].mean()
        error = np.sqrt(rate * (1 - rate) / BUDGET)
        return from_standard_error(rate, error, BUDGET, quantile=normal_quantile(0.95))

    def wilsons(random: np.random.Generator) -> Estimate:
        rate = hits[simple(random)].mean()
        return Estimate(rate, *wilson(rate * BUDGET, BUDGET), BUDGET)

    def clopper_pearson(random: np.random.Generator) -> Estimate:
        right = hits[simple(random)].sum()
        low = beta.ppf(0.025, right, BUDGET - right + 1) if right else 0.0
        high = beta.ppf(0.975, right + 1, BUDGET - right) if right < BUDGET else 1.0
        return Estimate(right / BUDGET, low, high, BUDGET)

    def powered(random: np.random.Generator) -> Estimate:
        picked = np.zeros(n, dtype=bool)
        picked[simple(random)] = True
        return prediction_powered_mean(hits[picked], confidence[picked], confidence[~picked])

    strata = np.array_split(np.argsort(confidence, kind="stable"), STRATA)
    size = np.array([len(s) for s in strata])
    claimed = np.array([confidence[s].mean() for s in strata])
    # Half of the budget evenly: the claims decide over the other half.
    allocated = neyman_allocation(
        size, np.sqrt(claimed * (1 - claimed)), BUDGET, least=BUDGET // (2 * STRATA)
    )

    def neyman(random: np.random.Generator) -> Estimate:
        picked = [random.choice(s, k, replace=False) for s, k in zip(strata, allocated, strict=True)]
        return stratified_mean(hits[np.concatenate(picked)], np.repeat(np.arange(STRATA), allocated), size)

    def active(floor: float) -> Way:
        coins = active_chances(confidence * (1 - confidence), BUDGET, floor=floor)
        return lambda random: active_mean(hits, random.random(n) < coins, confidence, coins)

    chances = asking_chances(doubts, BUDGET)

    def ours(random: np.random.Generator) -> Estimate:
        drawn = draw(chances, doubts, random.random(n), str(random.integers(2**63)))
        return estimate_accuracy(hits[drawn.picked], doubts[drawn.picked], drawn.probability)

    return {
        "ours": ours,
        "random, Wald": wald,
        "random, Wilson": wilsons,
        "random, Clopper-Pearson": clopper_pearson,
        "PPI++": powered,
        "Neyman": neyman,
        "active, floor 0.1": active(0.1),
        "active, floor 0.5": active(0.5),
    }


def told(way: Way, rate: float, rows: int, repeats: int) -> Told:
    """A way's figures against the accuracy on all rows."""
    random = np.random.default_rng(SEED)
    found = [way(random) for _ in range(repeats)]
    value, low, high = (np.array([getattr(e, name) for e in found]) for name in ("value", "low", "high"))
    simple = rate * (1 - rate) / BUDGET * (rows - BUDGET) / (rows - 1)
    covered = np.mean((low <= rate) & (rate <= high))
    gain = simple / np.mean((value - rate) ** 2)
    return Told(float(gain), float(covered), float(np.mean(high - low)), float(100 * (value.mean() - rate)))


def measured(name: str, repeats: int) -> list[Figure]:
    """Print a data set's table; its figures."""
    rows, claim = judged(name)
    rate = rows.hits.mean()
    print(
        f"\n{name}: accuracy {rate:.4f} of {len(rows.hits):,} rows; claimed without labels (CBPE): {claim:.4f}"
    )
    print(f"  {'':<24} {'gain':>6} {'coverage':>9} {'width':>7} {'bias, points':>13}")
    found = {}
    for label, way in ways(rows).items():
        found[label] = one = told(way, rate, len(rows.hits), repeats)
        print(
            f"  {label:<24} {one.gain:>6.2f} {one.coverage:>9.1%} {one.width:>7.4f} {one.bias:>13.3f}",
            flush=True,
        )
    ours = found.pop("ours")
    width = min(one.width for one in found.values() if one.coverage >= VALID)
    gain = max(one.gain for one in found.values())
    return [
        Figure(f"{name}: gain (other: best of all)", ours.gain, gain, REACH[name], at_most=False),
        Figure(f"{name}: coverage of the 95 % interval", ours.coverage, None, VALID, at_most=False),
        Figure(f"{name}: mean width (other: best valid)", ours.width, width, width),
        Figure(f"{name}: bias, points", abs(ours.bias), None, 0.1),
        Figure(f"{name}: off by, claimed without labels, points", float(100 * abs(claim - rate))),
    ]


if __name__ == "__main__":
    chosen = options(__doc__)
    repeats = QUICK_REPEATS if chosen.quick else REPEATS
    figures = [figure for name in FILES for figure in measured(name, repeats)]
    report("Accuracy from 200 labels", figures, chosen.json)
