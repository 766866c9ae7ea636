"""What the ledger says of a flywheel right now, for its scheduler. Reads only, so it never waits for a writer."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Connection

from whorl.monitor.starting import found_at, paced_from, started_by_findings
from whorl.serve.scheduler import Seen
from whorl.spec import Spec
from whorl.storage import cycles
from whorl.storage.cycles import Cycle
from whorl.storage.inbox import depth_of
from whorl.storage.ledger.ledger import Ledger
from whorl.storage.ledger.tables import flywheels, outbox, pointers


def look(ledger: Ledger, spec: Spec, now: datetime, *, loaded: str | None, serves: bool) -> Seen:
    """The state of one registered flywheel.

    Args:
        loaded: The model version that answers in this process.
        serves: Predictions are asked for in this process.
    """
    last = next(iter(cycles.listed(ledger, spec.name, limit=1)), None)
    answered = last is not None and _answered(ledger, last)
    waiting_rows = depth_of(ledger, spec.name).rows
    registered = sa.select(flywheels.c.created_at).where(flywheels.c.name == spec.name)
    moves = sa.select(pointers).where(pointers.c.flywheel == spec.name)
    with ledger.read() as conn:
        moved = conn.execute(moves).all()
        return Seen(
            paced_from=paced_from(conn, spec) or conn.execute(registered).scalar_one(),
            waiting_rows=waiting_rows,
            last=last,
            answered=answered,
            found_at=found_at(conn, spec),
            by_findings=started_by_findings(conn, spec, now),
            champion=next((row.model_id for row in moved if row.alias == "champion"), None),
            loaded=loaded,
            serves=serves,
            mirrored=all(row.mirrored for row in moved),
            deliveries=_deliveries(conn, spec.name, now),
        )


def _answered(ledger: Ledger, cycle: Cycle) -> bool:
    """Whether what the cycle waits for has been decided or handed in, by whichever process."""
    waiting = cycle.waiting_for
    if waiting is None:
        return False
    if waiting.what == "approval":
        return cycles.decision_for(ledger, cycle.flywheel, cycle.id, waiting.where) is not None
    model: tuple[cycles.Submitted, ...] = ("model", "scores")
    kinds = model if waiting.what == "model" else ("confirmation",)
    return cycles.submission(ledger, cycle.flywheel, cycle.id, kinds) is not None


def _deliveries(conn: Connection, flywheel: str, now: datetime) -> bool:
    waiting = outbox.c.delivered_at.is_(None) & (outbox.c.next_at <= now) & (outbox.c.flywheel == flywheel)
    return conn.execute(sa.select(outbox.c.id).where(waiting).limit(1)).scalar() is not None
