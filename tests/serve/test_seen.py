"""What a scheduler is told, from a real ledger: also of what other processes have written."""

from datetime import timedelta

import msgspec
import pytest
from sqlalchemy import insert

from whorl.clock import SimulatedClock
from whorl.records import Finding, Waiting
from whorl.serve.seen import look
from whorl.storage import cycles
from whorl.storage.inbox_writes import Part
from whorl.storage.ledger.tables import findings
from whorl.storage.outbox import Outbox
from whorl.workspace import Workspace


def seen(ws: Workspace, clock: SimulatedClock):
    return look(ws.ledger, ws.spec, clock.now(), loaded=None, serves=True)


def test_an_empty_workspace(ws: Workspace, clock: SimulatedClock) -> None:
    found = seen(ws, clock)
    assert found.paced_from == clock.now()
    assert (found.waiting_rows, found.last, found.champion, found.mirrored, found.deliveries) == (
        0, None, None, True, False,
    )  # fmt: skip


@pytest.mark.parametrize("what", ["approval", "model", "confirmation"])
def test_a_waiting_cycle_is_answered_by_what_it_waits_for(ws: Workspace, clock: SimulatedClock, what) -> None:
    cycle_id = cycles.start(ws.ledger, ws.name, "manual", clock.now(), ws.spec_hash)
    cycles.move(ws.ledger, ws.name, cycle_id, "waiting", waiting_for=Waiting(what=what, where="release"))
    assert not seen(ws, clock).answered
    if what == "approval":
        cycles.decide(ws.ledger, ws.name, cycle_id, "approve", "ann", "")
    else:
        cycles.submit(ws.ledger, ws.name, cycle_id, what, "somewhere", "ann")
    assert seen(ws, clock).answered


def test_inbox_pointer_webhook_and_decay_are_seen(ws: Workspace, clock: SimulatedClock, register) -> None:
    ws.inbox.accept(ws.name, [Part("labels", b"x", 7)], clock.now())
    version = register(0.5)
    ws.registry.point("champion", version.id, by="me", reason="")
    finding = Finding(kind="decay", severity="warning", message="worse", facts={"champion": version.id})
    with ws.ledger.write() as conn:
        Outbox(ws.ledger).put(conn, ws.name, "http://127.0.0.1:9/", {})
        row = {"flywheel": ws.name, "kind": "decay", "severity": "warning", "at": clock.now()}
        conn.execute(insert(findings).values(**row, body=msgspec.to_builtins(finding)))
        conn.execute(
            insert(findings).values(**{**row, "kind": "one_class", "at": clock.now() + timedelta(1)}, body={})
        )
    found = seen(ws, clock)
    assert (found.waiting_rows, found.champion, found.mirrored, found.deliveries) == (
        7,
        version.id,
        False,
        True,
    )
    assert found.found_at == clock.now()
