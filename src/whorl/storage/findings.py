"""Findings in the ledger, as they were raised. What makes one is in `monitor/`."""

from datetime import datetime

import msgspec
from sqlalchemy import select

from whorl.records import Finding, Record
from whorl.storage.ledger.ledger import Ledger
from whorl.storage.ledger.tables import findings as table


class Raised(Record, frozen=True, kw_only=True):
    """A finding, and when it was raised; `id` counts up."""

    id: int
    at: datetime
    finding: Finding


def listed(ledger: Ledger, flywheel: str, *, limit: int = 100, before: int | None = None) -> list[Raised]:
    """The last findings of a flywheel, newest first; `before` an `id` gives those that follow it."""
    wanted = select(table.c.id, table.c.at, table.c.body).where(table.c.flywheel == flywheel)
    if before is not None:
        wanted = wanted.where(table.c.id < before)
    with ledger.read() as conn:
        rows = conn.execute(wanted.order_by(table.c.id.desc()).limit(limit)).all()
    return [Raised(id=row.id, at=row.at, finding=msgspec.convert(row.body, Finding)) for row in rows]
