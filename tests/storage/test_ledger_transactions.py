"""Reading and writing: times that compare, all or nothing, a full disk that is told, readers beside a writer."""

import contextlib
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError

from whorl.clock import SimulatedClock
from whorl.errors import StorageError
from whorl.storage import audit, watermarks
from whorl.storage.ledger.ledger import Ledger
from whorl.storage.ledger.tables import meta, specs
from whorl.storage.ledger.tables import watermarks as table

embedded = pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
NOON = datetime(2026, 3, 29, 12, tzinfo=UTC)


def test_times_keep_their_instant_and_microseconds_and_come_back_in_utc(ledger: Ledger) -> None:
    tokyo = timezone(timedelta(hours=9))
    times = [
        NOON.astimezone(tokyo),
        NOON + timedelta(microseconds=1),
        (NOON - timedelta(seconds=1)).replace(tzinfo=None),
    ]
    with ledger.write() as conn:
        for number, at in enumerate(times):
            watermarks.put(conn, "fraud", str(number), number, at)
    with ledger.read() as conn:
        stored = list(conn.execute(sa.select(table.c.updated_at).order_by(table.c.updated_at)).scalars())
        later = sa.select(table.c.source).where(table.c.updated_at > NOON.astimezone(tokyo))
        assert list(conn.execute(later).scalars()) == ["1"]
    assert stored == [NOON - timedelta(seconds=1), NOON, NOON + timedelta(microseconds=1)]
    assert all(at.tzinfo is UTC for at in stored)


def test_an_exception_takes_everything_back(ledger: Ledger) -> None:
    with contextlib.suppress(RuntimeError), ledger.write() as conn:
        conn.execute(meta.insert().values(key="half", value="written"))
        raise RuntimeError
    with ledger.read() as conn:
        assert conn.execute(sa.select(meta.c.value).where(meta.c.key == "half")).all() == []


def test_a_row_needs_what_it_refers_to(ledger: Ledger, clock: SimulatedClock) -> None:
    row = {"flywheel": "nobody", "version": 1, "hash": "", "body": {}, "created_at": clock.now()}
    with pytest.raises(IntegrityError), ledger.write() as conn:
        conn.execute(specs.insert().values(row))


def test_a_reading_transaction_refuses_to_write(ledger: Ledger) -> None:
    with pytest.raises(StorageError), ledger.read() as conn:
        conn.execute(meta.insert().values(key="sneaked", value="in"))
    with ledger.write() as conn:
        conn.execute(meta.insert().values(key="honest", value="in"))


def test_readers_do_not_wait_for_a_writer_nor_see_what_is_not_committed(ledger: Ledger) -> None:
    with ledger.write() as writing:
        writing.execute(meta.insert().values(key="draft", value=""))
        with ledger.read() as reading:
            assert reading.execute(sa.select(meta.c.key).where(meta.c.key == "draft")).all() == []


def test_writers_that_read_first_lose_no_update(ledger: Ledger, clock: SimulatedClock) -> None:
    with ledger.write() as conn:
        watermarks.put(conn, "fraud", "counter", 0, clock.now())

    def add() -> None:
        for _ in range(10):
            with ledger.write() as conn:
                conn.execute(sa.select(table.c.value).with_for_update()).all()
                watermarks.put(
                    conn, "fraud", "counter", watermarks.get(conn, "fraud", "counter") + 1, clock.now()
                )

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with ledger.read() as conn:
        assert watermarks.get(conn, "fraud", "counter") == 40


@pytest.fixture
def small_disk(ledger: Ledger) -> Iterator[Ledger]:
    """A ledger whose file may not grow any more."""

    def limit(connection: object, *_: object) -> None:
        connection.execute("PRAGMA max_page_count = 1")  # type: ignore[attr-defined]

    ledger.engine.dispose()
    event.listen(ledger.engine, "connect", limit)
    yield ledger
    event.remove(ledger.engine, "connect", limit)


@embedded
def test_a_full_disk_is_told_with_its_place_and_nothing_is_half_written(small_disk: Ledger) -> None:
    rows = [{"key": "small", "value": "x"}, {"key": "large", "value": "x" * 1_000_000}]
    with pytest.raises(StorageError, match="disk is full") as refused, small_disk.write() as conn:
        conn.execute(meta.insert(), rows)
    assert refused.value.where.endswith("ledger.db")
    assert "Free space" in refused.value.hint
    with small_disk.read() as conn:
        assert conn.execute(sa.select(meta.c.key).where(meta.c.key.in_(["small", "large"]))).all() == []


@embedded
def test_an_embedded_ledger_syncs_every_commit(ledger: Ledger) -> None:
    with ledger.read() as conn:
        found = [
            conn.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert found == ["wal", 2, 1]


def test_watermarks_stay_or_go_with_their_transaction(ledger: Ledger, clock: SimulatedClock) -> None:
    with ledger.write() as conn:
        assert watermarks.get(conn, "fraud", "warehouse") is None
        watermarks.put(conn, "fraud", "warehouse", {"updated_at": NOON, "id": "a\0b"}, clock.now())
    with contextlib.suppress(RuntimeError), ledger.write() as conn:
        watermarks.put(conn, "fraud", "warehouse", {"updated_at": None}, clock.now())
        raise RuntimeError
    with ledger.read() as conn:
        kept = watermarks.get(conn, "fraud", "warehouse")
        assert watermarks.get(conn, "hotel", "warehouse") is None
    assert kept == {"updated_at": "2026-03-29T12:00:00Z", "id": "a\0b"}


def test_the_audit_trail_reads_newest_first_and_by_pages(ledger: Ledger, clock: SimulatedClock) -> None:
    with ledger.write() as conn:
        for number in range(3):
            audit.append(conn, "fraud", at=clock.now(), by="ada", action="model.promote", body={"n": number})
        audit.append(conn, None, at=clock.now(), by="ada", action="key.create", body={})
    newest, *_ = page = audit.entries(ledger, "fraud", limit=2)
    assert [entry.body["n"] for entry in page] == [2, 1]
    assert [entry.body["n"] for entry in audit.entries(ledger, "fraud", before=page[-1].seq)] == [0]
    assert (newest.by, newest.action, newest.at) == ("ada", "model.promote", clock.now())
    assert len(audit.entries(ledger)) == 4
