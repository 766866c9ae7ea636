"""Labels bought batch by batch from a pool, and how many it took to come near the accuracy of all of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.isotonic import IsotonicRegression

from whorl.curate.strategies.choose import choose
from whorl.curate.strategies.pool import Pool
from whorl.spec.knobs.curate import CurateSpec

Floats = npt.NDArray[np.float64]
Picks = npt.NDArray[np.intp]
Curve = list[tuple[int, float]]
DEFAULTS = CurateSpec()


@dataclass(frozen=True)
class Task:
    """Rows to buy labels of, rows to tell accuracy by, the learner that is the same for all, and where rows lie."""

    rows: Any
    truth: npt.NDArray[Any]
    test_rows: Any
    test_truth: npt.NDArray[Any]
    learner: Callable[[], Any]
    places: Floats

    def fitted(self, bought: Picks) -> Any:
        return self.learner().fit(self.rows[bought], self.truth[bought])

    def accuracy(self, model: Any) -> float:
        return float(np.mean(model.predict(self.test_rows) == self.test_truth))


# Rows not bought yet, rows bought so far, the last model (None: none yet), the batch, the seed; gives places among the former.
Pick = Callable[[Task, Picks, Picks, Any, int, int], Picks]


def by_whorl(strategy: str, random_share: float = DEFAULTS.random_share) -> Pick:
    """The product's choice, at the product's defaults."""

    def pick(task: Task, left: Picks, bought: Picks, model: Any, batch: int, seed: int) -> Picks:
        blind = model is None or strategy == "random"
        probability = np.zeros((len(left), 0)) if blind else probabilities(model, task.rows[left])
        pool = Pool(
            ids=[str(row) for row in left],
            probability=probability,
            embedding=lambda rows: task.places[left[rows]],
            labelled=(lambda: task.places[bought]) if len(bought) else None,
            seed=f"{seed}/{len(bought)}",
            truth=np.unique(task.truth[bought], return_inverse=True)[1] if len(bought) else None,
        )
        return choose(pool, strategy, budget=batch, random_share=random_share).rows

    return pick


def probabilities(model: Any, rows: Any) -> Floats:
    """(n, k); a learner without probabilities gives the softmax of its scores."""
    if hasattr(model, "predict_proba"):
        return np.asarray(model.predict_proba(rows), dtype=np.float64)
    scores = model.decision_function(rows)
    if scores.ndim == 1:
        scores = np.column_stack([-scores, scores]) / 2
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def bought_by(task: Task, pick: Pick, *, batch: int, seed: int, goal: float, most: int) -> Curve:
    """Labels bought and accuracy after each batch, until the goal is reached or `most` are bought."""
    n = len(task.truth)
    taken, model, curve = np.zeros(n, dtype=bool), None, list[tuple[int, float]]()
    while taken.sum() < min(most, n):
        left = np.flatnonzero(~taken)
        chosen = pick(task, left, np.flatnonzero(taken), model, min(batch, len(left)), seed)
        taken[left[chosen]] = True
        bought = np.flatnonzero(taken)
        # A learner needs two classes; until there are, nothing is known.
        model = task.fitted(bought) if len(np.unique(task.truth[bought])) > 1 else None
        curve.append((len(bought), task.accuracy(model) if model is not None else 0.0))
        if curve[-1][1] >= goal:
            break
    return curve


def labels_to(curve: Curve, accuracy: float) -> float:
    """Where the straight lines between the points first reach an accuracy; infinite when they do not."""
    if curve and curve[0][1] >= accuracy:
        return float(curve[0][0])
    for (n, low), (m, high) in pairwise(curve):
        if high >= accuracy:
            return float(n + (m - n) * (accuracy - low) / (high - low))
    return float("inf")


def first_batch(curve: Curve, accuracy: float) -> float:
    """The number of labels after the first batch that reaches an accuracy."""
    return next((float(n) for n, got in curve if got >= accuracy), float("inf"))


def mean_curve(curves: Sequence[Curve]) -> Curve:
    """The mean over the seeds at the numbers of labels that all have, made monotone: more labels do no harm in the mean."""
    shared = sorted(set.intersection(*({n for n, _ in curve} for curve in curves)))
    means = [float(np.mean([dict(curve)[n] for curve in curves])) for n in shared]
    return list(zip(shared, IsotonicRegression().fit_transform(shared, means).tolist(), strict=True))
