"""What a replay means: worth it, not worth it, harmful, or right but not yet this way."""

from typing import Any

import pytest

from whorl.replay.sentence import sentence

BEATS = {"value": 0.1, "low": 0.05, "high": 0.15, "n": 9}
SAME = {"value": 0.0, "low": -0.1, "high": 0.1, "n": 9}
LOSES = {"value": -0.1, "low": -0.15, "high": -0.05, "n": 9}
UNDEFINED = {"value": None, "low": None, "high": None, "n": 0}


@pytest.mark.parametrize(
    ("static", "random", "every", "words"),
    [
        (BEATS, BEATS, SAME, "On this history a flywheel is worth it."),
        (SAME, BEATS, SAME, "not worth it: the model that was never retrained did as well"),
        (LOSES, BEATS, SAME, "does harm"),
        (BEATS, LOSES, SAME, "is worth it on this history, but not this way: the gates kept back 1 of 2"),
        (SAME, LOSES, SAME, "could be worth it on this history, but not this way"),
        (BEATS, LOSES, SAME, "[curate] random_share"),
        (BEATS, SAME, LOSES, "[curate] budget"),
        (UNDEFINED, SAME, SAME, "Against a model that is never retrained nothing can be said."),
    ],
)
def test_it_says_so(report: dict[str, Any], static: Any, random: Any, every: Any, words: str) -> None:
    report["comparisons"] = {"static": static, "random": random, "all": every}
    assert words in sentence(report)


def test_it_names_the_figures_and_the_price(report: dict[str, Any]) -> None:
    said = sentence(report)
    assert said.startswith("AUC of the flywheel: 0.8000 [0.7800, 0.8200].")
    assert "It used 120 labels after the first day, 13% of what 'all' used." in said
    assert "'cheap <b>'" in said
