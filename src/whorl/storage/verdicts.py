"""Verdicts in the ledger: what the gates said of each challenger, and how many looks at the holdout they took."""

import msgspec
from sqlalchemy import func, insert, select

from whorl.records import Verdict
from whorl.storage.ledger.ledger import Ledger
from whorl.storage.ledger.tables import verdicts as table


def record(ledger: Ledger, flywheel: str, cycle_id: str, verdict: Verdict, *, look: int) -> None:
    """Keep a cycle's verdict; a resumed cycle that says it again changes nothing.

    Args:
        look: Looks so far that spent from the error budget, this verdict's included if it did.
    """
    with ledger.write() as connection:
        if connection.scalar(
            select(table.c.id).where(table.c.cycle_id == cycle_id, table.c.flywheel == flywheel)
        ):
            return
        connection.execute(
            insert(table).values(
                flywheel=flywheel,
                cycle_id=cycle_id,
                challenger=verdict.challenger,
                champion=verdict.champion,
                decision=verdict.decision,
                body=msgspec.to_builtins(verdict),
                look=look,
                created_at=ledger.clock.now(),
            )
        )


def looks(ledger: Ledger, flywheel: str) -> int:
    """Looks at the holdout that have spent from the error budget so far."""
    with ledger.read() as connection:
        return int(connection.scalar(select(func.max(table.c.look)).where(table.c.flywheel == flywheel)) or 0)


def of_cycle(ledger: Ledger, flywheel: str, cycle_id: str) -> Verdict | None:
    """The verdict that a cycle has come to, if it has."""
    mine = (table.c.flywheel == flywheel) & (table.c.cycle_id == cycle_id)
    with ledger.read() as connection:
        body = connection.scalar(select(table.c.body).where(mine))
    return msgspec.convert(body, Verdict) if body else None


def of_challenger(ledger: Ledger, flywheel: str, challenger: str) -> Verdict | None:
    """The newest verdict on a model version."""
    with ledger.read() as connection:
        body = connection.scalar(
            select(table.c.body)
            .where(table.c.flywheel == flywheel, table.c.challenger == challenger)
            .order_by(table.c.created_at.desc(), table.c.id.desc())
            .limit(1)
        )
    return msgspec.convert(body, Verdict) if body else None
