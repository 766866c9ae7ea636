"""Open the ledger, read it, write it. The tables are in `tables.py`; what an error means, in `faults.py`.

SQLite: write-ahead log, full synchronisation, and every writer takes the write lock when it begins, so that no
transaction fails halfway because another one was faster. PostgreSQL: the same calls, by URL.
"""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from uuid import uuid4

import msgspec
import sqlalchemy as sa
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from whorl.clock import Clock
from whorl.errors import StorageError, WorkspaceVersion, masked
from whorl.storage.ledger import faults
from whorl.storage.ledger.column_types import set_root
from whorl.storage.ledger.tables import meta

HEAD = "0006"
_MIGRATIONS = Path(__file__).parent / "migrations"
_MIGRATION_LOCK = 0x77686F726C
_BUSY_S = 30.0
_NAP_S = 0.0005
# A writer that finds more in SQLite's log moves it into the file by itself; see `checkpoint`.
_LOG_PAGES = 16_384


class Ledger:
    """One database, shared by threads. `open` it; `close` it, or use it as a context manager.

    Attributes:
        url: As it was given; it may hold a password, `place` does not.
        place: Where the ledger is, for messages.
        uuid: Drawn when the ledger was created; tells it from another one beside the same lake.
        embedded: True for SQLite: a file of this machine.
    """

    def __init__(self, url: URL, engine: Engine, clock: Clock, uuid: str) -> None:
        self.url = url.render_as_string(hide_password=False)
        self.place = place_of(url)
        self.engine, self.clock, self.uuid = engine, clock, uuid
        self.embedded = engine.dialect.name == "sqlite"
        self._writer = threading.Lock()
        self._lone: sqlite3.Connection | None = None

    @classmethod
    def open(cls, url: str, clock: Clock, root: Path | None = None, *, as_is: bool = False) -> "Ledger":
        """Open the ledger; create it, or bring it up to date, when it is not.

        Args:
            url: `sqlite:////absolute/path/ledger.db` or `postgresql://user@host/database`.
            root: Directory of the workspace, as a whole path: it can be another one the next time.
            as_is: Change nothing: one that is not up to date is refused, too.

        Raises:
            WorkspaceVersion: A newer Whorl has written it; nothing is changed.
            StorageError: The URL is wrong, the file is no database, or the server does not answer.
        """
        parsed = _checked(url)
        engine = _engine(parsed)
        set_root(engine, root)
        try:
            with _transaction(engine, write=False) as conn:
                uuid = _uuid_if_current(conn, place_of(parsed))
            if uuid is None and as_is:
                raise WorkspaceVersion(
                    "Its tables are not those of this Whorl yet.",
                    where=place_of(parsed),
                    hint="Any command that opens it brings it up to date: whorl status.",
                    older=True,
                )
            uuid = uuid or _migrate(engine, place_of(parsed))
        except BaseException:
            engine.dispose()
            raise
        return cls(parsed, engine, clock, uuid)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that may write: committed at the end, rolled back by any exception.

        Raises:
            StorageError: Disk full, database gone, or another process wrote for more than 30 s. Constraint
                violations come as SQLAlchemy's IntegrityError.
        """
        with self._turn(), _transaction(self.engine, write=True) as conn:
            yield conn

    def write_alone(self, statement: str, values: Sequence[Any]) -> None:
        """Run one statement of SQLite, which is a transaction by itself: a third of the work of `write`.

        Raises:
            StorageError: As `write`. What the driver says of the values comes as its own error.
        """
        with self._turn(), _explained(self.engine):
            if self._lone is None:
                self._lone = self._by_itself()
            until = monotonic() + _BUSY_S
            while True:
                try:
                    self._lone.execute(statement, values)
                    return
                except sqlite3.OperationalError as error:
                    if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or monotonic() > until:
                        raise
                # SQLite by itself would nap for longer than the other process writes.
                sleep(_NAP_S)

    def checkpoint(self) -> None:
        """SQLite: move what was committed from its log into the file, beside those who write; they would stop for it."""
        if self.embedded:
            with _explained(self.engine), closing(self._by_itself()) as connection:
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads: a write in it is refused. Never waits for a writer."""
        with _transaction(self.engine, write=False) as conn:
            yield conn

    def session(self) -> Connection:
        """A connection of its own, outside the pool, that commits each statement; the caller closes it."""
        with _explained(self.engine):
            conn = self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            conn.detach()
            return conn

    def _by_itself(self) -> sqlite3.Connection:
        """A connection to the file, outside the pool, that commits each statement and waits for nobody."""
        connection = sqlite3.connect(self.place, timeout=0, isolation_level=None, check_same_thread=False)
        _set_up_sqlite(connection, None)
        return connection

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """SQLite has one writer at a time: threads queue here, because waiting in SQLite is polling with naps."""
        if not self.embedded:
            yield
            return
        if not self._writer.acquire(timeout=_BUSY_S):
            raise faults.busy(self.place, _BUSY_S)
        try:
            yield
        finally:
            self._writer.release()

    def close(self) -> None:
        """Close every connection."""
        if self._lone is not None:
            self._lone.close()
        self.engine.dispose()

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Ledger({self.place!r})"


def place_of(url: URL) -> str:
    """A URL as it may be shown: the file's path, or the server's URL without its password.

    >>> place_of(make_url("postgresql+psycopg://whorl:secret@db/ledger"))
    'postgresql://whorl:***@db/ledger'
    >>> place_of(make_url("mysql+pymysql://db/shop?ssl_key=x&passwd=secret"))
    'mysql://db/shop?passwd=***&ssl_key=***'
    """
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    return masked(url.set(drivername=url.get_backend_name()).render_as_string(hide_password=True))


def _checked(url: str) -> URL:
    hint = "Use sqlite:////absolute/path/ledger.db or postgresql://user@host/database."
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StorageError("This is not a database URL.", where="ledger", hint=hint) from None
    if parsed.drivername in ("postgresql", "postgresql+psycopg"):
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername != "sqlite":
        raise StorageError(f"A ledger cannot live in {parsed.drivername!r}.", where="ledger", hint=hint)
    if parsed.database in (None, "", ":memory:"):
        raise StorageError("A ledger in memory keeps nothing.", where="ledger", hint=hint)
    return parsed


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "postgresql":
        return sa.create_engine(
            url, pool_pre_ping=True, json_serializer=_to_json, json_deserializer=msgspec.json.decode
        )
    engine = sa.create_engine(
        url,
        # The driver shall begin nothing by itself: `_begin` does.
        connect_args={"timeout": _BUSY_S, "isolation_level": None},
        json_serializer=_to_json,
        json_deserializer=msgspec.json.decode,
    )
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _to_json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}")
    connection.execute("PRAGMA foreign_keys = ON")
    # Some builds write zeros over every page that is given up, which costs as much as writing the inbox did.
    connection.execute("PRAGMA secure_delete = FAST")


def _begin_sqlite(conn: Connection) -> None:
    write = conn.get_execution_options().get("whorl_write", False)
    conn.exec_driver_sql(f"PRAGMA query_only = {'OFF' if write else 'ON'}")
    conn.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


@contextmanager
def _transaction(engine: Engine, *, write: bool) -> Iterator[Connection]:
    with _explained(engine), engine.connect() as conn:
        readonly = not write and engine.dialect.name == "postgresql"
        options: dict[str, Any] = {"postgresql_readonly": True} if readonly else {"whorl_write": write}
        with conn.execution_options(**options).begin():
            yield conn


@contextmanager
def _explained(engine: Engine) -> Iterator[None]:
    try:
        yield
    except (DBAPIError, engine.dialect.loaded_dbapi.Error) as error:
        # What the driver raises by itself comes from statements that SQLAlchemy has no words for.
        original = error.orig if isinstance(error, DBAPIError) else error
        explained = faults.explain(original, place_of(engine.url), _BUSY_S)
        if explained is None:
            raise
        raise explained from error


def _uuid_if_current(conn: Connection, place: str) -> str | None:
    """The ledger's uuid when its tables are those of this code; None when they are older or not there."""
    if not sa.inspect(conn).has_table("alembic_version"):
        return None
    found = conn.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    if found is not None and found > HEAD:
        raise WorkspaceVersion(
            f"This ledger has revision {found}; this Whorl knows revisions up to {HEAD}.",
            where=place,
            hint="Install the Whorl that wrote it, or a newer one; if it is another program's database, "
            "give Whorl one of its own.",
            found=found,
            known=HEAD,
        )
    if found != HEAD:
        return None
    return str(conn.execute(sa.select(meta.c.value).where(meta.c.key == "uuid")).scalar_one())


def _migrate(engine: Engine, place: str) -> str:
    """Bring the tables up to date in one transaction, one process at a time; returns the ledger's uuid."""
    with _transaction(engine, write=True) as conn:
        # SQLite's write transaction is the lock already.
        if engine.dialect.name == "postgresql":
            conn.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
        uuid = _uuid_if_current(conn, place)
        return uuid if uuid is not None else _upgrade(conn)


def _upgrade(conn: Connection) -> str:
    # Imported here: Alembic takes longer to load than a ledger that is up to date takes to open.
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": conn})
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    command.upgrade(config, "head")
    uuid = conn.execute(sa.select(meta.c.value).where(meta.c.key == "uuid")).scalar()
    if uuid is None:
        uuid = uuid4().hex
        conn.execute(meta.insert().values(key="uuid", value=uuid))
    return str(uuid)
