"""A server under load, killed with -9 at moments that nobody chose: nothing acknowledged is lost, nothing is doubled."""

import contextlib
import os
import random
import signal
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest
from books import Books, check
from senders import Load, record_of
from serving import Server, until

import whorl


def test_killed_again_and_again(server: Any, ledger_url: str, kills: int) -> None:
    chance, books = random.Random(kills), Books()
    one = server(ledger_url=ledger_url)
    load = Load(books, [one.url])
    for _ in range(kills):
        load.wait_for_acknowledgements(chance.randrange(1, 60))
        one.kill()
        one.start()
    load.wait_for_acknowledgements(5)
    load.stop()
    one.stop()
    check(books, one.root)


def test_its_flusher_is_killed_again_and_again(server: Any, ledger_url: str, kills: int) -> None:
    chance, books = random.Random(kills), Books()
    one = server(ledger_url=ledger_url)
    load = Load(books, [one.url])
    # Each time the server waits twice as long before it starts another one.
    for _ in range(min(kills, 5)):
        flusher = until(lambda: _flusher_of(one), one.said)
        load.wait_for_acknowledgements(chance.randrange(1, 120))
        os.kill(flusher, signal.SIGKILL)
        until(lambda gone=flusher: _flusher_of(one) != gone)
    load.wait_for_acknowledgements(5)
    load.stop()
    one.stop()
    check(books, one.root)


@pytest.mark.parametrize("durable", [False, True], ids=["memory", "durable"])
def test_killed_under_a_client(
    server: Any, tmp_path: Path, kills: int, monkeypatch: pytest.MonkeyPatch, durable: bool
) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    chance, moments = random.Random(kills), random.Random(kills + 1)
    books, over = Books(), threading.Event()
    one = server()

    def log() -> None:
        while not over.is_set():
            ids = [f"{len(books.sent)}-{place}" for place in range(chance.randrange(1, 60))]
            books.send(ids)
            client.log_predictions(record_of(id, chance) for id in ids)
            over.wait(0.002)

    with whorl.connect(
        one.url, flywheel="fraud", spool=tmp_path / "spool", durable=durable, linger_s=0.01, retry_s=0.02
    ) as client:
        thread = threading.Thread(target=log)
        thread.start()
        for _ in range(kills):
            goal = client.stats().sent + moments.randrange(1, 5000)
            until(lambda goal=goal: client.stats().sent >= goal)
            one.kill()
            one.start()
        over.set()
        thread.join()
        assert client.flush(60)
        stats = client.stats()
    assert (stats.sent, stats.refused, stats.dropped) == (len(books.sent), 0, {})
    books.acknowledge(books.sent)
    one.stop()
    check(books, one.root)


def _flusher_of(server: Server) -> int | None:
    """The process beside it that moves what was accepted, once it runs."""
    for child in psutil.Process(server.process.pid).children():
        # One that was just killed has no command any more.
        with contextlib.suppress(psutil.NoSuchProcess):
            if "whorl.serve.flusher_process" in child.cmdline():
                return child.pid
    return None
