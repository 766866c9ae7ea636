"""The audit trail: who did what, when. Appended in the transaction of the deed; never changed here."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from whorl.errors import masked
from whorl.records import Record
from whorl.storage.ledger.ledger import Ledger
from whorl.storage.ledger.tables import audit


class Entry(Record, frozen=True, kw_only=True):
    """One deed; `flywheel` is None when it concerns the whole workspace."""

    seq: int
    flywheel: str | None
    at: datetime
    by: str
    action: str
    body: dict[str, Any]


def append(
    conn: Connection, flywheel: str | None, *, at: datetime, by: str, action: str, body: dict[str, Any]
) -> None:
    """Write a deed down; `action` is `noun.verb`, such as `cycle.approve`."""
    body = {name: masked(value) if isinstance(value, str) else value for name, value in body.items()}
    conn.execute(audit.insert(), [{"flywheel": flywheel, "at": at, "by": by, "action": action, "body": body}])


def entries(
    ledger: Ledger, flywheel: str | None = None, *, before: int | None = None, limit: int = 100
) -> list[Entry]:
    """The last deeds, newest first; of one flywheel, or of all. `before` a `seq` gives the page that follows it."""
    wanted = sa.select(audit).order_by(audit.c.seq.desc()).limit(limit)
    if flywheel is not None:
        wanted = wanted.where(audit.c.flywheel == flywheel)
    if before is not None:
        wanted = wanted.where(audit.c.seq < before)
    with ledger.read() as conn:
        return [Entry(**row._mapping) for row in conn.execute(wanted)]
