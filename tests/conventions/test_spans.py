"""Steps of a trace go the way of every captured record: accepted, flushed, read."""

from datetime import UTC, datetime
from typing import Any

import pytest

from whorl.capture.accept import accept
from whorl.capture.flush import flush

STEP = {
    "id": "b7ad6b7169203331",
    "trace_id": "0af7651916cd43dd8448eb211c80319c",
    "parent_id": "00f067aa0ba902b7",
    "time": "2026-01-01T00:00:00Z",
    "name": "search",
    "duration_ms": 12.5,
    "status": "ok",
    "attributes": {"gen_ai.tool.name": "search", "n": 3},
}


def test_a_step_is_kept(shop: Any) -> None:
    ws = shop().ws
    assert accept(ws, "spans", [STEP]).accepted == 1
    assert ws.inbox.depth(ws.name).rows == 1
    assert flush(ws) == 1
    (row,) = ws.engine.query(f"SELECT * FROM {ws.lake.relation('spans')}").to_pylist()
    assert row["time"] == datetime(2026, 1, 1, tzinfo=UTC)
    assert row["attributes"] == '{"gen_ai.tool.name":"search","n":3}'
    kept = {name: row[name] for name in ("id", "trace_id", "parent_id", "name", "duration_ms", "status")}
    assert kept == {name: STEP[name] for name in kept}
    ws.lake.maintain()
    assert len(ws.lake.files("spans")) == 1


@pytest.mark.parametrize(
    ("wrong", "code"),
    [({"id": None}, "id"), ({"trace_id": None}, "id"), ({"time": None}, "time"), ({"status": "red"}, "shape"),
     ({"attributes": [1]}, "shape"), ({"duration_ms": "long"}, "type")],
)  # fmt: skip
def test_a_step_that_cannot_be_meant_is_refused_by_itself(
    shop: Any, wrong: dict[str, Any], code: str
) -> None:
    answer = accept(shop().ws, "spans", [{**STEP, **wrong}, STEP])
    assert (answer.accepted, [(r.index, r.code) for r in answer.refused]) == (1, [(0, code)])
