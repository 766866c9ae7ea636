"""Accepting: acknowledged means committed, shared commits, each caller its own answer, a bound on what waits."""

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import event

from whorl.clock import SimulatedClock
from whorl.errors import InboxFull, StateError, StorageError
from whorl.storage.group_commit import GroupCommit
from whorl.storage.inbox import Depth, Inbox, _Write
from whorl.storage.ledger.ledger import Ledger

ACCEPT_AND_DIE = """
import os, signal, sys
from whorl.clock import RealClock
from whorl.storage.inbox import Inbox
from whorl.storage.ledger.ledger import Ledger
clock = RealClock()
inbox = Inbox(Ledger.open(sys.argv[1], clock))
inbox.accept("fraud", "predictions", b"acknowledged", 3, clock.now())
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def inbox(ledger: Ledger) -> Iterator[Inbox]:
    opened = Inbox(ledger, capacity_bytes=1000)
    yield opened
    opened.close()


def test_what_was_accepted_survives_kill_9(ledger: Ledger, inbox: Inbox) -> None:
    killed = subprocess.run([sys.executable, "-c", ACCEPT_AND_DIE, ledger.url], timeout=60, check=False)
    assert killed.returncode == -9
    batch = inbox.claim("fraud", "predictions", 100)
    assert batch is not None
    assert [payload for _, payload in batch.payloads] == [b"acknowledged"]
    assert inbox.depth("fraud").rows == 3


def test_depth_counts_rows_bytes_and_the_oldest(inbox: Inbox, clock: SimulatedClock) -> None:
    assert inbox.depth("fraud") == Depth(0, 0, None)
    first = clock.now()
    inbox.accept("fraud", "labels", b"12345", 2, first)
    inbox.accept("fraud", "predictions", b"123", 1, first + timedelta(hours=1))
    inbox.accept("hotel", "predictions", b"1", 1, first - timedelta(hours=1))
    assert inbox.depth("fraud") == Depth(3, 8, first)


def test_what_does_not_fit_is_refused_whole_until_there_is_room(inbox: Inbox, clock: SimulatedClock) -> None:
    inbox.accept("fraud", "predictions", b"x" * 600, 6, clock.now())
    with pytest.raises(InboxFull, match="capacity of 1000") as refused:
        inbox.accept("hotel", "predictions", b"x" * 500, 5, clock.now())
    assert refused.value.facts["used"] == 600
    inbox.accept("hotel", "predictions", b"x" * 400, 4, clock.now())
    batch = inbox.claim("fraud", "predictions", 100)
    assert batch is not None
    inbox.finish(batch)
    inbox.accept("hotel", "predictions", b"x" * 500, 5, clock.now())
    assert inbox.depth("hotel")[:2] == (9, 900)


def test_two_inboxes_of_one_ledger_share_its_capacity(
    ledger: Ledger, inbox: Inbox, clock: SimulatedClock
) -> None:
    inbox.accept("fraud", "predictions", b"x" * 600, 1, clock.now())
    other = Inbox(ledger, capacity_bytes=1000)
    with pytest.raises(InboxFull):
        other.accept("fraud", "predictions", b"x" * 600, 1, clock.now())
    other.close()


def test_callers_that_come_while_a_commit_runs_share_the_next_one(
    ledger: Ledger, clock: SimulatedClock
) -> None:
    inbox, commits, first_is_in, all_wait = Inbox(ledger), 0, threading.Event(), threading.Event()

    def on_commit(_: object) -> None:
        nonlocal commits
        commits += 1
        first_is_in.set()
        assert all_wait.wait(30)

    with ThreadPoolExecutor(20) as pool:
        event.listen(ledger.engine, "commit", on_commit)
        answers = [pool.submit(inbox.accept, "fraud", "predictions", b"0", 1, clock.now())]
        assert first_is_in.wait(30)
        answers += [
            pool.submit(inbox.accept, "fraud", "predictions", b"n", 1, clock.now()) for _ in range(19)
        ]
        assert _until(lambda: inbox._group._waiting.qsize() == 19)
        assert not any(answer.done() for answer in answers)
        all_wait.set()
        for answer in answers:
            answer.result(30)
        event.remove(ledger.engine, "commit", on_commit)
    inbox.close()
    assert commits == 2
    assert inbox.depth("fraud").rows == 20


def test_one_refused_payload_does_not_take_its_neighbours_down(ledger: Ledger, clock: SimulatedClock) -> None:
    inbox = Inbox(ledger)
    good = [("fraud", "predictions", b"%d" % n, 1, clock.now()) for n in range(5)]
    bad = ("fraud", "predictions", b"", None, clock.now())
    outcomes = inbox._commit(
        [*(_Write(*row) for row in good[:3]), _Write(*bad), *(_Write(*row) for row in good[3:])]
    )
    assert [type(outcome) for outcome in outcomes] == [*[type(None)] * 3, StorageError, *[type(None)] * 2]
    assert inbox.depth("fraud").rows == 5
    with pytest.raises(StorageError, match="refused a payload"):
        inbox.accept(*bad)  # type: ignore[arg-type]
    inbox.close()


@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
def test_when_the_disk_is_full_every_caller_hears_it(ledger: Ledger, clock: SimulatedClock) -> None:
    def limit(connection: sqlite3.Connection, *_: object) -> None:
        connection.execute("PRAGMA max_page_count = 1")

    ledger.engine.dispose()
    event.listen(ledger.engine, "connect", limit)
    inbox = Inbox(ledger)
    with ThreadPoolExecutor(4) as pool:
        answers = [
            pool.submit(inbox.accept, "fraud", "predictions", b"x" * 100_000, 1, clock.now())
            for _ in range(4)
        ]
        assert ["disk is full" in str(answer.exception(30)) for answer in answers] == [True] * 4
    assert inbox.depth("fraud").rows == 0
    inbox.close()


def test_a_closed_inbox_has_kept_everything_and_takes_no_more(ledger: Ledger, clock: SimulatedClock) -> None:
    inbox = Inbox(ledger)
    inbox.accept("fraud", "predictions", b"x", 1, clock.now())
    inbox.close()
    inbox.close()
    with pytest.raises(StateError, match="closed"):
        inbox.accept("fraud", "predictions", b"x", 1, clock.now())
    assert inbox.depth("fraud").rows == 1


def test_a_group_that_gives_too_few_answers_is_everyones_error() -> None:
    group: GroupCommit[int] = GroupCommit(lambda _: [ValueError("mine")])
    with pytest.raises(ValueError, match="mine"):
        group.submit(1)
    group.close()


def _until(condition: Callable[[], bool]) -> bool:
    return any(condition() or threading.Event().wait(0.001) for _ in range(30_000))
