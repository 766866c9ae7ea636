"""Column types that mean the same on SQLite and PostgreSQL: an instant in UTC, a counting key, a JSON value."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Integer
from sqlalchemy.types import TypeDecorator, TypeEngine

from whorl.clock import as_utc


class Instant(TypeDecorator[datetime]):
    """A time in UTC to the microsecond, timezone-aware on the way out; one without a zone is taken as UTC.

    SQLite has no such type: there it is text of fixed width, so that comparing texts compares times.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        utc = as_utc(value)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return None if value is None else as_utc(value)


# SQLite numbers rows by itself only when the key is INTEGER; PostgreSQL's INTEGER would end at two billion.
Counter: TypeEngine[int] = BigInteger().with_variant(Integer(), "sqlite")

# json, not jsonb: it keeps the text as it was written, with the order of its keys and with escaped NULs.
Json: TypeEngine[Any] = JSON()
