"""What a second record, a failed cycle, or a changed spec leaves behind: no false leak, no row twice, the same old rows."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from whorl.capture.accept import accept
from whorl.capture.flush import flush
from whorl.clock import SimulatedClock
from whorl.cycle import start, turn
from whorl.datasets.build import rebuild, rows_of
from whorl.errors import TooFewRows
from whorl.flywheel import Flywheel
from whorl.spec import parse_spec
from whorl.workspace import open_workspace

SPEC = """
name = "fraud"
task = "binary"
automation = "full"
[schema]
group = "user"
[schema.features]
amount = "float"
{features}
[labels]
{labels}
[curate]
holdout_share = 0.3
[evaluate]
gates = []
"""
BEGAN = datetime(2025, 1, 1, tzinfo=UTC)


def payments(n: int) -> list[dict[str, Any]]:
    times = [BEGAN + timedelta(minutes=i) for i in range(n)]
    return [
        {"id": f"t{i}", "time": time.isoformat(), "user": f"u{i % 50}", "amount": float(i * 7 % 13)}
        for i, time in enumerate(times)
    ]


def labels(n: int, first: int = 0) -> list[dict[str, Any]]:
    known = (BEGAN + timedelta(days=1)).isoformat()
    return [
        {"prediction_id": f"t{i}", "value": i * 7 % 13 + i % 5 > 8, "time": known} for i in range(first, n)
    ]


def test_no_leak_is_seen_where_none_is(tmp_path: Path) -> None:
    spec = parse_spec(SPEC.format(features="", labels=""))
    with open_workspace(spec, tmp_path, clock=SimulatedClock(BEGAN + timedelta(days=2)), mirror=False) as ws:
        accept(ws, "predictions", payments(400))
        accept(ws, "predictions", [{"id": f"t{i}", "score": i % 10 / 10} for i in range(400)])
        accept(ws, "labels", labels(400))
        assert turn(ws, start(ws, "manual")).state == "finished"


def test_what_a_failed_cycle_had_listed_as_open_is_not_there_twice(tmp_path: Path) -> None:

    clock = SimulatedClock(BEGAN + timedelta(days=2))
    spec = parse_spec(SPEC.format(features="", labels='delay = "survival"'))
    with open_workspace(spec, tmp_path, clock=clock, mirror=False) as ws:
        accept(ws, "predictions", payments(600))
        with pytest.raises(TooFewRows):
            turn(ws, start(ws, "manual"))
        clock.advance(timedelta(days=1))
        accept(ws, "labels", labels(400))
        assert turn(ws, start(ws, "manual")).state == "finished"
        rows = rows_of(ws, "training@1").to_pylist()
    assert len({row["id"] for row in rows}) == len(rows)
    assert all((row["role"] == "open") == (int(row["id"][1:]) >= 400) for row in rows)


def test_an_old_version_is_rebuilt_when_its_feature_is_gone(tmp_path: Path) -> None:

    clock = SimulatedClock(BEGAN + timedelta(days=2))
    before = parse_spec(SPEC.format(features='place = "category"', labels=""))
    with open_workspace(before, tmp_path, clock=clock, mirror=False) as ws:
        accept(ws, "predictions", [{**one, "place": "north"} for one in payments(300)])
        accept(ws, "labels", labels(300))
        made = turn(ws, start(ws, "manual")).dataset
    assert made is not None
    after = parse_spec(SPEC.format(features="", labels=""))
    with open_workspace(after, tmp_path, clock=clock, mirror=False) as ws:
        assert rebuild(ws, "training@1") == made.content_hash


def test_a_group_that_is_asked_about_here_stays_on_its_side(tmp_path: Path) -> None:
    spec = parse_spec(SPEC.format(features="", labels=""))
    with open_workspace(spec, tmp_path, clock=SimulatedClock(BEGAN + timedelta(days=2)), mirror=False) as ws:
        accept(ws, "predictions", payments(400))
        accept(ws, "labels", labels(400))
        turn(ws, start(ws, "manual"))
        for i in range(20):
            Flywheel(ws).predict({"amount": 1.0, "user": "u1"}, id=f"a{i}")
            Flywheel(ws).predict({"amount": 1.0}, id=f"b{i}", group="u1")
        flush(ws)
        found = ws.engine.query(
            f"SELECT DISTINCT group_id, split FROM {ws.lake.relation('predictions')} WHERE id[1] IN ('a', 'b')"
        )
    assert found["group_id"].to_pylist() == ["u1"]
