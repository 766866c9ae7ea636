"""Times that a flywheel's processes hold each other to, whatever their clocks say. Kept in the ledger's `meta`."""

from datetime import datetime

import sqlalchemy as sa

from whorl.clock import as_utc
from whorl.storage.ledger.ledger import Ledger
from whorl.storage.ledger.tables import meta
from whorl.storage.ledger.upsert import insert_or_replace


def settle(ledger: Ledger, flywheel: str, at: datetime) -> None:
    """Say that a time was given out as settled: no row is received by it from now on."""
    with ledger.write() as conn:
        insert_or_replace(conn, meta, {"key": _settled(flywheel), "value": as_utc(at).isoformat()})


def settled_at(ledger: Ledger, flywheel: str) -> datetime | None:
    """The last time that was given out as settled."""
    with ledger.read() as conn:
        found = conn.execute(sa.select(meta.c.value).where(meta.c.key == _settled(flywheel))).scalar()
    return None if found is None else datetime.fromisoformat(found)


def _settled(flywheel: str) -> str:
    return f"settled/{flywheel}"
