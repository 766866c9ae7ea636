"""The ledger: whole, of this version, not from the future; and the keys in it."""

import os
import sqlite3
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa

from whorl.serve.checkup.check import Check
from whorl.storage import api_keys, flywheels
from whorl.storage.ledger import tables as t
from whorl.storage.ledger.ledger import HEAD, Ledger

SKEW = timedelta(seconds=5)
SOON = timedelta(days=7)
_STAMPS = (
    t.inbox.c.received_at,
    t.cycles.c.updated_at,
    t.pointer_changes.c.at,
    t.audit.c.at,
    t.specs.c.created_at,
)


def file(path: Path) -> Iterator[Check]:
    """A SQLite ledger's own check of every page and index; nothing is written, and no server waits for it."""
    hint = "Stop the server, move the file away with its -wal and -shm, and restore a backup."
    if not path.is_file() or path.stat().st_size == 0:
        hint = "Restore a backup, or start anew with `whorl serve`; --workspace names another place."
        yield Check.bad("ledger file", str(path), "There is no ledger here, or nothing in it.", hint)
        return
    try:
        conn = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=30)
        try:
            found = [row[0] for row in conn.execute("PRAGMA integrity_check(5)")]
        finally:
            conn.close()
    except sqlite3.Error as error:
        if not os.access(path.parent, os.W_OK):
            hint = "Nobody but who may write the directory can open it: run this as the server's user."
        yield Check.bad("ledger file", str(path), f"SQLite cannot read it ({error}).", hint)
        return
    if found != ["ok"]:
        yield Check.bad("ledger file", str(path), f"It is damaged: {'; '.join(found)}.", hint)
    else:
        yield Check.ok(
            "ledger file", str(path), f"Every page is sound ({path.stat().st_size / 2**20:.1f} MiB)."
        )


def tables(ledger: Ledger) -> Iterator[Check]:
    """That it opened says that its tables are those of this code."""
    names = flywheels.names(ledger)
    yield Check.ok("ledger", ledger.place, f"Revision {HEAD}; flywheels: {', '.join(names) or 'none yet'}.")


def clock(ledger: Ledger, now: datetime) -> Iterator[Check]:
    """Nothing in the ledger was written later than now."""
    with ledger.read() as conn:
        stamps = [conn.execute(sa.select(sa.func.max(column))).scalar() for column in _STAMPS]
    newest = max((stamp for stamp in stamps if stamp is not None), default=None)
    if newest is not None and newest - now > SKEW:
        behind = (newest - now).total_seconds()
        message = f"This machine's clock is {behind:.0f} s behind what the ledger has written ({newest:%Y-%m-%d %H:%M:%S} UTC)."
        hint = "Set the clock with NTP before anything is logged: what is known by when goes by it."
        yield Check.bad("clock", ledger.place, message, hint)
    else:
        yield Check.ok("clock", ledger.place, "Nothing in the ledger is from the future.")


def keys(ledger: Ledger, now: datetime) -> Iterator[Check]:
    """Who may call, and whose key ends soon."""
    made = api_keys.listed(ledger)
    live = [key for key in made if key.state(now) == "live"]
    ending = [key for key in live if key.expires_at is not None and key.expires_at - now < SOON]
    if made and not live:
        hint = "Make one: whorl key create."
        yield Check.warn("keys", ledger.place, "Keys are asked for, and none is live: nobody can call.", hint)
    elif ending:
        told = ", ".join(f"{key.id} ({key.name})" if key.name else key.id for key in ending)
        hint = "Make new ones (whorl key create) before those who use them are refused."
        yield Check.warn("keys", ledger.place, f"End within a week: {told}.", hint)
    else:
        told = f"{len(live)} live" if made else "none: the server serves this machine alone"
        yield Check.ok("keys", ledger.place, f"API keys: {told}.")
