"""A database of the company's own: rows are read from it, datasets are written to it. Never the ledger: see `ledger/`."""

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from whorl.errors import SourceError


def engine_of(url: str) -> sa.Engine:
    """An engine for a SQLAlchemy URL; `postgresql://` means the driver that comes with Whorl. The caller disposes of it.

    Raises:
        SourceError: It is no such URL, or its driver is not installed.

    >>> engine_of("postgresql://reader@host/shop").driver
    'psycopg'
    """
    try:
        parsed = sa.make_url(url)
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        return sa.create_engine(parsed)
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        raise SourceError(
            f"This database cannot be opened: {error}.",
            where="--sql",
            hint="Use a SQLAlchemy URL such as postgresql://user@host/database, and install its driver.",
        ) from None
