"""Only an answer that came without a time gets that of its receipt; a record with inputs keeps the time that it said."""

from datetime import timedelta

import pytest

from whorl.capture.accept import accept
from whorl.capture.flush import flush
from whorl.clock import SimulatedClock
from whorl.workspace import Workspace


@pytest.mark.parametrize("many", [False, True])
def test_a_time_that_is_that_of_acceptance_is_kept_where_there_are_inputs(
    ws: Workspace, clock: SimulatedClock, many: bool
) -> None:
    said = clock.now()
    records = [
        {"transaction_id": "whole", "timestamp": said.isoformat(), "amount": 3.5},
        {"transaction_id": "answer", "prediction": {"fraud_probability": 0.5}},
    ]
    for one in [records] if many else [[record] for record in records]:
        accept(ws, "predictions", one)
    received = clock.advance(timedelta(minutes=5))
    flush(ws)
    found = ws.engine.query(
        f"SELECT id, time, received_at FROM {ws.lake.relation('predictions')}"
    ).to_pylist()
    assert {row["id"]: row["time"] for row in found} == {"whole": said, "answer": received}
    assert {row["received_at"] for row in found} == {received}
