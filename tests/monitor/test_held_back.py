"""What findings may not start is said where people look: what asks for a cycle, why none starts, and what to do."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert

from whorl.clock import SimulatedClock
from whorl.monitor.overview import overview
from whorl.spec import parse_spec
from whorl.storage import cycles
from whorl.storage.ledger.tables import findings
from whorl.workspace import Workspace, open_workspace

DAY = timedelta(days=1)


def opened(path: Path, clock: SimulatedClock, monitor: str) -> Workspace:
    return open_workspace(
        parse_spec(f'name = "f"\ntask = "binary"\n[monitor]\n{monitor}'), path, clock=clock, mirror=False
    )


def said(ws: Workspace) -> list[str]:
    return [need for need in overview(ws.root, ws.ledger, ws.name).needs if "asks for a cycle" in need]


def found(ws: Workspace, kind: str = "error_rate_up") -> None:
    with ws.ledger.write() as conn:
        body = {"kind": kind, "severity": "warning", "message": "worse"}
        conn.execute(
            insert(findings).values(
                flywheel=ws.name, kind=kind, severity="warning", at=ws.clock.now(), body=body
            )
        )


def test_a_spent_budget_is_said_with_when_it_is_free_again(tmp_path: Path, clock: SimulatedClock) -> None:
    with opened(tmp_path, clock, 'start_cycle = true\nstart_at_most = 2\nstart_within = "30d"') as ws:
        begun = clock.now()
        for _ in range(2):
            found(ws)
            cycles.move(
                ws.ledger,
                ws.name,
                cycles.start(ws.ledger, ws.name, "finding", clock.now(), ws.spec_hash),
                "finished",
            )
            assert said(ws) == [], "that cycle has seen it"
            clock.advance(DAY)
        found(ws)
        [need] = said(ws)
        assert "findings have started 2 within 30d ([monitor] start_at_most)" in need
        assert f"before {begun + 30 * DAY:%Y-%m-%d %H:%M} UTC" in need
        assert "whorl cycle run" in need
        clock.move_to(begun + 30 * DAY)
        assert said(ws) == []


@pytest.mark.parametrize(
    ("monitor", "kind", "says"),
    [
        ("start_cycle = true\nstart_at_most = 0", "error_rate_up", True),
        ("start_cycle = true\nstart_at_most = 0", "feature_drift", False),
        ("start_cycle = false\nstart_at_most = 0", "error_rate_up", False),
        ("start_cycle = true", "error_rate_up", False),
    ],
)
def test_it_is_said_only_where_a_finding_would_have_started_one(
    tmp_path: Path, clock: SimulatedClock, monitor: str, kind: str, says: bool
) -> None:
    with opened(tmp_path, clock, monitor) as ws:
        found(ws, kind)
        assert bool(said(ws)) == says
