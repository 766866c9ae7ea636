"""Rows of the inbox that nothing could read: set aside with every byte, so that those behind them can move.

They are no longer in the inbox, and were never in the lake. `bring_back` puts them at its end, to be tried again.
"""

from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa

from whorl.records import Record
from whorl.storage import audit
from whorl.storage.inbox_claims import Batch, delete, is_of, narrow
from whorl.storage.ledger.column_types import Instant
from whorl.storage.ledger.ledger import Ledger
from whorl.storage.ledger.tables import inbox, unreadable

_ROW = ("flywheel", "kind", "rows", "bytes", "received_at", "payload")


class Aside(Record, frozen=True, kw_only=True):
    """What is known of a row without reading it: `received_at` is when it was taken in, `at` when it was set aside."""

    id: int
    flywheel: str
    kind: str
    rows: int
    bytes: int
    received_at: datetime
    at: datetime
    error: str


def set_aside(ledger: Ledger, batch: Batch, errors: Mapping[int, str], at: datetime) -> None:
    """Take rows out of a claimed batch, and keep them, in one commit.

    Only for a batch that is not in the lake: its number stands for what is left of it.

    Args:
        errors: Why, by the number of the row; what the batch has no longer stays where it is.
    """
    with ledger.write() as conn:
        for seq, error in errors.items():
            kept = (*(inbox.c[name] for name in _ROW), sa.literal(error), sa.literal(at, Instant()))
            row = sa.select(*kept).where(inbox.c.seq == seq, is_of(batch))
            conn.execute(unreadable.insert().from_select([*_ROW, "error", "at"], row))
            delete(conn, batch, seq, seq)
        narrow(conn, batch)
        body = {"rows": sorted(errors), "kind": batch.kind, "error": next(iter(errors.values()))}
        audit.append(conn, batch.flywheel, at=at, by="flush", action="inbox.set_aside", body=body)


def listed(ledger: Ledger, flywheel: str | None = None) -> list[Aside]:
    """What was set aside, oldest first; of one flywheel, or of all."""
    columns = [unreadable.c[name] for name in Aside.__struct_fields__]
    wanted = sa.select(*columns).order_by(unreadable.c.id)
    if flywheel is not None:
        wanted = wanted.where(unreadable.c.flywheel == flywheel)
    with ledger.read() as conn:
        return [Aside(**row._mapping) for row in conn.execute(wanted)]


def bring_back(ledger: Ledger, flywheel: str, *, by: str, at: datetime) -> int:
    """Put a flywheel's rows back into the inbox, behind what waits there; returns how many."""
    mine = unreadable.c.flywheel == flywheel
    with ledger.write() as conn:
        rows = sa.select(*(unreadable.c[name] for name in _ROW)).where(mine).order_by(unreadable.c.id)
        conn.execute(inbox.insert().from_select(list(_ROW), rows))
        count = conn.execute(unreadable.delete().where(mine)).rowcount
        if count:
            audit.append(conn, flywheel, at=at, by=by, action="inbox.retry", body={"rows": count})
    return count
