"""How good is the model in each chunk of 500 rows when 25 labels a chunk are bought? elec2, a static LightGBM.

The first 10,000 rows train the model (all columns but the normalised date, in the order of the rows), the next 5,000 are the
reference, whose truth is known; then come 60 chunks of 500. In each, 25 rows are asked for: drawn evenly over the score, and,
as `whorl holdout ask` draws, by doubt. The estimate is the monitor's `smoothed` one; five seeds of the draw. Beside it: the
accuracy of the reference for ever, CBPE (the mean confidence, and the same recalibrated on the reference by isotonic
regression), the mean of 25 random labels, and the monitor's plain estimate of the same asked rows. Also shown: the last label
repeated (no-change), which needs all labels. CBPE is flagged in a chunk when the claim lies outside the plain interval;
overall when the claim lies outside the interval in more chunks than chance could have it.

How it was chosen: regressors, steps and forgetting on simulated drifts and on rows before 10,000 (models of their first
1,500 and 3,000). Two other sets of columns (with the date; without date and price) are shown too.
"""

from typing import NamedTuple

import lightgbm
import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import binom

from report import Figure, data_folder, options, report
from whorl.stats.answering.score_regressors import score_regressors
from whorl.stats.calibration.isotonic import fit_isotonic
from whorl.stats.change.smoothed_means import PeriodRows, smoothed_means
from whorl.stats.intervals.estimate import Estimate
from whorl.stats.sampling.claimed_accuracy import claimed_accuracy, contradicted
from whorl.stats.sampling.doubt import doubt
from whorl.stats.sampling.few_labels import asking_chances, draw, estimate_accuracy
from whorl.stats.sampling.inclusion import systematic_sample

Floats = npt.NDArray[np.float64]
TRAINED, REFERENCE, CHUNK, LABELS = 10_000, 5_000, 500, 25
DROPPED = {"without date": ["date"], "all columns": [], "without date and price": ["date", "nswprice"]}


class Stream(NamedTuple):
    """Scores and truths of the reference, and of each chunk (chunks, 500)."""

    reference: tuple[Floats, Floats]
    score: Floats
    truth: Floats

    @property
    def hit(self) -> Floats:
        right: Floats = ((self.score >= 0.5) == self.truth).astype(np.float64)
        return right


class Told(NamedTuple):
    """One way of telling the accuracy of every chunk: value, and bounds where there are any (chunks,)."""

    value: Floats
    low: Floats
    high: Floats

    def off(self, stream: Stream) -> float:
        return float(np.abs(self.value - stream.hit.mean(axis=1)).mean())

    def covers(self, stream: Stream) -> float:
        true = stream.hit.mean(axis=1)
        return float(((self.low <= true) & (true <= self.high)).mean())


def stream_of(dropped: list[str]) -> Stream:
    rows = pd.read_csv(data_folder("elec2_electricity") / "electricity.csv.gz")
    truth = (rows["class"] == "UP").to_numpy(np.float64)
    x = rows.drop(columns=["class", *dropped]).to_numpy(np.float64)
    params = {"objective": "binary", "verbose": -1, "seed": 0, "num_threads": 1, "deterministic": True}
    model = lightgbm.train(params, lightgbm.Dataset(x[:TRAINED], truth[:TRAINED]), 100)
    score = np.asarray(model.predict(x, num_threads=1), dtype=np.float64)
    start = TRAINED + REFERENCE
    chunks = (len(truth) - start) // CHUNK
    held = slice(start, start + chunks * CHUNK)
    return Stream(
        (score[TRAINED:start], truth[TRAINED:start]),
        score[held].reshape(chunks, CHUNK),
        truth[held].reshape(chunks, CHUNK),
    )


def of(estimates: list[Estimate]) -> Told:
    return Told(*(np.array([getattr(one, field) for one in estimates]) for field in ("value", "low", "high")))


def period(hit: Floats, known: Floats, picked: npt.NDArray[np.intp], probability: Floats) -> PeriodRows:
    rest = np.setdiff1d(np.arange(len(hit)), picked)
    return PeriodRows(hit[picked], known[picked], 1 / probability, len(rest), known[rest].mean(axis=0))


def bought(stream: Stream, seed: int, by_doubt: bool) -> tuple[Told, Told]:
    """Smoothed and plain estimates from 25 labels a chunk."""
    score, truth = stream.reference
    all_known = score_regressors(score)
    seen = ((score >= 0.5) == truth).astype(np.float64)
    periods = [PeriodRows(seen, all_known, np.ones(len(seen)), 0, np.zeros(all_known.shape[1]))]
    plain = []
    for number, (said, hit) in enumerate(zip(stream.score, stream.hit, strict=True)):
        unsure, name = doubt(said), f"{seed}/{number}"
        if by_doubt:
            uniform = np.random.default_rng([seed, number]).random(CHUNK)
            drawn = draw(asking_chances(unsure, LABELS), unsure, uniform, name)
            picked, chance = drawn.picked, drawn.probability
        else:
            picked = systematic_sample(np.full(CHUNK, LABELS / CHUNK), said, name)
            chance = np.full(len(picked), LABELS / CHUNK)
        periods.append(period(hit, score_regressors(said), picked, chance))
        plain.append(estimate_accuracy(hit[picked], unsure[picked], chance))
    return of(smoothed_means(periods, lowest=0.0, greatest=1.0)[1:]), of(plain)


def random_labels(stream: Stream, seed: int) -> Told:
    random = np.random.default_rng(seed)
    mean = np.array([hit[random.choice(CHUNK, LABELS, replace=False)].mean() for hit in stream.hit])
    return Told(mean, mean, mean)


def figures_of(name: str, stream: Stream, seeds: int) -> list[Figure]:
    score, truth = stream.reference
    at_reference = float(((score >= 0.5) == truth).mean())
    calibrated = fit_isotonic(truth, score, np.ones(len(truth)))
    assert calibrated is not None
    true = stream.hit.mean(axis=1)
    claims = np.array([claimed_accuracy(chunk) for chunk in stream.score])
    recalibrated = np.array([claimed_accuracy(calibrated.apply(chunk)) for chunk in stream.score])
    reference = float(np.abs(at_reference - true).mean())
    even, by_doubt = ([bought(stream, seed, asked) for seed in range(seeds)] for asked in (False, True))
    ours = float(np.mean([smoothed.off(stream) for smoothed, _ in even]))
    flags = [
        [
            bool(contradicted(claim, Estimate(*bounds, LABELS)))
            for claim, *bounds in zip(claims, *plain, strict=True)
        ]
        for _, plain in even
    ]
    flagged = float(np.mean([binom.sf(sum(one) - 1, len(one), 0.05) < 0.01 for one in flags]))
    last = np.abs(np.diff(stream.truth.ravel(), prepend=stream.truth[0, 0])).mean()
    main = name == "without date"

    def mean(told: list[Told], what: str) -> float:
        return float(np.mean([getattr(one, what)(stream) for one in told]))

    return [
        Figure(f"{name}: MAE, smoothed, asked evenly", ours, reference, 0.06 if main else None),
        Figure(f"{name}: MAE, smoothed, asked by doubt", mean([s for s, _ in by_doubt], "off"), reference,
               0.06 if main else None),
        Figure(f"{name}: claim flagged as contradicted, share of seeds", flagged, None, 1.0 if main else None, at_most=False),
        Figure(f"{name}: chunks in which it is", float(np.mean(flags))),
        Figure(f"{name}: covered, smoothed, evenly", mean([s for s, _ in even], "covers"), None, 0.93 if main else None,
               at_most=False),
        Figure(f"{name}: covered, smoothed, by doubt", mean([s for s, _ in by_doubt], "covers")),
        Figure(f"{name}: width of the interval", float(np.mean([(s.high - s.low).mean() for s, _ in even])),
               float(np.mean([(p.high - p.low).mean() for _, p in even]))),
        Figure(f"{name}: MAE, 25 random labels", float(np.mean([random_labels(stream, s).off(stream) for s in range(seeds)]))),
        Figure(f"{name}: MAE, plain, asked evenly", mean([p for _, p in even], "off")),
        Figure(f"{name}: MAE, plain, asked by doubt", mean([p for _, p in by_doubt], "off")),
        Figure(f"{name}: covered, plain, evenly", mean([p for _, p in even], "covers")),
        Figure(f"{name}: MAE, reference accuracy", reference),
        Figure(f"{name}: MAE, CBPE (mean confidence)", float(np.abs(claims - true).mean())),
        Figure(f"{name}: MAE, CBPE recalibrated on the reference", float(np.abs(recalibrated - true).mean())),
        Figure(f"{name}: accuracy of the model", float(true.mean()), 1 - float(last)),
    ]  # fmt: skip


def main() -> None:
    chosen = options(__doc__)
    names = ["without date"] if chosen.quick else list(DROPPED)
    figures = [
        f for name in names for f in figures_of(name, stream_of(DROPPED[name]), 2 if chosen.quick else 5)
    ]
    report("The accuracy of each 500 rows from 25 labels", figures, chosen.json)


if __name__ == "__main__":
    main()
