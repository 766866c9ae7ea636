"""Which files were taken in, by content: the ledger's table `ingests`."""

from datetime import datetime

import sqlalchemy as sa

from whorl.storage.ledger.ledger import Ledger
from whorl.storage.ledger.tables import ingests
from whorl.storage.ledger.upsert import insert_or_keep


def begin(ledger: Ledger, flywheel: str, digest: str, source: str, kind: str) -> datetime | None:
    """Note that a file is being taken in; returns when that was finished before, or None."""
    row = {
        "flywheel": flywheel, "digest": digest, "source": source, "kind": kind, "rows": 0, "refused": 0,
        "started_at": ledger.clock.now(),
    }  # fmt: skip
    with ledger.write() as conn:
        insert_or_keep(conn, ingests, row)
        found: datetime | None = conn.execute(
            sa.select(ingests.c.finished_at).where(_is(flywheel, digest))
        ).scalar()
    return found


def finish(ledger: Ledger, flywheel: str, digest: str, rows: int, refused: int) -> None:
    """Note that all of it is safe in the lake."""
    done = {"rows": rows, "refused": refused, "finished_at": ledger.clock.now()}
    with ledger.write() as conn:
        conn.execute(ingests.update().where(_is(flywheel, digest)).values(done))


def _is(flywheel: str, digest: str) -> sa.ColumnElement[bool]:
    return (ingests.c.flywheel == flywheel) & (ingests.c.digest == digest)
