"""minimum, calibrated, golden, cost, latency and a function of one's own: each on both sides of its bound."""

import msgspec
import numpy as np
import pytest
from trials import answers, check, coin, rows_of, trial

from shop import shop_spec
from whorl.evaluate.gates import Trial
from whorl.records import Check
from whorl.stats.metrics.metric import Metric

N = 600
TRUTH = coin(N)
FAIR = answers(TRUTH, 0.8, 1)
REGRESSION = shop_spec(head='task = "regression"')


@pytest.mark.parametrize(("value", "decision", "word"), [
    (0.7, "promote", "reaches"), (0.8, "hold", "cannot be told from"), (0.9, "reject", "misses"),
])  # fmt: skip
def test_minimum_of_a_figure_that_wants_to_be_great(value: float, decision: str, word: str) -> None:
    found = check(trial(TRUTH, FAIR), "minimum", metric="accuracy", value=value)
    assert (found.decision, found.value) == (decision, pytest.approx(0.8, abs=0.04))
    assert found.message.startswith(f"accuracy +{found.value:.4f} [")
    assert found.message.endswith(f"{word} {value:g}")


@pytest.mark.parametrize(("value", "decision"), [(1.3, "promote"), (1.0, "hold"), (0.7, "reject")])
def test_minimum_of_a_figure_that_wants_to_be_small(value: float, decision: str) -> None:
    truth = np.zeros(400)
    said = np.random.default_rng(0).choice([-1.5, -0.5, 0.5, 1.5], 400)
    found = check(trial(truth, said, spec=REGRESSION), "minimum", metric="mae", value=value)
    assert (found.decision, found.value) == (decision, pytest.approx(1.0, abs=0.06))


def test_minimum_asks_no_champion_and_enough_rows() -> None:
    found = check(trial(TRUTH[:20], FAIR[:20]), "minimum", metric="accuracy", value=0.1)
    assert (found.decision, found.rows_needed) == ("hold", 80)


def test_calibrated() -> None:
    random = np.random.default_rng(0)
    said = random.uniform(0.05, 0.95, 2000)
    truth = (random.random(2000) < said).astype(np.float64)
    good = check(trial(truth, said), "calibrated", value=0.03)
    assert good.decision == "promote"
    assert "is not shown to exceed 0.03" in good.message
    overconfident = np.clip(0.5 + 2 * (said - 0.5), 0.001, 0.999)
    bad = check(trial(truth, overconfident), "calibrated")
    assert bad.decision == "reject"
    assert "exceeds 0.05" in bad.message
    assert bad.low is not None
    assert bad.low > 0.05
    assert check(trial(truth[:50], said[:50]), "calibrated").decision == "hold"


def on_golden(truth: object, challenger: object, champion: object = None, **given: object) -> Trial:
    asked = trial(truth, challenger, champion, **given)  # type: ignore[arg-type]
    return trial(
        [1.0], [1.0], golden=lambda name: asked if name == "sacred" else None, spec=given.get("spec")
    )  # type: ignore[arg-type]


def test_golden_rows_are_all_answered_right_or_else() -> None:
    right = check(on_golden([1, 0, 1], [0.9, 0.4, 0.5]), "golden", dataset="sacred")
    assert (right.decision, right.rows, right.value) == ("promote", 3, 0)
    wrong = check(on_golden([1, 0, 1], [0.9, 0.6, 0.2]), "golden", dataset="sacred")
    assert (wrong.decision, wrong.value) == ("reject", 2)
    assert wrong.message == "2 of 3 golden rows wrong, such as r1, r2"


def test_golden_numbers_are_right_within_the_tolerance() -> None:
    asked = on_golden([10.0, 20.0], [10.4, 19.0], spec=REGRESSION)
    assert check(asked, "golden", dataset="sacred", value=1.0).decision == "promote"
    assert check(asked, "golden", dataset="sacred", value=0.9).value == 1


def test_golden_classes() -> None:
    rows = rows_of([0, 2], classes=("a", "b", "c"))
    said = [[0.6, 0.3, 0.1], [0.1, 0.5, 0.4]]
    found = check(on_golden([0, 2], said, rows=rows), "golden", dataset="sacred")
    assert (found.decision, found.message) == ("reject", "1 of 2 golden rows wrong, such as r1")


def test_golden_with_a_metric_compares_with_the_champion() -> None:
    good, bad = answers(TRUTH, 0.9, 1), answers(TRUTH, 0.6, 2)
    for challenger, champion, decision in ((good, bad, "promote"), (bad, good, "reject")):
        asked = on_golden(TRUTH, challenger, champion)
        found = check(asked, "golden", dataset="sacred", metric="accuracy", margin=0.05)
        assert (found.check, found.decision, found.rows) == ("golden", decision, N)


def test_before_there_is_a_golden_set_it_cannot_object() -> None:
    found = check(trial([1.0], [1.0]), "golden", dataset="sacred")
    assert (found.decision, found.rows) == ("promote", 0)
    assert check(on_golden([], []), "golden", dataset="sacred").decision == "hold"


@pytest.mark.parametrize(
    ("gate", "field", "unit"), [("cost", "cost_usd", "USD a call"), ("latency", "latency_ms", "ms")]
)
def test_cost_and_latency(gate: str, field: str, unit: str) -> None:
    for found_value, decision, word in (
        (0.5, "promote", "within"),
        (1.0, "promote", "within"),
        (1.5, "reject", "above"),
    ):
        found = check(trial([1.0], [1.0], **{field: found_value}), gate, value=1.0)
        assert (found.check, found.decision, found.value) == (gate, decision, found_value)
        assert found.message == f"{found_value:g} {unit}, {word} 1"
    unknown = check(trial([1.0], [1.0]), gate, value=1.0)
    assert (unknown.decision, unknown.message) == ("hold", f"no {gate} is known for the challenger")


def test_a_function_of_ones_own_gets_the_trial() -> None:
    def own(name: str, asked: Trial) -> Check:
        return Check(check=name, decision="reject", message=f"{len(asked.rows)} rows")

    found = check(trial(TRUTH, FAIR, own=own), "function", function="shop_gates:no_fridays")
    assert (found.check, found.decision, found.message) == ("shop_gates:no_fridays", "reject", f"{N} rows")


def test_a_metric_of_ones_own_in_either_direction() -> None:
    def money(truth: object, said: object, weight: object = None) -> float:
        gain = np.where(np.asarray(said) >= 0.5, np.where(np.asarray(truth) == 1, 10.0, -4.0), 0.0)
        return float(np.average(gain, weights=weight))  # type: ignore[arg-type]

    bad = answers(TRUTH, 0.55, 3)
    for greater, decision in ((True, "promote"), (False, "reject")):
        asked = trial(TRUTH, FAIR, bad)
        asked = msgspec.structs.replace(
            asked, metric=lambda _, greater=greater: Metric("money", money, greater)
        )
        assert check(asked, "better", metric="shop:money").decision == decision
