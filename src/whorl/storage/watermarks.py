"""How far a source has been read. Set in the transaction that keeps what was read, so that both or neither stay."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from whorl.storage.ledger.tables import watermarks
from whorl.storage.ledger.upsert import insert_or_replace


def get(conn: Connection, flywheel: str, source: str) -> Any:
    """The last value that was set, as plain JSON data; None before the first."""
    where = (watermarks.c.flywheel == flywheel) & (watermarks.c.source == source)
    return conn.execute(sa.select(watermarks.c.value).where(where)).scalar()


def put(conn: Connection, flywheel: str, source: str, value: Any, at: datetime) -> None:
    """Set it, in the caller's transaction: anything that msgspec writes as JSON."""
    insert_or_replace(
        conn, watermarks, {"flywheel": flywheel, "source": source, "value": value, "updated_at": at}
    )
