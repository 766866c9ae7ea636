"""A URL with a password is kept where it is called by, and masked wherever else it comes to lie."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from shop import Shop
from whorl.capture.importers.sql import ingest_sql
from whorl.errors import SourceError, WhorlError
from whorl.storage import audit
from whorl.storage.company_database import engine_of
from whorl.storage.ledger.tables import metadata
from whorl.storage.outbox import Outbox, deliver

SECRET = "s3cret"
URL = f"https://ann:{SECRET}@hooks.example/whorl?api_key={SECRET}"
# By what is kept in these, something is called.
CALLED = {("outbox", "url")}


def kept(one: Shop) -> Iterator[str]:
    """Everything in the ledger that nothing is called by, as text."""
    with one.ws.ledger.read() as conn:
        for table in metadata.sorted_tables:
            columns = [column for column in table.c if (table.name, column.name) not in CALLED]
            yield from (f"{table.name}: {row}" for row in conn.execute(sa.select(*columns)))


def test_the_ledger_keeps_none(shop: Callable[..., Shop], postgres: str) -> None:
    one = shop()
    ws, outbox = one.ws, Outbox(one.ws.ledger)
    source = (
        sa.make_url(postgres).set(username="postgres", password=SECRET).render_as_string(hide_password=False)
    )
    report = ingest_sql(ws, source, "SELECT 'a' AS id, '2026-01-01' AS time, 1 AS n", "n")
    assert SECRET not in report.source
    ws.registry.register(None, trainer="external", notes=[f"Handed in: {URL}"])
    with ws.ledger.write() as conn:
        audit.append(conn, ws.name, at=ws.clock.now(), by="ann", action="cycle.submit", body={"uri": URL})
        outbox.put(conn, ws.name, URL, {})

    def refused(url: str, _body: bytes, _headers: dict[str, str]) -> int:
        raise ConnectionError(f"{url} does not answer")

    assert deliver(outbox, refused, "key") == (0, 1)
    lines = list(kept(one))
    assert [line for line in lines if SECRET in line] == []
    assert [line for line in lines if "ann:***@hooks.example/whorl?api_key=***" in line]
    assert [line for line in lines if line.startswith("watermarks: ")]


def test_an_error_shows_none() -> None:
    error = WhorlError(f"{URL} is down.", where=URL, hint=f"Try {URL}.", problems=[URL])
    assert SECRET not in f"{error} {error.args} {error.as_dict()}"
    with pytest.raises(SourceError) as refused:
        engine_of(f"nosuch://ann:{SECRET}@db/shop")
    assert SECRET not in str(refused.value)


def test_the_log_of_a_server_shows_none(tmp_path: Path) -> None:
    """Also not where a library logs what it calls."""
    code = (
        "import logging, sys, whorl.api.server\n"
        f"whorl.api.server.serve = lambda *_, **__: logging.getLogger('httpx').info('POST %s', {URL!r})\n"
        "from whorl.cli import main\nmain()"
    )
    said = subprocess.run(
        [sys.executable, "-c", code, "serve"], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert "INFO httpx: POST https://ann:***@hooks.example/whorl?api_key=***" in said.stderr
    assert SECRET not in said.stderr
