"""Where no news is good news, what is known of young rows is bad news only: a healthy model raises nothing, however it is looked at."""

from collections.abc import Callable

import numpy as np
import pytest

from shop import Shop
from whorl.monitor.insights.insights import insights
from whorl.monitor.watch import watch

Open = Callable[..., Shop]
WAITS = {
    "default_after": 'default_after = { value = false, after = "10d" }',
    "lag": 'lag = "10d"',
}


@pytest.mark.parametrize("waits", WAITS)
def test_a_healthy_model_raises_nothing(shop: Open, waits: str) -> None:
    """Frauds, 5 %, half of them missed, are reported within days; that a payment was genuine shows after ten."""
    one = shop(
        f'[labels]\n{WAITS[waits]}\n[monitor]\nmetric = "accuracy"\ndrift = false\ncooldown = "1h"\nthreshold = 0.9'
    )
    random = np.random.default_rng(0)
    for week in range(4):
        n = 1_200
        ids, at = [f"w{week}-{i:04d}" for i in range(n)], np.sort(7 * week + random.uniform(0.01, 6.9, n))
        fraud = random.random(n) < 0.05
        said = random.random(n) < np.where(fraud, 0.5, 0.005)
        one.predicts(ids, at, split="holdout", score=np.where(said, 0.8, 0.2), amount=random.normal(size=n))
        known = at + np.where(fraud, random.exponential(2, n), 10.0)
        came = fraud | (waits == "lag")
        one.learns(
            [ids[i] for i in np.flatnonzero(came)], fraud[came].tolist(), known[came], received=known[came]
        )
    raised = [(day, found.kind) for day in range(3, 40, 3) for found in watch(one.ws, one.until(day + 0.5))]
    assert raised == []
    found = insights(one.ws, one.day(14), since=one.day(7))
    assert found.rows == pytest.approx(1_200 * 4 / 7, abs=60), "those that are older than ten days"
    assert found.why is not None
    assert found.why.recent_rows == 0
