"""Bounds of a mean of which some rows are silent: they hold whoever is silent, and are no wider than that takes."""

import numpy as np
import pytest

from whorl.stats.answering.silent_share import with_silent
from whorl.stats.intervals.estimate import Estimate
from whorl.stats.intervals.wilson import wilson


@pytest.mark.parametrize("who", ["right", "wrong", "by chance"])
def test_the_interval_holds_whoever_is_silent(who: str) -> None:
    random, held, plain = np.random.default_rng(0), 0, 0
    for _ in range(600):
        hit = random.random(300) < 0.8
        order = {"right": ~hit, "wrong": hit, "by chance": random.random(300)}[who]
        answered = hit[np.argsort(order, kind="stable")][30:]
        low, high = wilson(int(answered.sum()), len(answered))
        told = with_silent(Estimate(answered.mean(), low, high, 270), 0.1, lowest=0, greatest=1)
        held += told.low <= 0.8 <= told.high
        plain += low <= 0.8 <= high
    assert held >= 0.95 * 600
    assert (plain < 0.9 * 600) == (who != "by chance"), "the check above can fail"


def test_where_nobody_is_silent_or_rows_have_no_bounds_nothing_changes() -> None:
    found = Estimate(0.4, 0.3, 0.6, 20)
    assert with_silent(found, 0.0, lowest=0, greatest=1) == found
    assert with_silent(found, 0.1, lowest=0, greatest=np.inf) == found
    nothing = with_silent(Estimate(np.nan, np.nan, np.nan, 0), 0.1, lowest=0, greatest=1)
    assert np.isnan([nothing.value, nothing.low, nothing.high]).all()
    with pytest.raises(ValueError, match=r"does not lie in \[0, 1\]"):
        with_silent(found, 1.1, lowest=0, greatest=1)
