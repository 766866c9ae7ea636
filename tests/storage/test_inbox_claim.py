"""Claiming: in order, once, the crashed batch first and unchanged, and nothing lost to late commits."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from whorl.clock import SimulatedClock
from whorl.storage.inbox import Inbox
from whorl.storage.inbox_claims import Batch
from whorl.storage.inbox_writes import Part
from whorl.storage.ledger.ledger import Ledger
from whorl.storage.ledger.tables import inbox as table

# SQLite has one writer at a time: there, numbers are committed in their order.
many_writers = pytest.mark.parametrize("ledger_url", ["postgres"], indirect=True)


@pytest.fixture
def inbox(ledger: Ledger) -> Iterator[Inbox]:
    opened = Inbox(ledger)
    yield opened
    opened.close()


def _fill(inbox: Inbox, clock: SimulatedClock, count: int, kind: str = "predictions", rows: int = 1) -> None:
    for number in range(count):
        inbox.accept("fraud", [Part(kind, b"%d" % number, rows)], clock.now())


def _claimed(inbox: Inbox, max_rows: int = 100, kind: str = "predictions", max_bytes: int = 1 << 20) -> Batch:
    batch = inbox.claim("fraud", kind, max_rows, max_bytes)
    assert batch is not None
    return batch


def test_nothing_waits_nothing_is_claimed_and_no_number_is_spent(inbox: Inbox, clock: SimulatedClock) -> None:
    assert inbox.claim("fraud", "predictions", 100) is None
    _fill(inbox, clock, 1)
    assert _claimed(inbox).number == 1


def test_payloads_come_in_order_up_to_the_bound_on_rows(inbox: Inbox, clock: SimulatedClock) -> None:
    _fill(inbox, clock, 5, rows=10)
    sizes, seen = [], []
    for number in (1, 2, 3):
        batch = _claimed(inbox, max_rows=15)
        assert batch.number == number
        sizes.append(len(batch.payloads))
        seen += [payload for _, payload in batch.payloads]
        inbox.finish(batch)
    assert (sizes, seen) == ([2, 2, 1], [b"0", b"1", b"2", b"3", b"4"])
    assert inbox.claim("fraud", "predictions", 15) is None


def test_one_large_payload_still_moves(inbox: Inbox, clock: SimulatedClock) -> None:
    inbox.accept("fraud", [Part("predictions", b"x" * 1000, 500)], clock.now())
    _fill(inbox, clock, 3)
    assert len(_claimed(inbox, max_rows=1, max_bytes=1).payloads) == 1


def test_the_bound_on_bytes_holds_too(inbox: Inbox, clock: SimulatedClock) -> None:
    _fill(inbox, clock, 9)
    assert len(_claimed(inbox, max_bytes=4).payloads) == 4


def test_a_crashed_batch_comes_again_first_and_unchanged(
    ledger: Ledger, inbox: Inbox, clock: SimulatedClock
) -> None:
    _fill(inbox, clock, 3)
    crashed = _claimed(inbox, max_rows=2)
    _fill(inbox, clock, 2)
    after_restart = Inbox(ledger)
    assert _claimed(after_restart, max_rows=1) == crashed
    after_restart.finish(crashed)
    following = _claimed(after_restart)
    assert (following.number, len(following.payloads)) == (2, 3)
    after_restart.close()


def test_finishing_again_deletes_nothing_of_the_next_batch(inbox: Inbox, clock: SimulatedClock) -> None:
    _fill(inbox, clock, 2)
    first = _claimed(inbox, max_rows=1)
    inbox.finish(first)
    second = _claimed(inbox)
    inbox.finish(first)
    assert _claimed(inbox) == second


def test_slots_number_their_batches_apart(inbox: Inbox, clock: SimulatedClock) -> None:
    _fill(inbox, clock, 1)
    _fill(inbox, clock, 1, kind="labels")
    inbox.accept("hotel", [Part("predictions", b"", 1)], clock.now())
    assert [_claimed(inbox).number, _claimed(inbox, kind="labels").number] == [1, 1]
    batch = inbox.claim("hotel", "predictions", 1)
    assert batch is not None
    assert batch.number == 1


def test_numbers_go_on_after_the_inbox_was_empty_and_reopened(
    ledger: Ledger, inbox: Inbox, clock: SimulatedClock
) -> None:
    for expected in (1, 2):
        _fill(inbox, clock, 1)
        batch = _claimed(inbox)
        assert batch.number == expected
        inbox.finish(batch)
    reopened = Inbox(ledger)
    _fill(reopened, clock, 1)
    assert _claimed(reopened).number == 3
    reopened.close()


@many_writers
def test_a_row_with_a_lower_number_that_commits_late_is_not_lost(
    ledger: Ledger, clock: SimulatedClock
) -> None:
    """The trap of positions: the transaction that took the first number commits after the batch has gone."""
    inbox = Inbox(ledger)
    with ledger.write() as late:
        row = {"flywheel": "fraud", "kind": "predictions", "rows": 1, "bytes": 4, "received_at": clock.now()}
        late.execute(table.insert(), [{**row, "payload": b"late"}])
        inbox.accept("fraud", [Part("predictions", b"early", 1)], clock.now())
        gone = _claimed(inbox)
    inbox.finish(gone)
    assert [payload for _, payload in gone.payloads] == [b"early"]
    assert [payload for _, payload in _claimed(inbox).payloads] == [b"late"]
    inbox.close()


@many_writers
def test_a_row_that_commits_late_between_claimed_ones_is_not_taken_for_one_of_them(
    ledger: Ledger, clock: SimulatedClock
) -> None:
    inbox = Inbox(ledger)
    _fill(inbox, clock, 1)
    with ledger.write() as late:
        row = {"flywheel": "fraud", "kind": "predictions", "rows": 1, "bytes": 4, "received_at": clock.now()}
        late.execute(table.insert(), [{**row, "payload": b"late"}])
        inbox.accept("fraud", [Part("predictions", b"early", 1)], clock.now())
        gone = _claimed(inbox)
    assert inbox.claim("fraud", "predictions", 100) == gone
    inbox.finish(gone)
    assert [payload for _, payload in gone.payloads] == [b"0", b"early"]
    assert [payload for _, payload in _claimed(inbox).payloads] == [b"late"]
    inbox.close()


def test_flushers_that_claim_at_once_never_have_the_same_row(ledger: Ledger, clock: SimulatedClock) -> None:
    inbox = Inbox(ledger)
    _fill(inbox, clock, 60)
    with ThreadPoolExecutor(6) as pool:
        asked = [pool.submit(inbox.claim, "fraud", "predictions", 10, slot=slot) for slot in range(6)]
        batches = [one.result(60) for one in asked]
    seqs = [row.seq for batch in batches if batch is not None for row in batch.rows]
    assert len(seqs) == len(set(seqs)) == 60
    inbox.close()


def test_every_payload_moves_exactly_once_while_others_accept_and_claim(
    ledger: Ledger, clock: SimulatedClock
) -> None:
    """Two flushers that race get the same batch; a sink that refuses a number twice, as the lake does, keeps it right."""
    inbox, sink, keeping = Inbox(ledger), dict[int, list[bytes]](), threading.Lock()
    accepted = threading.Event()

    def accept(worker: int) -> None:
        for number in range(25):
            inbox.accept("fraud", [Part("predictions", b"%d/%d" % (worker, number), 1)], clock.now())

    def flush() -> None:
        mine = Inbox(ledger)
        while True:
            drained = accepted.is_set()
            batch = mine.claim("fraud", "predictions", 7)
            if batch is None and drained:
                return
            if batch is not None:
                with keeping:
                    payloads = [payload for _, payload in batch.payloads]
                    assert sink.setdefault(batch.number, payloads)[: len(payloads)] == payloads
                mine.finish(batch)

    with ThreadPoolExecutor(6) as pool:
        flushers = [pool.submit(flush) for _ in range(2)]
        for done in [pool.submit(accept, worker) for worker in range(4)]:
            done.result(60)
        accepted.set()
        for flusher in flushers:
            flusher.result(60)
    inbox.close()
    moved = [payload for payloads in sink.values() for payload in payloads]
    assert sorted(moved) == sorted(b"%d/%d" % (worker, number) for worker in range(4) for number in range(25))
