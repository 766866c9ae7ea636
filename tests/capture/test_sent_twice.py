"""What came twice: in one flush it is one row when it says the same, and two that complete each other when it does not."""

from datetime import timedelta
from typing import Any

import pytest

from whorl.capture import accept as accepting
from whorl.capture import bulk as mapping
from whorl.capture.accept import accept
from whorl.capture.flush import flush
from whorl.clock import SimulatedClock
from whorl.workspace import Workspace

ONE = {
    "transaction_id": "t1",
    "timestamp": "2025-12-31T00:00:00Z",
    "amount": 1.5,
    "user_id": "u",
    "more": {"x": [1]},
}


def at_least(monkeypatch: pytest.MonkeyPatch, many: int) -> None:
    for module in (accepting, mapping):
        monkeypatch.setattr(module, "MANY", many)


def rows(ws: Workspace, kind: Any = "predictions") -> list[dict[str, Any]]:
    return sorted(
        ws.engine.query(f"SELECT * FROM {ws.lake.relation(kind)}").to_pylist(),
        key=lambda row: (row["id"], str(row)),
    )


@pytest.mark.parametrize("many", [1, 10**9], ids=["columns", "records"])
def test_the_same_record_is_one_row(
    ws: Workspace, clock: SimulatedClock, many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_least(monkeypatch, many)
    other = {**ONE, "transaction_id": "t2"}
    for batch in ([ONE, ONE, other], [ONE], [{**ONE, "amount": None}]):
        assert accept(ws, "predictions", batch).accepted == len(batch)
        clock.advance(timedelta(seconds=1))
    assert flush(ws) == 5
    assert [(row["id"], row["f_amount"]) for row in rows(ws)] == [("t1", 1.5), ("t1", None), ("t2", 1.5)]
    assert rows(ws)[0]["extra"] == '{"more":{"x":[1]}}'


def test_an_answer_without_a_time_that_came_twice_is_one_row(ws: Workspace) -> None:
    answer = {"transaction_id": "t1", "prediction": {"fraud_probability": 0.5}}
    for _ in range(3):
        accept(ws, "predictions", [answer])
    flush(ws)
    [row] = rows(ws)
    assert row["time"] == row["received_at"]


def test_columns_and_records_in_one_flush(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    truth = {"ground_truth": {"is_fraud": True, "timestamp": "2026-01-01T00:00:00Z"}}
    for many in (1, 10**9):
        at_least(monkeypatch, many)
        accept(ws, "predictions", [{**ONE, **truth}])
        accept(ws, "feedback", [{"prediction_id": "t1", "name": "thumbs", "time": "2026-01-01T00:00:00Z"}])
    flush(ws)
    assert [len(rows(ws, kind)) for kind in ("predictions", "labels", "feedback")] == [1, 1, 1]
