"""Accepting: acknowledged means committed, shared commits, each caller its own answer, a bound on what waits."""

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event

from whorl.clock import SimulatedClock
from whorl.errors import InboxFull, StateError, StorageError
from whorl.storage import inbox as module
from whorl.storage.group_commit import GroupCommit
from whorl.storage.inbox import Answered, Depth, Inbox
from whorl.storage.inbox_writes import Named, Part, Write
from whorl.storage.ledger.ledger import Ledger

ACCEPT_AND_DIE = """
import os, signal, sys
from whorl.clock import RealClock
from whorl.storage.inbox import Inbox
from whorl.storage.inbox_writes import Part
from whorl.storage.ledger.ledger import Ledger
clock = RealClock()
inbox = Inbox(Ledger.open(sys.argv[1], clock))
inbox.accept("fraud", [Part("predictions", b"acknowledged", 3)], clock.now())
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
    inbox.accept("fraud", [Part("labels", b"12345", 2)], first)
    inbox.accept("fraud", [Part("predictions", b"123", 1)], first + timedelta(hours=1))
    inbox.accept("hotel", [Part("predictions", b"1", 1)], first - timedelta(hours=1))
    assert inbox.depth("fraud") == Depth(3, 8, first)


def test_what_does_not_fit_is_refused_whole_until_there_is_room(inbox: Inbox, clock: SimulatedClock) -> None:
    inbox.accept("fraud", [Part("predictions", b"x" * 600, 6)], clock.now())
    with pytest.raises(InboxFull, match="capacity of 1000") as refused:
        inbox.accept("hotel", [Part("predictions", b"x" * 500, 5)], clock.now())
    assert refused.value.facts["used"] == 600
    inbox.accept("hotel", [Part("predictions", b"x" * 400, 4)], clock.now())
    batch = inbox.claim("fraud", "predictions", 100)
    assert batch is not None
    inbox.finish(batch)
    inbox.accept("hotel", [Part("predictions", b"x" * 500, 5)], clock.now())
    assert inbox.depth("hotel")[:2] == (9, 900)


def test_two_inboxes_of_one_ledger_share_its_capacity(
    ledger: Ledger, inbox: Inbox, clock: SimulatedClock
) -> None:
    inbox.accept("fraud", [Part("predictions", b"x" * 600, 1)], clock.now())
    other = Inbox(ledger, capacity_bytes=1000)
    with pytest.raises(InboxFull):
        other.accept("fraud", [Part("predictions", b"x" * 600, 1)], clock.now())
    other.close()


def test_callers_that_come_while_a_commit_runs_share_the_next_one(
    ledger: Ledger, clock: SimulatedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits, first_is_in, all_wait = 0, threading.Event(), threading.Event()
    commit = Inbox._commit

    def held(self: Inbox, group: Sequence[Write]) -> Any:
        nonlocal commits
        commits += 1
        first_is_in.set()
        assert all_wait.wait(30)
        return commit(self, group)

    monkeypatch.setattr(Inbox, "_commit", held)
    inbox = Inbox(ledger)
    with ThreadPoolExecutor(20) as pool:
        answers = [pool.submit(inbox.accept, "fraud", [Part("predictions", b"0", 1)], clock.now())]
        assert first_is_in.wait(30)
        answers += [
            pool.submit(inbox.accept, "fraud", [Part("predictions", b"n", 1)], clock.now()) for _ in range(19)
        ]
        assert _until(lambda: inbox._group._waiting.qsize() == 19)
        assert not any(answer.done() for answer in answers)
        all_wait.set()
        for answer in answers:
            answer.result(30)
    inbox.close()
    assert commits == 2
    assert inbox.depth("fraud").rows == 20


def test_one_refused_payload_does_not_take_its_neighbours_down(ledger: Ledger, clock: SimulatedClock) -> None:
    inbox = Inbox(ledger)
    good = [Write("fraud", [Part("predictions", b"%d" % n, 1)], clock.now()) for n in range(5)]
    bad = [Part("predictions", b"", None)]  # type: ignore[arg-type]
    outcomes = inbox._commit([*good[:3], Write("fraud", bad, clock.now()), *good[3:]])
    assert [type(outcome) for outcome in outcomes] == [*[type(None)] * 3, StorageError, *[type(None)] * 2]
    assert inbox.depth("fraud").rows == 5
    with pytest.raises(StorageError, match="refused a payload"):
        inbox.accept("fraud", bad, clock.now())
    inbox.close()


@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
def test_when_the_disk_is_full_every_caller_hears_it(
    ledger: Ledger, clock: SimulatedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def limit(connection: sqlite3.Connection, *_: object) -> None:
        connection.execute("PRAGMA max_page_count = 1")

    ledger.engine.dispose()
    event.listen(ledger.engine, "connect", limit)
    monkeypatch.setattr("whorl.storage.ledger.ledger._set_up_sqlite", limit)
    inbox = Inbox(ledger)
    with ThreadPoolExecutor(4) as pool:
        answers = [
            pool.submit(inbox.accept, "fraud", [Part("predictions", b"x" * 100_000, 1)], clock.now())
            for _ in range(4)
        ]
        assert ["disk is full" in str(answer.exception(30)) for answer in answers] == [True] * 4
    assert inbox.depth("fraud").rows == 0
    inbox.close()


def test_a_closed_inbox_has_kept_everything_and_takes_no_more(ledger: Ledger, clock: SimulatedClock) -> None:
    inbox = Inbox(ledger)
    inbox.accept("fraud", [Part("predictions", b"x", 1)], clock.now())
    inbox.close()
    inbox.close()
    with pytest.raises(StateError, match="closed"):
        inbox.accept("fraud", [Part("predictions", b"x", 1)], clock.now())
    assert inbox.depth("fraud").rows == 1


def test_a_group_that_gives_too_few_answers_is_everyones_error() -> None:
    group: GroupCommit[int, None] = GroupCommit(lambda _: [])
    with pytest.raises(StateError, match="0 answers"):
        group.submit(1)
    group.close()


def test_the_parts_of_a_batch_are_kept_together_or_not_at_all(inbox: Inbox, clock: SimulatedClock) -> None:
    with pytest.raises(InboxFull):
        inbox.accept("fraud", [Part("predictions", b"1", 1), Part("labels", b"x" * 1000, 1)], clock.now())
    assert inbox.depth("fraud").rows == 0
    inbox.accept("fraud", [Part("predictions", b"1", 1), Part("labels", b"x" * 900, 1)], clock.now())
    assert inbox.depth("fraud")[:2] == (2, 901)


def test_a_batch_that_named_itself_is_kept_once_and_answered_again(
    inbox: Inbox, clock: SimulatedClock
) -> None:
    named = Named("predictions", "key-1", "digest", {"accepted": 1})
    other = Named("predictions", "key-1", "another", {"accepted": 7})
    assert inbox.answer_to("fraud", "predictions", "key-1") is None
    assert inbox.accept("fraud", [Part("predictions", b"1", 1)], clock.now(), named) is None
    assert inbox.answer_to("fraud", "predictions", "key-1") == named
    assert inbox.accept("fraud", [Part("predictions", b"2", 1)], clock.now(), other) == named
    assert inbox.accept("hotel", [Part("predictions", b"3", 1)], clock.now(), other) is None
    assert (inbox.depth("fraud").rows, inbox.depth("hotel").rows) == (1, 1)


def test_batches_of_one_name_at_once_are_one(ledger: Ledger, clock: SimulatedClock) -> None:
    inboxes = [Inbox(ledger) for _ in range(4)]

    def send(number: int) -> Named | None:
        named = Named("labels", f"key-{number % 5}", str(number), number)
        return inboxes[number % 4].accept("fraud", [Part("labels", b"x", 1)], clock.now(), named)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, range(40)))
    assert answers.count(None) == 5
    assert inboxes[0].depth("fraud").rows == 5
    for one in inboxes:
        one.close()


def test_a_name_is_forgotten_when_it_is_old(inbox: Inbox, clock: SimulatedClock) -> None:
    for hours, key in ((0, "old"), (2, "young")):
        named = Named("labels", key, "d", None)
        inbox.accept("fraud", [Part("labels", b"x", 1)], clock.now() + timedelta(hours=hours), named)
    assert inbox.forget_names("fraud", clock.now() + timedelta(hours=1)) == 1
    assert inbox.answer_to("fraud", "labels", "old") is None
    assert inbox.answer_to("fraud", "labels", "young") is not None


def test_names_are_forgotten_in_pieces_between_which_others_write(
    inbox: Inbox, clock: SimulatedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        for flywheel in ("fraud", "churn"):
            named = Named("labels", f"k{number}", "d", None)
            inbox.accept(flywheel, [Part("labels", b"x", 1)], clock.now(), named)
    between: list[Answered] = []

    def another_writes(_: float) -> None:
        between.append(inbox.accept("fraud", [Part("labels", b"meanwhile", 1)], clock.now()))

    monkeypatch.setattr(module, "_FORGOTTEN_TOGETHER", 2)
    monkeypatch.setattr(module, "sleep", another_writes)
    assert inbox.forget_names("fraud", clock.now() + timedelta(hours=1)) == 5
    assert between == [None, None]
    known = [
        [inbox.answer_to(name, "labels", f"k{n}") is not None for n in range(5)]
        for name in ("fraud", "churn")
    ]
    assert known == [[False] * 5, [True] * 5]


def test_a_name_whose_payload_was_refused_is_free(ledger: Ledger, clock: SimulatedClock) -> None:
    inbox, named = Inbox(ledger), Named("labels", "k", "d", None)
    with pytest.raises(StorageError, match="refused a payload"):
        inbox.accept("fraud", [Part("labels", b"", None)], clock.now(), named)  # type: ignore[arg-type]
    assert inbox.accept("fraud", [Part("labels", b"1", 1)], clock.now(), named) is None
    inbox.close()


@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
def test_a_disk_with_little_left_takes_nothing_until_it_has_room(
    ledger: Ledger, clock: SimulatedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox = Inbox(ledger)
    with monkeypatch.context() as full:
        full.setattr("whorl.storage.inbox.free_bytes", lambda _: 10)
        with pytest.raises(InboxFull, match="no room for 11 bytes"):
            inbox.accept("fraud", [Part("labels", b"x" * 11, 1)], clock.now())
        inbox.accept("fraud", [Part("labels", b"x" * 10, 1)], clock.now())
    inbox.accept("fraud", [Part("labels", b"x" * 11, 1)], clock.now())
    assert inbox.depth("fraud").rows == 2
    inbox.close()


def _until(condition: Callable[[], bool]) -> bool:
    return any(condition() or threading.Event().wait(0.001) for _ in range(30_000))
