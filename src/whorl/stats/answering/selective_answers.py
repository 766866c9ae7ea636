"""The mean of a value when only some rows answer: plain where answers come at random, weighted where not, refused where neither.

Answers that do not come at random are weighted by the chance of coming (`answering.py`, or the known one) and corrected by what
a model expects of silent rows (`doubly_robust.py`). That fails where kinds of rows hardly ever answer, where the answers that
count are too few, and where answering goes by the truth itself. The last can be seen only beside rows that were asked at random.
"""

from math import sqrt
from statistics import NormalDist
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from whorl.stats.answering.answering import Learner, who_answers
from whorl.stats.answering.doubly_robust import doubly_robust
from whorl.stats.arrays import Floats, effective_rows
from whorl.stats.intervals.estimate import Estimate
from whorl.stats.linear import mean_linear, variance

# Answering is taken not to be at random below this p-value; fewer answers or silent rows than this cannot tell.
NOT_RANDOM = 0.01
LEAST_ROWS = 50
# A chance below this part of the mean one counts as it; more than MOST_SELDOM of the rows below it is no overlap.
SELDOM = 1 / 20
MOST_SELDOM = 0.05
LEAST_EFFECTIVE = 30.0
GOES_BY_TRUTH = 0.01
_LEAST_ASKED = 10

Refusal: TypeAlias = Literal["", "overlap", "effective", "truth"]


class Selective(NamedTuple):
    """How answers come, and what follows for each row.

    Args:
        chance: (n,) of answering, at least SELDOM of the mean one; 1 of every row where answers come at random.
        p_value: Of answering at random, given age; nan where the chances are known.
        weighted: Whether rows are to be weighted by 1 / chance.
        effective: How many equally weighted answers tell as much.
        seldom: The share of rows whose chance is below that, of those old enough by age alone.
        refusal: Why weighting cannot help; empty where it can, or need not.
    """

    chance: Floats
    p_value: float
    weighted: bool
    effective: float
    seldom: float
    refusal: Refusal


def selective_answers(
    answered: npt.ArrayLike,
    columns: npt.ArrayLike,
    age: npt.ArrayLike,
    directions: npt.ArrayLike,
    *,
    known_chance: npt.ArrayLike | None = None,
    learners: tuple[Learner, ...] = (),
    seed: int = 0,
) -> Selective:
    """Whether answers come at random, and if not, with what chance each row's did.

    Args as `who_answers`; `known_chance` (n,) in (0, 1] where it was recorded: then nothing is modelled or tested.

    Raises:
        ValueError: Arrays that do not fit; a known chance outside (0, 1].

    >>> random = np.random.default_rng(1)
    >>> score = random.random(3000)
    >>> told = selective_answers(random.random(3000) < 0.1 + 0.8 * score, score[:, None], np.zeros(3000), score[:, None])
    >>> told.weighted, told.refusal, 1000 < told.effective < 1500
    (True, '', True)
    """
    a = np.asarray(answered, dtype=np.bool_)
    even = Selective(np.ones(len(a)), 1.0, False, float(a.sum()), 0.0, "")
    if known_chance is not None:
        chance, p = np.asarray(known_chance, dtype=np.float64), float("nan")
        by_age = np.ones(len(a))
        if chance.shape != a.shape or not ((chance > 0) & (chance <= 1)).all():
            raise ValueError("Known chances of answering have to lie in (0, 1], one for each row.")
    elif min(a.sum(), (~a).sum()) < LEAST_ROWS:
        return even
    else:
        found = who_answers(a, columns, age, directions, learners=learners, seed=seed)
        chance, by_age, p = found.chance, found.by_age, found.p_value
        if p >= NOT_RANDOM:
            return even._replace(p_value=p)
    least = SELDOM * float(a.mean()) if len(a) else 0.0
    # Rows too young to have answered, or of an age nobody answered at, are another matter than kinds of rows that do not.
    of_age = by_age >= least
    seldom = float((chance < least)[of_age].mean()) if of_age.any() else 0.0
    chance = np.maximum(chance, least)
    effective = effective_rows(1 / chance[a])
    refusal: Refusal = (
        "overlap" if seldom > MOST_SELDOM else "effective" if effective < LEAST_EFFECTIVE else ""
    )
    return Selective(chance, p, True, effective, seldom, refusal)


def goes_by_truth(
    value: npt.ArrayLike, answered: npt.ArrayLike, how: Selective, known: npt.ArrayLike, weight: npt.ArrayLike
) -> float:
    """p-value that, given its chance, whether a row answers does not go by its value: seen on silent rows that were asked.

    What silent rows that were asked at random say is compared with what the rows that answered by themselves, weighted by
    their odds of being silent, say of silent rows; both after what a line through the known regressors expects.

    Args:
        value: (n, d) of the rows that answered or were asked; nan in the others.
        answered: (n,) bool: by themselves.
        how: From `selective_answers`, of the same rows.
        known: (n, k) regressors.
        weight: (n,) 1 / the chance of having been asked; read for rows that were.

    Returns:
        The least of the columns' p-values, times d; 1 with fewer than 10 asked rows that were silent.

    Source: Hirano, Imbens, Ridder & Rubin (2001), Econometrica 69:1645-1659: a refreshment sample tests that answers are missing
    at random.

    >>> random = np.random.default_rng(0)
    >>> right, asked = random.random(2000) < 0.8, random.random(2000) < 0.1
    >>> complains = random.random(2000) < np.where(right, 0.2, 0.6)
    >>> value = np.where(complains | asked, right, np.nan)[:, None]
    >>> even = Selective(np.full(2000, complains.mean()), 1.0, False, 560.0, 0.0, "")
    >>> goes_by_truth(value, complains, even, np.zeros((2000, 0)), np.full(2000, 10.0)) < 0.001
    True
    """
    v, a = np.asarray(value, dtype=np.float64), np.asarray(answered, dtype=np.bool_)
    x, w = np.asarray(known, dtype=np.float64), np.asarray(weight, dtype=np.float64)
    asked = ~a & ~np.isnan(v).any(axis=1)
    if asked.sum() < _LEAST_ASKED or a.sum() < _LEAST_ASKED:
        return 1.0
    odds = 1 / how.chance[a] - 1 if how.weighted else np.ones(int(a.sum()))
    rows = np.column_stack([np.ones(len(v)), x])
    p_value = 1.0
    for column in v.T:
        curvature = (rows[a] * odds[:, None]).T @ rows[a]
        line = np.linalg.lstsq(curvature, (rows[a] * odds[:, None]).T @ column[a], rcond=None)[0]
        off = column - rows @ line
        ours = mean_linear(off[asked], w[asked])
        theirs = mean_linear(off[a], odds)
        error = sqrt(variance(ours.terms) + variance(theirs.terms))
        if error > 0:
            p_value = min(p_value, 2 * (1 - NormalDist().cdf(abs(ours.value - theirs.value) / error)))
    adjusted: float = min(1.0, v.shape[1] * p_value)
    return adjusted


def answered_mean(
    value: npt.ArrayLike,
    known: npt.ArrayLike,
    how: Selective,
    *,
    p_truth: float = 1.0,
    level: float = 0.95,
    share: bool = False,
) -> tuple[Estimate, Refusal]:
    """The mean over all rows of a value that answers tell, and why it is refused (then nan).

    Args:
        value: (n,); nan where the row did not answer.
        known: (n, k) as in `doubly_robust`.
        how: From `selective_answers`, of the same rows.
        p_truth: From `goes_by_truth`.
        level: Confidence, in (0, 1).
        share: Values lie in [0, 1].

    >>> told, _ = answered_mean([1.0, 0.0, 1.0, np.nan], np.zeros((4, 1)), Selective(np.ones(4), 1.0, False, 3.0, 0.0, ""))
    >>> round(told.value, 3), told.n
    (0.667, 3)
    """
    v = np.asarray(value, dtype=np.float64)
    undefined = Estimate(float("nan"), float("nan"), float("nan"), int((~np.isnan(v)).sum()))
    refusal: Refusal = how.refusal or ("truth" if p_truth < GOES_BY_TRUTH else "")
    if refusal:
        return undefined, refusal
    x = np.asarray(known, dtype=np.float64) if how.weighted else np.empty((len(v), 0))
    return doubly_robust(v, how.chance, x, level=level, share=share), ""
