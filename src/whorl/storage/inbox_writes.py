"""What one commit of the inbox writes: payloads in bulk, and the names of batches that named themselves."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import Connection

from whorl.clock import as_utc
from whorl.storage.ledger.ledger import Ledger
from whorl.storage.ledger.tables import idempotency
from whorl.storage.ledger.upsert import insert_or_keep

_COPY = b"COPY inbox (flywheel, kind, rows, bytes, received_at, payload) FROM STDIN (FORMAT BINARY)"
_COPY_TYPES = ("text", "text", "int4", "int8", "timestamptz", "bytea")
_INTO = "INSERT INTO inbox (flywheel, kind, rows, bytes, received_at, payload) VALUES "
_VALUES = "(?, ?, ?, ?, ?, ?)"
_Row = tuple[str, str, int, int, datetime, bytes]


class Part(NamedTuple):
    """The records of one kind in a batch: a payload that holds `rows` of them."""

    kind: str
    payload: bytes
    rows: int


class Named(NamedTuple):
    """A batch that named itself: the digest of its content, and what it was answered (JSON)."""

    kind: str
    key: str
    digest: str
    answer: Any


class Write(NamedTuple):
    """A batch: its parts are kept together or not at all."""

    flywheel: str
    parts: Sequence[Part]
    received_at: datetime
    named: Named | None = None

    @property
    def size(self) -> int:
        return sum(len(part.payload) for part in self.parts)


def insert(conn: Connection, writes: Iterable[Write]) -> None:
    """Insert the parts of writes, in their order. The driver does it: for one row, SQLAlchemy would double the work."""
    rows = _rows(writes)
    driver: Any = conn.connection.driver_connection
    if rows and conn.dialect.name == "postgresql":
        _copy(driver, rows)
    elif rows:
        driver.executemany(_INTO + _VALUES, map(_in_text, rows))


def insert_alone(ledger: Ledger, writes: Iterable[Write]) -> None:
    """The same as a transaction of its own, in SQLite: one statement, so that the interpreter's lock is let go once."""
    rows = _rows(writes)
    values = [value for row in rows for value in _in_text(row)]
    ledger.write_alone(_INTO + ", ".join([_VALUES] * len(rows)), values)


def answer_to(conn: Connection, flywheel: str, kind: str, key: str) -> Named | None:
    """What the batch of that name was answered; None when none has come."""
    the_one = (idempotency.c.flywheel == flywheel) & (idempotency.c.kind == kind) & (idempotency.c.key == key)
    found = conn.execute(sa.select(idempotency.c.digest, idempotency.c.answer).where(the_one)).one_or_none()
    return None if found is None else Named(kind, key, found.digest, found.answer)


def keep_name(conn: Connection, write: Write) -> Named | None:
    """Keep a batch's name; where it is taken, what was answered under it."""
    if write.named is None:
        return None
    row = {**write.named._asdict(), "flywheel": write.flywheel, "at": write.received_at}
    if insert_or_keep(conn, idempotency, row):
        return None
    return answer_to(conn, write.flywheel, write.named.kind, write.named.key)


def forget_names(conn: Connection, flywheel: str, before: datetime, most: int) -> int:
    """Remove so many of the names that were given before a time, oldest first; returns how many."""
    key = (idempotency.c.flywheel, idempotency.c.kind, idempotency.c.key)
    # As an expression: SQLite would otherwise read all names of the flywheel, by the key, to find the old ones.
    its_own = sa.func.coalesce(idempotency.c.flywheel, "") == flywheel
    old = sa.select(*key).where(its_own, idempotency.c.at < before).order_by(idempotency.c.at).limit(most)
    return conn.execute(idempotency.delete().where(sa.tuple_(*key).in_(old))).rowcount


def _copy(driver: Any, rows: Sequence[_Row]) -> None:
    with driver.cursor() as cursor, cursor.copy(_COPY) as copy:
        copy.set_types(_COPY_TYPES)
        for row in rows:
            copy.write_row(row)


def _rows(writes: Iterable[Write]) -> list[_Row]:
    return [
        (write.flywheel, part.kind, part.rows, len(part.payload), as_utc(write.received_at), part.payload)
        for write in writes
        for part in write.parts
    ]


def _in_text(row: _Row) -> tuple[str, str, int, int, str, bytes]:
    """As SQLite keeps it: a time as the column's type writes it, in UTC, of fixed width."""
    return (*row[:4], row[4].replace(tzinfo=None).isoformat(" ", "microseconds"), row[5])
