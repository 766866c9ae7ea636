"""Column types that mean the same on SQLite and PostgreSQL: an instant in UTC, a counting key, a JSON value, a place."""

from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Engine, Integer, Text
from sqlalchemy.types import TypeDecorator, TypeEngine

from whorl.clock import as_utc
from whorl.storage.ledger import places


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


class Place(TypeDecorator[str]):
    """A path, a URI or a name; a path inside the workspace is written as `places.py` says."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> Any:
        return places.kept(value, _root(dialect))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return places.found(value, _root(dialect))


class JsonWithPlaces(TypeDecorator[Any]):
    """A JSON value of which any text may be such a path."""

    impl = JSON
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return places.kept(msgspec.to_builtins(value), _root(dialect))

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return places.found(value, _root(dialect))


def set_root(engine: Engine, root: Path | None) -> None:
    """Say where the workspace of a database is; None: there is none."""
    # Where SQLAlchemy keeps the JSON serializer, too: what types must know of the database they are used with.
    vars(engine.dialect)["whorl_root"] = None if root is None else str(root)


def _root(dialect: Dialect) -> str | None:
    root: str | None = vars(dialect)["whorl_root"]
    return root
