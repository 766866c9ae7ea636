"""Which of two sets of training rows teaches more? The luck of the rows that were drawn counts, not only that of the judging ones.

Models fitted on two samples of the very same source differ on any holdout, and the holdout's own standard error knows
nothing of it: with 5,000 rows to judge and 100 to learn from, one look in five would find a difference. What that luck
amounts to is measured: the rows of both sets are dealt anew into two sets of the same sizes, again and again, and two models
are fitted each time. Its variance and that of the holdout, clustered by group, add up.

Source: Fisher (1935), "The Design of Experiments", ch. 2, for the randomisation; Student's quantile because the variance is
itself estimated, from few deals. Half samples and the bootstrap were tried: fewer distinct rows have more luck, and their
standard errors were 1.8 times the true one.
"""

from collections.abc import Callable
from math import sqrt

import numpy as np
import numpy.typing as npt

from whorl.stats.arrays import Floats, Indices
from whorl.stats.intervals.estimate import Estimate, from_standard_error, student_quantile
from whorl.stats.linear import mean_linear, variance

DEALS = 19


def taught_difference(
    losses: Callable[[Indices], Floats],
    one: Indices,
    other: Indices,
    *,
    level: float,
    weight: npt.ArrayLike | None = None,
    group: npt.NDArray[np.intp] | None = None,
    seed: int = 0,
    deals: int = DEALS,
) -> Estimate:
    """The mean loss after the rows `other` less that after the rows `one`: above 0 where `one` teaches more.

    Args:
        losses: Fits a model on these training rows and gives its loss (m,) on each holdout row.
        one: Training rows, (a,); `other`: (b,), none of them in both.
        level: Of the interval, two-sided.
        weight: (m,) of the holdout rows; None: all 1.
        group: (m,) whole numbers; holdout rows of one group are not independent. None: each is its own.
        deals: How often the rows are dealt anew; two models each.

    Returns:
        n is the number of holdout rows; all nan where their weights add up to 0.

    Raises:
        ValueError: A set is empty, or fewer than two deals are asked for.

    >>> x = np.random.default_rng(0).normal(size=400)
    >>> mean = lambda rows: (x[rows].mean() - np.zeros(50)) ** 2
    >>> lead = taught_difference(mean, np.arange(200), np.arange(200, 400), level=0.95)
    >>> lead.low < 0 < lead.high, lead.n
    (True, 50)
    """
    if min(len(one), len(other)) < 1 or deals < 2:
        raise ValueError(f"{len(one)} and {len(other)} rows, dealt {deals} times: 1, 1 and 2 are the least.")
    gain = losses(other) - losses(one)
    w = np.ones(len(gain)) if weight is None else np.asarray(weight, dtype=np.float64)
    mean = mean_linear(gain, w)
    random, every, luck = np.random.default_rng(seed), np.concatenate([one, other]), np.empty(deals)
    for deal in range(deals):
        dealt = random.permutation(every)
        luck[deal] = mean_linear(losses(dealt[len(one) :]) - losses(dealt[: len(one)]), w).value
    # Dealt at random neither set teaches more: the mean of their difference is known to be 0.
    error = sqrt(float(np.mean(luck**2)) + variance(mean.terms, group))
    return from_standard_error(mean.value, error, len(gain), quantile=student_quantile(level, deals + 1))
