"""How often an event would follow under another policy, from one policy's log with its propensities.

Each row counts by how much likelier its action is under the other policy; weights are capped, and made to add up to 1.
Where rows name their action, the weights are averaged over the rows of an action: what the logging policy did at one hour
and not at the next is noise for an event that depends on the action alone, and by far the most of it where propensities
come near 0. That holds for a policy that did not learn from these very rows (they may be a sample of what it learnt from); one
that did drops actions after bad luck, and averages are then too low. A test looks for both, and where it objects the rows'
own weights are kept.

The interval is that of a weighted sum of Poisson counts, which holds for events as rare as one in a thousand, where one of
plus or minus two standard errors does not: it counts one event more than was seen, at the weight of an effective row.

Source: Hajek (1971), comment on Basu; Taufiq et al. (2023), NeurIPS 36, "Marginal density ratio for off-policy evaluation in
contextual bandits"; Fay & Feuer (1997), Statistics in Medicine 16:791-801, and Fay & Kim (2017), Biometrical Journal 59:477-495
(gamma intervals of weighted counts, mid-p); Hausman (1978), Econometrica 46:1251-1271.
"""

from math import nan, sqrt
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from whorl.stats.arrays import Floats, codes, effective_rows, weighted_mean
from whorl.stats.intervals.estimate import Estimate

CAP = 20.0
LEAST_EFFECTIVE = 100.0
MOST_UNSEEN = 0.1
_CONTRADICTS = 0.01


class OffPolicyRate(NamedTuple):
    """The rate and what it rests on.

    Args:
        estimate: The rate; nan where it is refused or undefined.
        effective_rows: How many rows of the other policy's own log tell as much.
        unseen: The share of what the other policy does that the log hardly shows, by the sum of capped weights.
        by_action: Whether weights were averaged within actions.
        refusal: Why there is no estimate; empty where there is one.
    """

    estimate: Estimate
    effective_rows: float
    unseen: float
    by_action: bool
    refusal: str = ""


def off_policy_rate(
    event: npt.ArrayLike,
    propensity: npt.ArrayLike,
    target: npt.ArrayLike,
    action: npt.ArrayLike | None = None,
    *,
    level: float = 0.95,
    cap: float = CAP,
) -> OffPolicyRate:
    """The rate of an event under the other policy.

    Args:
        event: (n,) 0 or 1: what followed the logged action.
        propensity: (n,) in (0, 1]: with which the logging policy chose it.
        target: (n,) in [0, 1]: with which the other policy would have chosen the same action there.
        action: (n,) any values: average the weights within them.
        level: Confidence, in (0, 1).
        cap: A row counts for at most this many.

    Returns:
        What the log hardly shows may have none of the events, or twice the rate: the interval is as much longer. Refused, with
        nan: fewer than 100 effective rows, or more than a tenth of what the other policy does is surely not in the
        log. No rows: nan.

    Raises:
        ValueError: Arrays that do not fit, an event that is neither 0 nor 1, a propensity of 0 or outside (0, 1], or a
            target outside [0, 1].

    >>> random = np.random.default_rng(0)
    >>> action = random.choice(2, 20_000, p=[0.8, 0.2])
    >>> click = random.random(20_000) < np.array([0.002, 0.01])[action]
    >>> told = off_policy_rate(click, np.array([0.8, 0.2])[action], np.full(20_000, 0.5), action)
    >>> told.estimate.low < 0.006 < told.estimate.high, round(told.effective_rows), told.by_action
    (True, 12800, True)
    """
    y, p, t = _checked(event, propensity, target)
    n = len(y)
    if not n:
        return OffPolicyRate(Estimate(nan, nan, nan, 0), 0.0, 1.0, False, "there are no rows")
    own = t / p
    weight, averaged = np.minimum(own, cap), False
    if action is not None:
        place = codes(action)
        if len(place) != n:
            raise ValueError(f"There are {n} events and {len(place)} actions.")
        common = np.minimum((np.bincount(place, own) / np.bincount(place))[place], cap)
        averaged = not _contradicted(y, weight, common)
        weight = common if averaged else weight
    effective, seen = effective_rows(weight), float(weight.mean())
    error = float(weight.std(ddof=1)) / sqrt(n) if n > 1 else nan
    unseen = max(0.0, 1 - seen)
    refusal = ""
    if effective < LEAST_EFFECTIVE:
        refusal = f"the log tells as much as {effective:,.0f} rows of the other policy's own: at least {LEAST_EFFECTIVE:.0f} are needed"
    elif 1 - (seen + 2 * error) > MOST_UNSEEN:
        refusal = f"{unseen:.0%} of what the other policy does is hardly ever done in the log"
    found = Estimate(nan, nan, nan, n)
    if not refusal:
        value, low, high = _rate(y, weight / weight.sum(), level)
        found = Estimate(value, low * (1 - unseen), min(high * (1 + unseen), 1.0), n)
    return OffPolicyRate(found, effective, unseen, averaged, refusal)


def _checked(
    event: npt.ArrayLike, propensity: npt.ArrayLike, target: npt.ArrayLike
) -> tuple[Floats, Floats, Floats]:
    y, p, t = (np.asarray(one, dtype=np.float64) for one in (event, propensity, target))
    if not (y.ndim == 1 and y.shape == p.shape == t.shape):
        raise ValueError(f"Events, propensities and targets do not fit: {y.shape}, {p.shape}, {t.shape}.")
    if not np.isin(y, (0.0, 1.0)).all():
        raise ValueError("An event is 0 or 1.")
    if not ((p > 0) & (p <= 1)).all():
        wrong = int((~((p > 0) & (p <= 1))).sum())
        raise ValueError(f"{wrong} propensities are not in (0, 1]: an action that was taken had a chance.")
    if not ((t >= 0) & (t <= 1)).all():
        raise ValueError("A target probability lies outside [0, 1].")
    return y, p, t


def _contradicted(event: Floats, own: Floats, common: Floats) -> bool:
    """Whether the rows' own weights give surely another rate than the averaged ones."""
    if not (own.sum() > 0 and common.sum() > 0):
        return False
    by_own, by_common = weighted_mean(event, own), weighted_mean(event, common)
    terms = own / own.sum() * (event - by_own) - common / common.sum() * (event - by_common)
    error = sqrt(float(np.dot(terms, terms)))
    return error > 0 and 2 * (1 - NormalDist().cdf(abs(by_own - by_common) / error)) < _CONTRADICTS


def _rate(event: Floats, share: Floats, level: float) -> tuple[float, float, float]:
    """Weighted rate with its mid-p gamma interval; weights add up to 1. Of the rarer outcome, which is counted."""
    value = float(np.dot(share, event))
    if value > 0.5:
        _, low, high = _rate(1 - event, share, level)
        return value, 1 - high, 1 - low
    from scipy.optimize import brentq
    from scipy.special import gammainc

    square, one = float(np.dot(share**2, event)), float(np.dot(share, share))

    def below(rate: float) -> float:
        """How much of the mid-p distribution of the rate lies below."""
        seen = gammainc(value**2 / square, rate * value / square) if square > 0 else 1.0
        mean, spread = value + one, square + one**2
        return float((seen + gammainc(mean**2 / spread, rate * mean / spread)) / 2)

    tail = (1 - level) / 2
    low = brentq(lambda rate: below(rate) - tail, 0.0, 1.0, xtol=1e-12) if square > 0 else 0.0
    high = brentq(lambda rate: below(rate) - 1 + tail, 0.0, 1.0, xtol=1e-12) if below(1.0) > 1 - tail else 1.0
    return value, low, high
