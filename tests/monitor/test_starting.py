"""When a cycle starts by itself: the cadence, findings, and how many of them may."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import insert

from whorl.clock import SimulatedClock
from whorl.monitor.starting import Known, found_at, paced_from, started_by_findings, why_start
from whorl.spec import Spec, parse_spec
from whorl.storage import cycles
from whorl.storage.ledger.tables import findings
from whorl.workspace import Workspace, open_workspace

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MONITOR = 'start_cycle = true\nstart_on = ["error_rate_up"]\nstart_at_most = 2\nstart_within = "10d"\ncooldown = "2d"'


def spec_of(monitor: str = MONITOR, cadence: str = "") -> Spec:
    return parse_spec(f'name = "f"\ntask = "binary"\n[monitor]\n{monitor}\n[cadence]\n{cadence}\n')


FOUND = Known(NOON, begun_at=NOON + HOUR, found_at=NOON + 2 * HOUR)


def test_a_finding_starts_one_only_where_the_spec_says_so() -> None:
    assert why_start(spec_of(), NOON + DAY, FOUND) == "finding"
    assert why_start(spec_of(""), NOON + DAY, FOUND) is None


def test_the_cadence_goes_first_and_needs_no_finding() -> None:
    weekly = spec_of(cadence='every = "7d"')
    assert why_start(weekly, NOON + 7 * DAY, FOUND) == "cadence"
    assert why_start(weekly, NOON + 7 * DAY - HOUR, Known(NOON)) is None


def test_what_a_cycle_has_seen_starts_no_other() -> None:
    assert why_start(spec_of(), NOON + DAY, FOUND._replace(begun_at=FOUND.found_at)) is None


def test_findings_start_no_more_cycles_than_they_may_and_wait_for_the_rest() -> None:
    one, two = (NOON - 9 * DAY,), (NOON - 5 * DAY, NOON - 9 * DAY)
    assert why_start(spec_of(), NOON + HOUR * 3, FOUND._replace(by_findings=one)) == "finding"
    assert why_start(spec_of(), NOON + HOUR * 3, FOUND._replace(by_findings=two)) is None
    assert why_start(spec_of(), NOON + DAY, FOUND._replace(by_findings=two)) == "finding", (
        "the older is out of the span"
    )
    assert why_start(spec_of(MONITOR.replace("= 2\n", "= 0\n")), NOON + DAY, FOUND) is None


def test_findings_start_no_two_cycles_within_the_cooldown() -> None:
    known = FOUND._replace(by_findings=(NOON,))
    assert why_start(spec_of(), NOON + 2 * DAY - HOUR, known) is None
    assert why_start(spec_of(), NOON + 2 * DAY, known) == "finding"


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock(NOON)


def test_the_ledger_says_what_was_found_and_what_findings_started(tmp_path, clock: SimulatedClock) -> None:
    with open_workspace(spec_of(), tmp_path, clock=clock) as ws:
        for kind in ("error_rate_up", "decay"):
            _raise(ws, kind, clock.now())
            clock.advance(DAY)
        for trigger in ("finding", "cadence", "finding"):
            cycle_id = cycles.start(ws.ledger, ws.name, trigger, clock.now(), ws.spec_hash)
            cycles.move(ws.ledger, ws.name, cycle_id, "finished")
            clock.advance(6 * DAY)
        with ws.ledger.read() as conn:
            assert found_at(conn, ws.spec) == NOON, (
                "a kind that [monitor] start_on does not name starts nothing"
            )
            assert started_by_findings(conn, ws.spec, clock.now()) == (NOON + 14 * DAY,)
            assert paced_from(conn, ws.spec) == NOON + 8 * DAY, "findings put no cadence off"
            off = msgspec.structs.replace(ws.spec, monitor=spec_of("").monitor)
            assert (found_at(conn, off), started_by_findings(conn, off, clock.now())) == (None, ())


def test_a_finding_about_a_champion_that_was_replaced_since_starts_none(
    tmp_path: Path, clock: SimulatedClock
) -> None:
    with open_workspace(spec_of(), tmp_path, clock=clock, mirror=False) as ws:
        first, second = (ws.registry.register(None, trainer="external").id for _ in range(2))

        def starting() -> datetime | None:
            with ws.ledger.read() as conn:
                return found_at(conn, ws.spec)

        _raise(ws, "error_rate_up", NOON, champion=None)
        assert starting() == NOON, "there is no champion, as when it was found"
        ws.registry.point("champion", first, by="me", reason="")
        assert starting() is None
        _raise(ws, "error_rate_up", NOON + HOUR, champion=first)
        assert starting() == NOON + HOUR
        ws.registry.point("champion", second, by="me", reason="")
        assert starting() is None
        _raise(ws, "error_rate_up", NOON + 2 * HOUR, champion=second)
        assert starting() == NOON + 2 * HOUR
        ws.registry.point("champion", first, by="me", reason="rolled back")
        assert starting() == NOON + HOUR, "what was found of it still holds"


def _raise(ws: Workspace, kind: str, at: datetime, champion: str | None = None) -> None:
    body = {"facts": {"champion": champion}}
    with ws.ledger.write() as conn:
        conn.execute(
            insert(findings).values(flywheel=ws.name, kind=kind, severity="warning", at=at, body=body)
        )
