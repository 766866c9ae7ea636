"""A ledger of the time when there was one flusher: what it had claimed goes on under its number, and numbers go on."""

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from whorl.clock import SimulatedClock
from whorl.storage.inbox import Inbox
from whorl.storage.ledger import ledger as module
from whorl.storage.ledger.ledger import Ledger


def test_a_claimed_batch_keeps_its_number(ledger_url: str, clock: SimulatedClock) -> None:
    _ledger_of(ledger_url, "0002")
    with Ledger.open(ledger_url, clock) as ledger:
        inbox = Inbox(ledger)
        claimed = inbox.claim("fraud", "labels", 10)
        assert claimed is not None
        assert (claimed.slot, claimed.number, claimed.app) == (0, 7, "labels")
        assert [payload for _, payload in claimed.payloads] == [b"0", b"1"]
        inbox.finish(claimed)
        following = inbox.claim("fraud", "labels", 10)
        assert following is not None
        assert (following.number, [payload for _, payload in following.payloads]) == (8, [b"2"])


def _ledger_of(url: str, revision: str) -> None:
    """A ledger that an older Whorl has written: three rows wait, two of them are claimed under number 7."""
    engine = sa.create_engine(module._checked(url))
    with engine.begin() as conn:
        config = Config(attributes={"connection": conn})
        config.set_main_option("script_location", str(module._MIGRATIONS))
        command.upgrade(config, revision)
        conn.exec_driver_sql("INSERT INTO meta VALUES ('uuid', 'u')")
        conn.exec_driver_sql("INSERT INTO inbox_slots VALUES ('fraud', 'labels', 7)")
        for payload, batch in ((b"0", 7), (b"1", 7), (b"2", None)):
            row = {"payload": payload, "batch": batch}
            conn.execute(
                sa.text(
                    "INSERT INTO inbox (flywheel, kind, rows, bytes, received_at, batch, payload) "
                    "VALUES ('fraud', 'labels', 1, 1, '2026-01-01 00:00:00', :batch, :payload)"
                ),
                row,
            )
    engine.dispose()
