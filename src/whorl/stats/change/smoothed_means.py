"""Means of one period after another from a few labels each: what a period's labels say, and what the periods before expect.

A row's value (a hit, a loss) is regressed on what is known of every row (the confidence, say). The level of that regression
moves from period to period around a mean, its slopes wander; how fast is not known, so a bank of such models runs side by
side, and each counts by how well it foretold the labels, lately most. So a steady stream is averaged over its past, a jumping
one is judged by its own labels, and a confidence that has lost its worth is corrected by the labels that contradict it.

Source: West & Harrison (1997), Bayesian Forecasting and Dynamic Models, ch. 4 (the filter); Raftery, Karny & Ettler (2010),
Technometrics 52:52-66 (averaging over models with forgetting); Royall (1970), Biometrika 57:377-387 (the finite population).
"""

from collections.abc import Sequence
from itertools import product
from math import inf, nan, sqrt
from typing import NamedTuple

import numpy as np

from whorl.stats.arrays import Floats, weighted_mean
from whorl.stats.intervals.estimate import Estimate, normal_quantile

# How much of a period's departure from the mean is left in the next one, and the variance of its step as a share of
# one row's: steps from 4 % to 40 % of a row's standard deviation. Slower ones would lag behind a slow decay and be sure of it.
_KEEPS = (0.0, 0.5, 0.8, 0.95, 1.0)
_STEPS = (0.0015, 0.005, 0.015, 0.05, 0.15)
_FORGETS = 0.9


class PeriodRows(NamedTuple):
    """One period: its labelled rows, and what is known of those without a label.

    Args:
        value: (n,) of the labelled rows; n may be 0.
        known: (n, k) regressors of the labelled rows, k the same in all periods, of about unit size and centred.
        weight: (n,) positive: 1 / the chance of having been labelled.
        rest: How many rows of the period have no label.
        rest_known: (k,) the mean of their regressors.
    """

    value: Floats
    known: Floats
    weight: Floats
    rest: int
    rest_known: Floats


def smoothed_means(
    periods: Sequence[PeriodRows], *, level: float = 0.95, lowest: float = -inf, greatest: float = inf
) -> list[Estimate]:
    """The mean value over all rows of each period, labelled or not, from its labels and those of the periods before.

    Args:
        periods: Oldest first. A first one with many labels is a reference that the others lean on.
        level: Confidence, in (0, 1).
        lowest: Least value possible; `greatest`: greatest.

    Returns:
        One estimate a period, `n` its labelled rows; nan until two rows have been labelled, and for a period without rows.

    Raises:
        ValueError: Regressors differ in number, a value or regressor is nan, or a weight is not positive and finite.

    >>> random = np.random.default_rng(0)
    >>> def period(share, labelled=25, rows=500):
    ...     hits = (random.random(labelled) < share).astype(float)
    ...     return PeriodRows(hits, np.zeros((labelled, 1)), np.ones(labelled), rows - labelled, np.zeros(1))
    >>> [round(one.value, 2) for one in smoothed_means([period(0.9) for _ in range(4)] + [period(0.5)])]
    [0.92, 0.9, 0.89, 0.79, 0.57]
    """
    quantile, found = normal_quantile(level), list[Estimate]()
    bank: _Bank | None = None
    spread = _Spread()
    for period in periods:
        _check(period, periods[0].known.shape[1])
        labelled, rows = len(period.value), len(period.value) + period.rest
        spread = spread.with_rows(period.value)
        if bank is None and spread.rows > 1:
            bank = _Bank.before(
                weighted_mean(period.value, period.weight), spread.variance, period.known.shape[1]
            )
        if bank is None or not rows:
            found.append(Estimate(nan, nan, nan, labelled))
            continue
        bank = bank.moved().learnt(period, spread.variance)
        value, error = bank.mean_of(period, spread.variance)
        low, high = value - quantile * error, value + quantile * error
        value, low, high = (float(np.clip(x, lowest, greatest)) for x in (value, low, high))
        found.append(Estimate(value, low, high, labelled))
    return found


class _Spread(NamedTuple):
    """The variance of a row's value about its period's mean, pooled over periods, the last ones most; of `rows` labels."""

    squares: float = 0.0
    freedom: float = 0.0
    rows: int = 0

    def with_rows(self, value: Floats) -> "_Spread":
        squares = float(((value - value.mean()) ** 2).sum()) if len(value) else 0.0
        return _Spread(
            _FORGETS * self.squares + squares,
            _FORGETS * self.freedom + max(len(value) - 1, 0),
            self.rows + len(value),
        )

    @property
    def variance(self) -> float:
        """Half a row of either kind is added: values that were all alike so far may still vary."""
        return (self.squares + 0.25) / (self.freedom + 1.0)


class _Bank(NamedTuple):
    """Models side by side (j,): mean (j, s) and covariance (j, s, s) of each one's state, and its log evidence (j,).

    The state: long-run mean, the period's departure from it, slopes of the regressors.
    """

    mean: Floats
    covariance: Floats
    evidence: Floats
    keeps: Floats
    step: Floats

    @classmethod
    def before(cls, mean: float, variance: float, regressors: int) -> "_Bank":
        """Before the first label: as vague as one row's value about the mean, and slopes half as much."""
        keeps, shares = np.array(list(product(_KEEPS, _STEPS))).T
        step, size = shares * variance, 2 + regressors
        covariance = np.zeros((len(keeps), size, size))
        covariance[:, 0, 0] = variance
        covariance[:, range(2, size), range(2, size)] = variance / 4
        state = np.zeros((len(keeps), size))
        state[:, 0] = mean
        return cls(state, covariance, np.zeros(len(keeps)), keeps, step)

    def moved(self) -> "_Bank":
        """One period later, before its labels."""
        mean, covariance = self.mean.copy(), self.covariance.copy()
        mean[:, 1] *= self.keeps
        covariance[:, 1, :] *= self.keeps[:, None]
        covariance[:, :, 1] *= self.keeps[:, None]
        wander = range(1, mean.shape[1])
        covariance[:, wander, wander] += self.step[:, None]
        return self._replace(mean=mean, covariance=covariance, evidence=_FORGETS * self.evidence)

    def learnt(self, period: PeriodRows, variance: float) -> "_Bank":
        """After the period's labels: Kalman's update in information form, and how likely each model found them."""
        if not len(period.value):
            return self
        rows = _with_constants(period.known)
        precision = period.weight / period.weight.mean() / variance
        told = (rows * precision[:, None]).T @ rows
        before = np.linalg.inv(self.covariance)
        after = np.linalg.inv(before + told)
        error = period.value - self.mean @ rows.T
        pull = (error * precision) @ rows
        gain = np.einsum("jab,jb->ja", after, pull)
        surprise = (error**2 * precision).sum(axis=1) - np.einsum("ja,ja->j", pull, gain)
        volume = np.linalg.slogdet(self.covariance)[1] - np.linalg.slogdet(after)[1]
        return self._replace(
            mean=self.mean + gain, covariance=after, evidence=self.evidence - (surprise + volume) / 2
        )

    def mean_of(self, period: PeriodRows, variance: float) -> tuple[float, float]:
        """The period's mean and its standard error: labelled rows as they are, the rest as the models expect them."""
        rows = len(period.value) + period.rest
        at = _with_constants(period.rest_known[None, :])[0]
        rest = period.rest / rows
        value = float(period.value.sum()) / rows + rest * (self.mean @ at)
        square = rest**2 * np.einsum("a,jab,b->j", at, self.covariance, at) + period.rest * variance / rows**2
        share = np.exp(self.evidence - self.evidence.max())
        share /= share.sum()
        mean = float(share @ value)
        return mean, sqrt(float(share @ (square + (value - mean) ** 2)))


def _with_constants(known: Floats) -> Floats:
    return np.column_stack([np.ones((len(known), 2)), known])


def _check(period: PeriodRows, regressors: int) -> None:
    n = len(period.value)
    if (
        period.known.shape != (n, regressors)
        or period.rest_known.shape != (regressors,)
        or len(period.weight) != n
    ):
        raise ValueError(
            f"Values {period.value.shape}, regressors {period.known.shape} and {period.rest_known.shape} and weights "
            f"{period.weight.shape} do not fit {regressors} regressors."
        )
    if not (np.isfinite(period.weight).all() and (period.weight > 0).all()):
        raise ValueError("Weights have to be positive and finite.")
    used = [period.value, period.known, *([period.rest_known] if period.rest else [])]
    if not all(np.isfinite(one).all() for one in used):
        raise ValueError("A value or regressor is not finite. Leave those rows out, and count them.")
