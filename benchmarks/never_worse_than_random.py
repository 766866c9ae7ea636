"""The default never needs more than 10 % more labels than chance does: fifteen data sets, to 90, 95 and 98 % of full accuracy.

Rules, stated before the first run. A pool of at most 1,000 rows and a test part of at most 1,000, split anew by each seed;
batches of a thirtieth of the pool, 4 rows at least. Texts: TF-IDF and a linear SVM; everything else: an SVM with an RBF
kernel on standardised columns; both as scikit-learn has them. Accuracy after each batch is averaged over the seeds (40
of numbers, 6 of texts; 6 of all were too few to tell in the first run, where chance alone differed by a fifth), made
monotone by isotonic regression, and the label count is where the straight lines between batches first reach the share of
the mean accuracy with the whole pool. The ratio is the default's count over chance's; a level that chance does not come to
is left out and counted. All sets are shuffled, elec2 too: its order is another claim's. The guard of a cycle
(`curate/guard.py`), which gives a losing strategy less, is not on: the default strategy stands by itself. Later than these
rules, for time: of a pool of numbers no arm buys more than 600 rows, where before it was all; chance had needed 512 at most.

Seeds (1000 on) were fixed before looking, and are others than those (0 to 39) of two earlier runs, whose losses led to the
default as it is; it was changed on seeds 100 to 129. A seed is a split of the same rows, so rows of one seed's test part
were in the pool or the test part of others, development seeds too.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache, partial
from itertools import repeat
from math import isfinite
from time import perf_counter
from typing import Any
from warnings import filterwarnings

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from river import datasets as river_sets
from sklearn import datasets as sklearn_sets
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from threadpoolctl import threadpool_limits

from label_curves import Curve, Task, bought_by, by_whorl, labels_to, mean_curve
from report import Figure, data_folder, options, report
from whorl.curate.strategies.embedding import Embedding

SHARES = (0.90, 0.95, 0.98)
MOST_ROWS = 1000
# Of numbers. An SVM with a kernel costs the square of its rows, and what is bought after 98 % tells nothing.
MOST_BOUGHT = 600
BATCHES = 30
FIRST_SEED = 1000
Columns = dict[str, np.ndarray]
Set = tuple[Columns, np.ndarray]


def numbers(matrix: Any, truth: Any) -> Set:
    return {f"x{i}": column for i, column in enumerate(np.asarray(matrix, dtype=float).T)}, np.asarray(truth)


def of_sklearn(name: str) -> Set:
    return numbers(*getattr(sklearn_sets, f"load_{name}")(return_X_y=True))


def of_river(name: str) -> Set:
    rows = list(getattr(river_sets, name)())
    return numbers(pd.DataFrame([x for x, _ in rows]).astype(float), [y for _, y in rows])


def of_csv(folder: str, file: str, text: str | None, truth: str) -> Set:
    rows = pd.read_csv(data_folder(folder) / file)
    if text is not None:
        return {"text": rows[text].astype(object).to_numpy()}, rows[truth].to_numpy()
    return numbers(rows.drop(columns=[truth]).select_dtypes("number"), rows[truth].to_numpy())


def adult() -> Set:
    rows = pq.read_table(data_folder("adult_census") / "adult.parquet").to_pandas()
    kept = rows.drop(columns=["income", "split"])
    columns = {
        name: kept[name].to_numpy(dtype=float) if pd.api.types.is_numeric_dtype(kept[name]) else kept[name].astype(object).to_numpy()
        for name in kept.columns
    }  # fmt: skip
    return columns, rows["income"].astype(str).to_numpy()


def of_probabilities(folder: str, file: str, truth: str) -> Set:
    """What a network says of each class, as features."""
    rows = pq.read_table(data_folder(folder) / file).to_pandas()
    inputs = [name for name in rows.columns if name.startswith("p_")]
    return numbers(rows[inputs], rows[truth].to_numpy())


SETS: dict[str, Callable[[], Set]] = {
    "iris": partial(of_sklearn, "iris"),
    "wine": partial(of_sklearn, "wine"),
    "breast_cancer": partial(of_sklearn, "breast_cancer"),
    "digits": partial(of_sklearn, "digits"),
    "phishing": partial(of_river, "Phishing"),
    "bananas": partial(of_river, "Bananas"),
    "image_segments": partial(of_river, "ImageSegments"),
    "sms_spam": partial(of_csv, "sms_spam", "sms_spam.csv.gz", "text", "label"),
    "clinc150": partial(of_csv, "clinc150", "clinc150_full.csv.gz", "text", "intent"),
    "banking77": partial(of_csv, "banking77", "banking77.csv.gz", "text", "category"),
    "elec2": partial(of_csv, "elec2_electricity", "electricity.csv.gz", None, "class"),
    "adult": adult,
    "mnist_probabilities": partial(
        of_probabilities, "cleanlab_label_errors", "mnist_test_pyx.parquet", "given_label"
    ),
    "20news_probabilities": partial(
        of_probabilities, "cleanlab_label_errors", "20news_test_pyx.parquet", "given_label"
    ),
    "cifar10_probabilities": partial(
        of_probabilities, "cifar10_humans_and_model", "cifar10_test.parquet", "given_label"
    ),
}

# Of a text there are fewer seeds: its curves are long, and less noisy.
TEXTS = ("sms_spam", "clinc150", "banking77")


@lru_cache(maxsize=1)
def loaded(name: str) -> Set:
    return SETS[name]()


def task(columns: Columns, truth: np.ndarray, seed: int) -> Task:
    """A split of the rows: a pool, a test part of the same size where there is enough."""
    order = np.random.default_rng(seed).permutation(len(truth))
    size = min(len(truth) * 7 // 10, MOST_ROWS)
    pool, test = order[:size], order[size : size + MOST_ROWS]
    inside = {name: column[pool] for name, column in columns.items()}
    texts = frozenset(name for name in columns if name == "text")
    if texts:
        words = TfidfVectorizer().fit(inside["text"])
        rows, tests = words.transform(inside["text"]), words.transform(columns["text"][test])
    else:
        coded = (
            pd.DataFrame(columns)
            .apply(lambda c: c if c.dtype.kind == "f" else pd.factorize(c)[0])
            .to_numpy(dtype=float)
        )
        rows, tests = coded[pool], coded[test]

    def learner() -> Any:
        return LinearSVC(random_state=0) if texts else make_pipeline(StandardScaler(), SVC())

    return Task(rows, truth[pool], tests, truth[test], learner, Embedding(inside, texts).places(inside))


def seeds_of(name: str, quick: bool) -> range:
    return range(FIRST_SEED, FIRST_SEED + (2 if quick else 6 if name in TEXTS else 40))


def curves(name: str, seed: int) -> tuple[float, Curve, Curve]:
    """Accuracy with the whole pool; what the default and what chance bought."""
    # The first batches of a pool of many classes.
    filterwarnings("ignore", "The number of unique classes", UserWarning)
    columns, truth = loaded(name)
    one = task(columns, truth, seed)
    size = len(one.truth)
    batch, most = max(4, size // BATCHES), size if name in TEXTS else MOST_BOUGHT
    default, chance = (
        bought_by(one, by_whorl(arm), batch=batch, seed=seed, goal=2.0, most=most)
        for arm in ("mix", "random")
    )
    return one.accuracy(one.fitted(np.arange(size))), default, chance


def counts(found: Sequence[tuple[float, Curve, Curve]]) -> list[tuple[float, float]]:
    """Labels to each share, of the default and of chance; infinite where the mean over the seeds does not come to it."""
    full, default, chance = zip(*found, strict=True)
    goals = [share * float(np.mean(full)) for share in SHARES]
    arms = mean_curve(default), mean_curve(chance)
    return [(labels_to(arms[0], goal), labels_to(arms[1], goal)) for goal in goals]


def figures_of(found: Mapping[str, Sequence[tuple[float, float]]]) -> list[Figure]:
    """A level that chance does not come to has no ratio: it is counted, and neither holds nor fails."""
    levels = [
        (f"{name}, labels to {share:.0%}", *pair)
        for name in found
        for share, pair in zip(SHARES, found[name], strict=True)
    ]
    told = [level for level in levels if isfinite(level[2])]
    ratios = [ours / chance for _, ours, chance in told]
    return [
        *(Figure(name, ours, chance, 1.1 * chance) for name, ours, chance in told),
        Figure("largest ratio of labels, default to chance", max(ratios), target=1.1),
        Figure("median ratio of labels, default to chance", float(np.median(ratios))),
        Figure("levels compared", len(told)),
        Figure("levels left out, chance did not come to them", len(levels) - len(told)),
    ]


def main() -> None:
    chosen = options(__doc__)
    names = ("iris", "sms_spam") if chosen.quick else tuple(SETS)
    found = {}
    # One thread a process: k-means with a thread for each core, in a process for each core, waits for itself.
    with ProcessPoolExecutor(initializer=threadpool_limits, initargs=(1,)) as pool:
        for name in names:
            started = perf_counter()
            seeds = seeds_of(name, chosen.quick)
            found[name] = counts(list(pool.map(curves, repeat(name), seeds)))
            said = [f"{ours:.0f} / {chance:.0f}" for ours, chance in found[name]]
            print(f"{name}: {said}, {perf_counter() - started:.0f} s", flush=True)
    report("The default never needs more labels than chance", figures_of(found), chosen.json)


if __name__ == "__main__":
    main()
