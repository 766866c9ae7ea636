"""Learn from labels that come late when one class comes later than another.

What is known today is a biased sample: a cancellation is known long before a stay. Here are the delay curves of each class,
the chance that a still-open row belongs to each class, and the rows and weights that turn both into training data.
Curves assume that within a class the delay (relative to the row's horizon, where it has one) does not depend on the rest;
`label_delay_hazards.py` does not. Not here: which labels to buy, and fitting a model.

Ages and delays are numbers in one unit: days, or shares of the horizon (`relative_to_horizon`). Known at age a means delay <= a.
Source: Chapelle (2014), "Modeling delayed feedback in display advertising", KDD (the posterior and its EM);
Lynden-Bell (1971), MNRAS 155:95-118, and Woodroofe (1985), Annals of Statistics 13:163-177 (the curves: right truncation
is left truncation seen backwards in time, so this is the product-limit estimator of Kaplan & Meier (1958) run backwards).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from whorl.stats.arrays import Floats, Indices
from whorl.stats.intervals.estimate import Estimate, normal_quantile

OPEN = -1
"""The label index of a row whose truth is not known yet."""


def relative_to_horizon(days: npt.ArrayLike, horizon: npt.ArrayLike, *, floor: float = 1.0) -> Floats:
    """Delays or ages (n,) as shares of the time within which each row's truth is due; below 0 counts as 0.

    A horizon below `floor` (0, negative) counts as `floor`; a missing one (nan) as the median of the others, or as `floor`
    when there are no others.

    >>> relative_to_horizon([10.0, 30.0, -1.0, 2.0], [40.0, 20.0, 40.0, 0.0]).tolist()
    [0.25, 1.5, 0.0, 2.0]
    """
    due = np.asarray(horizon, dtype=np.float64)
    present = due[~np.isnan(due)]
    filled = np.where(np.isnan(due), np.median(present) if len(present) else floor, due)
    relative: Floats = np.maximum(np.asarray(days, dtype=np.float64), 0.0) / np.maximum(filled, floor)
    return relative


class DelayCurve(NamedTuple):
    """Share (m,) of rows whose label has come by each time (m,), a step function; the standard error (m,) of the share's
    logarithm; and how many rows it was seen on.
    """

    time: Floats
    share: Floats
    error: Floats
    rows: int

    def known_share(self, age: npt.ArrayLike) -> Floats:
        """Share of rows whose label is known at each age; 0 before the first label.

        >>> delay_curve([1, 3], [9, 9]).known_share([0.0, 1.0, 2.0, 3.0]).tolist()
        [0.0, 0.5, 0.5, 1.0]
        """
        share: Floats = np.concatenate([[0.0], self.share])[self._steps(age)]
        return share

    def known_band(self, age: npt.ArrayLike, *, level: float = 0.95) -> tuple[Floats, Floats]:
        """Bounds of the known share at each age, each for itself. From 0 to 1 before the first label; none at the end.

        Source: Greenwood's variance on the scale of log(-log(share)), as Kalbfleisch & Prentice (1980), section 1.3, do.

        >>> [bound.round(2).tolist() for bound in delay_curve([1, 3] * 20, [9] * 40).known_band([2.0])]
        [[0.34], [0.64]]
        """
        step = self._steps(age)
        share, error = np.concatenate([[0.5], self.share])[step], np.concatenate([[0.0], self.error])[step]
        log = np.log(share)
        reach = normal_quantile(level) * error / np.maximum(-log, np.finfo(float).tiny)
        ends = share == 1
        low = np.where(ends, 1.0, np.exp(log * np.exp(np.where(ends, 0.0, reach))))
        high = np.where(ends, 1.0, np.exp(log * np.exp(-np.where(ends, 0.0, reach))))
        return np.where(step > 0, low, 0.0), np.where(step > 0, high, 1.0)

    def quantile(self, share: float, *, level: float = 0.95) -> Estimate:
        """The age by which this share of the labels is there; the interval is where the band crosses the share.

        >>> delay_curve([1, 2, 3] * 30, [9] * 90).quantile(0.5)
        Estimate(value=2.0, low=2.0, high=2.0, n=90)
        """
        low, high = self.known_band(self.time, level=level)
        first = [float(self.time[np.argmax(curve >= share)]) for curve in (self.share, high, low)]
        return Estimate(first[0], first[1], first[2], self.rows)

    def _steps(self, age: npt.ArrayLike) -> Indices:
        return np.searchsorted(self.time, np.asarray(age, dtype=np.float64), side="right")


def delay_curve(delay: npt.ArrayLike, age: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> DelayCurve:
    """Distribution of the delay from a log in which a row's delay is seen only when it is no longer than the row's age.

    Args:
        delay: (n,) of rows whose label is known; below 0 counts as 0.
        age: (n,) of the same rows today: the longest delay that could have been seen. Young rows so far show only short
            delays; comparing each delay with those that were possible at the time takes that out.
        weight: (n,) 1 / probability that a known row is in this sample; all 1 by default.

    Returns:
        The curve, which ends at 1: delays longer than the oldest age cannot be seen, and are not in it.

    Raises:
        ValueError: There are no rows, or a delay is longer than its age.

    Source: Lynden-Bell (1971). A step at which every row at risk falls would empty the curve below it; it is left out, as
    in Lai & Ying (1991), Annals of Statistics 19:417-442.

    >>> young_and_old = delay_curve([1, 1, 3], [2, 4, 4])
    >>> young_and_old.known_share([1, 3]).tolist()
    [0.5, 1.0]
    """
    seen = np.maximum(np.asarray(delay, dtype=np.float64), 0.0)
    limit = np.maximum(np.asarray(age, dtype=np.float64), 0.0)
    w = np.ones(len(seen)) if weight is None else np.asarray(weight, dtype=np.float64)
    if len(seen) == 0:
        raise ValueError("A delay curve needs at least one known label.")
    if (seen > limit).any():
        raise ValueError(f"{int((seen > limit).sum())} delays are longer than the age of their row.")
    time, step = np.unique(seen, return_inverse=True)
    falls = np.bincount(step, weights=w)
    at_risk = np.cumsum(falls) - _weight_below(limit, w, time)
    stays = np.where(at_risk > falls * (1 + 1e-9), 1.0 - falls / np.maximum(at_risk, falls), 1.0)
    share = np.append(np.cumprod(stays[::-1])[::-1][1:], 1.0)
    # How many rows of weight 1 tell as much as those at risk (Kish 1965).
    squares = np.cumsum(np.bincount(step, weights=w * w)) - _weight_below(limit, w * w, time)
    rows_at_risk = at_risk**2 / np.maximum(squares, np.finfo(float).tiny)
    variance = (1.0 - stays) / (stays * np.maximum(rows_at_risk, 1.0))
    error = np.sqrt(np.append(np.cumsum(variance[::-1])[::-1][1:], 0.0))
    return DelayCurve(time, share, error, len(seen))


@dataclass(frozen=True)
class DelayCurves:
    """One delay curve a class; a class without known labels has the curve of all classes together."""

    classes: tuple[DelayCurve, ...]

    @classmethod
    def fit(
        cls,
        label: npt.ArrayLike,
        delay: npt.ArrayLike,
        age: npt.ArrayLike,
        *,
        classes: int,
        weight: npt.ArrayLike | None = None,
    ) -> "DelayCurves":
        """Curves from known rows: label index 0..classes-1 (n,), delay (n,), age today (n,), weight (n,).

        Raises:
            ValueError: There are no rows, or a delay is longer than its age.

        >>> curves = DelayCurves.fit([1, 1, 0, 0], [1, 2, 9, 9], [10, 10, 10, 10], classes=2)
        >>> curves.known_share([1, 0], [1.0, 1.0]).tolist()
        [0.5, 0.0]
        """
        y = np.asarray(label)
        d, a = np.asarray(delay, dtype=np.float64), np.asarray(age, dtype=np.float64)
        w = np.ones(len(y)) if weight is None else np.asarray(weight, dtype=np.float64)
        members = [y == k for k in range(classes)]
        rows = [own if own.any() else np.ones(len(y), dtype=bool) for own in members]
        return cls(tuple(delay_curve(d[own], a[own], w[own]) for own in rows))

    def known_share(self, label: npt.ArrayLike, age: npt.ArrayLike) -> Floats:
        """Chance (n,) that a row of this class (n,) is known at this age (n,)."""
        by_class = np.column_stack([curve.known_share(age) for curve in self.classes])
        chosen: Floats = by_class[np.arange(len(by_class)), np.asarray(label, dtype=np.intp)]
        return chosen

    def survival(self, age: npt.ArrayLike) -> Floats:
        """Chance (n, k) that a row of each class is still open at this age (n,).

        At least 1 / (rows + 1): that no label came later so far does not make it impossible.

        >>> DelayCurves.fit([1, 1, 0, 0], [1, 2, 9, 9], [10, 10, 10, 10], classes=2).survival([1.0, 5.0]).round(2).tolist()
        [[1.0, 0.5], [1.0, 0.33]]
        """
        return np.column_stack(
            [np.maximum(1.0 - curve.known_share(age), 1.0 / (curve.rows + 1)) for curve in self.classes]
        )


def open_posterior(prediction: npt.ArrayLike, survival: npt.ArrayLike) -> Floats:
    """Chance (n, k) of each class for rows that are still open, by Bayes: prediction x survival, made to sum to 1.

    Args:
        prediction: (n, k) probabilities of a model; or (n,) the probability of class 1 of two.
        survival: (n, k) chance that a row of each class would still be open, above 0.

    >>> open_posterior([0.4], [[1.0, 0.1]]).round(3).tolist()
    [[0.938, 0.063]]
    """
    p = np.asarray(prediction, dtype=np.float64)
    joint = (np.column_stack([1.0 - p, p]) if p.ndim == 1 else p) * np.asarray(survival, dtype=np.float64)
    posterior: Floats = joint / joint.sum(axis=1, keepdims=True)
    return posterior


def soft_target(label: npt.ArrayLike, prediction: npt.ArrayLike, survival: npt.ArrayLike) -> Floats:
    """What each row should be fitted to (n, k): its label where known, the posterior where the label is OPEN.

    prediction - soft_target is the gradient by raw score (softmax or sigmoid) of the exact negative log-likelihood of "known
    as k" and "still open".

    >>> soft_target([1, OPEN], [0.4, 0.4], [[1.0, 1.0], [1.0, 0.1]]).round(3).tolist()
    [[0.0, 1.0], [0.938, 0.063]]
    """
    y = np.asarray(label)
    target = open_posterior(prediction, survival)
    known = np.flatnonzero(y != OPEN)
    target[known] = 0.0
    target[known, y[known]] = 1.0
    return target


def class_shares(
    label: npt.ArrayLike, survival: npt.ArrayLike, weight: npt.ArrayLike, *, rounds: int = 100
) -> Floats:
    """Shares (k,) of the classes among all rows, known and open: where a model starts that has seen no feature yet.

    EM from equal shares; stops early once no share moves by 1e-6. The start matters: at a share of 0 or 1 the posterior
    stays where it is, so a start from the biased rows known today is forgotten only slowly.

    Args:
        label: (n,) class index, or OPEN. One row at least.
        survival: (n, k) as from `DelayCurves.survival` at each row's age; read for open rows only.
        weight: (n,) 1 / probability that the row is in the sample.

    >>> class_shares([1, 1, OPEN, OPEN], [[1.0, 0.01]] * 4, np.ones(4)).round(2).tolist()
    [0.49, 0.51]
    """
    classes = np.shape(survival)[1]
    shares = np.full(classes, 1.0 / classes)
    for _ in range(rounds):
        last = shares
        target = soft_target(label, np.tile(shares, (len(np.asarray(label)), 1)), survival)
        shares = np.average(target, axis=0, weights=np.asarray(weight, dtype=np.float64))
        if np.abs(shares - last).max() < 1e-6:
            break
    return shares


class SoftRows(NamedTuple):
    """Training rows for any learner that takes weights: position in the input (m,), class (m,), weight (m,)."""

    row: Indices
    label: Indices
    weight: Floats


def soft_rows(target: npt.ArrayLike, weight: npt.ArrayLike) -> SoftRows:
    """Each row once for each class that it may be of, weighted by that chance; rows keep their total weight.

    Args:
        target: (n, k) chance of each class, as from `soft_target`.
        weight: (n,) 1 / probability that the row is in the sample.

    >>> rows = soft_rows([[0.0, 1.0], [0.75, 0.25]], [10.0, 4.0])
    >>> rows.row.tolist(), rows.label.tolist(), rows.weight.tolist()
    ([0, 1, 1], [1, 0, 1], [10.0, 3.0, 1.0])
    """
    chance = np.asarray(target, dtype=np.float64)
    row, label = np.nonzero(chance)
    return SoftRows(row, label, chance[row, label] * np.asarray(weight, dtype=np.float64)[row])


def inverse_known_weights(
    label: npt.ArrayLike, age: npt.ArrayLike, curves: DelayCurves, *, cap: float = 20.0
) -> Floats:
    """Weights (n,) that let rows whose labels came stand for all rows of their age, known and open alike: 1 / known share.

    Not above `cap`: a class that is hardly ever known at an age tells little of that age, and would drown the rest. Where
    the cap bites the figure stays biased; a gate should then judge older rows only.

    Source: Horvitz & Thompson (1952), JASA 47:663-685; Robins & Rotnitzky (1992), AIDS Epidemiology, 297-331.

    >>> curves = DelayCurves.fit([1, 1, 0, 0], [1, 2, 9, 9], [10, 10, 10, 10], classes=2)
    >>> inverse_known_weights([1, 1, 0], [1.0, 2.0, 9.0], curves).tolist()
    [2.0, 1.0, 1.0]
    """
    return 1.0 / np.maximum(curves.known_share(label, age), 1.0 / cap)


def _weight_below(value: Floats, weight: Floats, threshold: Floats) -> Floats:
    """Total weight of the values below each threshold."""
    order = np.argsort(value)
    total: Floats = np.concatenate([[0.0], np.cumsum(weight[order])])
    below: Floats = total[np.searchsorted(value[order], threshold, side="left")]
    return below
