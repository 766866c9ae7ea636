"""How much of the truth is known, by age, and how late it came, by class."""

import json
from pathlib import Path

import numpy as np
import pytest
from joined import story


def test_shares_and_delays(tmp_path: Path) -> None:
    delays = [1.0, 2.0, 4.0, 9.0]
    with story(tmp_path) as told:
        for number, delay in enumerate(delays):
            told.prediction(f"a{number}", number)
            told.label(f"a{number}", True, at=number + delay)
        told.prediction("b", 5)
        told.label("b", False, at=4)
        told.prediction("hidden", 19.5, action="blocked")
        told.prediction("open", 19.5)
        told.prediction("future", 25, received=1)
        found = told.as_of(20).coverage()
    assert json.loads(json.dumps(found)) == found
    assert (found["predictions"], found["known"], found["open"], found["censored"]) == (8, 5, 2, 1)
    assert found["known_share"] == 5 / 8
    by_age = {bucket["from_days"]: bucket for bucket in found["by_age"]}
    assert (by_age[0]["predictions"], by_age[0]["share"]) == (3, 0.0)  # What is dated ahead counts as new.
    assert (by_age[14]["predictions"], by_age[14]["share"]) == (5, 1.0)
    assert by_age[3]["share"] is None
    assert by_age[3]["reason"] == "No prediction is this old."
    positive = found["delays"]["true"]
    assert [positive[q] for q in ("p10", "p50", "p90")] == pytest.approx(np.quantile(delays, [0.1, 0.5, 0.9]))
    assert (positive["labels"], positive["max"]) == (4, 9.0)
    assert found["delays"]["false"]["max"] == -1.0


def test_nothing_is_not_zero(tmp_path: Path) -> None:
    with story(tmp_path) as told:
        found = told.as_of(1).coverage()
    assert found["known_share"] is None
    assert found["reason"] == "There are no predictions."
    assert found["delays"] == {
        "all": {
            "labels": 0,
            "p10": None,
            "p50": None,
            "p90": None,
            "max": None,
            "within": [],
            "reason": "No label came yet.",
        }
    }


def test_a_default_is_not_a_delay(tmp_path: Path) -> None:
    with story(tmp_path, 'default_after = { value = false, after = "3d" }') as told:
        told.prediction("a", 0)
        found = told.as_of(10).coverage()
    assert (found["defaulted"], found["known"], found["delays"]["all"]["labels"]) == (1, 0, 0)
