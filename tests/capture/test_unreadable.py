"""What was accepted and cannot be read again holds up nothing behind it, and keeps every byte."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from whorl.capture import flush as module
from whorl.capture.accept import accept
from whorl.capture.flush import Moved, flush
from whorl.capture.sealed import TYPES
from whorl.clock import SimulatedClock
from whorl.errors import StorageError
from whorl.spec import Spec
from whorl.storage import audit, unreadable
from whorl.storage.ledger.tables import inbox as table
from whorl.workspace import Workspace, open_workspace

ARROW = b"\xff\xff\xff\xff\x10\x00\x00\x00 an Arrow stream that rotted"


@pytest.fixture
def ws(spec: Spec, tmp_path: Path, ledger_url: str, clock: SimulatedClock) -> Iterator[Workspace]:
    with open_workspace(
        spec, tmp_path / "ws", ledger_url=ledger_url, clock=clock, holdout_key="ab" * 32
    ) as ws:
        yield ws


def test_the_rest_of_its_batch_and_what_comes_later_move(
    ws: Workspace, clock: SimulatedClock, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a", "rotten", "b"):
        log(ws, name)
    many(ws, "c")
    whole = payloads(ws)
    rot(ws, {1: b"\x93\xc1\xc1\xc1", 3: ARROW})
    rotten = [b"\x93\xc1\xc1\xc1", ARROW]
    told = list[Moved]()
    with caplog.at_level(logging.ERROR):
        assert flush(ws, told.append) == 2
    assert ids(ws) == ["a", "b"]
    assert [moved.rows for moved in told] == [2]
    assert ws.inbox.depth(ws.name).rows == 0
    aside = unreadable.listed(ws.ledger, ws.name)
    assert [(one.kind, one.rows, one.at) for one in aside] == [
        ("predictions", 1, clock.now()),
        ("predictions", 100, clock.now()),
    ]
    assert kept(ws) == rotten
    assert "101 accepted predictions cannot be read" in caplog.text
    assert audit.entries(ws.ledger, ws.name)[0].action == "inbox.set_aside"
    log(ws, "d")
    assert flush(ws) == 1, "numbers go on"
    assert ids(ws) == ["a", "b", "d"]
    # Mended, as by a version that can read them, they move.
    with ws.ledger.write() as conn:
        for one, payload in zip(aside, (whole[1], whole[3]), strict=True):
            mine = unreadable.unreadable.c.id == one.id
            conn.execute(unreadable.unreadable.update().where(mine).values(payload=payload))
    assert unreadable.bring_back(ws.ledger, ws.name, by="ann", at=clock.now()) == 2
    assert unreadable.listed(ws.ledger) == []
    assert flush(ws) == 101
    assert len(ids(ws)) == len(set(ids(ws))) == 104
    assert unreadable.bring_back(ws.ledger, ws.name, by="ann", at=clock.now()) == 0


def test_a_batch_of_nothing_else(ws: Workspace) -> None:
    log(ws, "rotten")
    rot(ws, {0: b"nothing"})
    log(ws, "label", kind="labels")
    assert flush(ws) == 1, "other kinds go on"
    assert flush(ws) == 0
    log(ws, "a")
    rot(ws, {0: b"nothing again"})
    flush(ws)
    log(ws, "b")
    assert flush(ws) == 1
    assert kept(ws) == [b"nothing", b"nothing again"], (
        "the ledger may give a number to two rows, one after the other"
    )
    assert ids(ws) == ["b"]


def test_a_batch_that_is_in_the_lake_already_is_only_finished(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the append and the end, then the disk rots: setting it aside would double it when it is brought back."""
    log(ws, "a")
    log(ws, "b")

    class Killed(BaseException):
        pass

    def dies(_: Any) -> None:
        raise Killed

    with monkeypatch.context() as dying:
        dying.setattr(ws.inbox, "finish", dies)
        with pytest.raises(Killed):
            flush(ws)
    rot(ws, {0: b"nothing"})
    flush(ws)
    assert ids(ws) == ["a", "b"]
    assert unreadable.listed(ws.ledger) == []
    assert ws.inbox.depth(ws.name).rows == 0
    log(ws, "c")
    assert flush(ws) == 1
    assert ids(ws) == ["a", "b", "c"]


def test_killed_between_setting_aside_and_appending(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    log(ws, "a")
    log(ws, "rotten")
    rot(ws, {1: b"nothing"})

    class Killed(BaseException):
        pass

    real = module.set_aside

    def dies(*args: Any) -> None:
        real(*args)
        raise Killed

    with monkeypatch.context() as dying:
        dying.setattr(module, "set_aside", dies)
        with pytest.raises(Killed):
            flush(ws)
    assert flush(ws) == 1
    assert ids(ws) == ["a"]
    assert kept(ws) == [b"nothing"]


def test_what_is_wrong_with_the_disk_sets_nothing_aside(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    log(ws, "a")
    for error in (StorageError("The disk is full."), MemoryError()):

        def fails(*_: Any, error: BaseException = error) -> None:
            raise error

        with monkeypatch.context() as broken:
            broken.setattr(module, "rows_of" if isinstance(error, MemoryError) else "arriving", fails)
            with pytest.raises(type(error)):
                flush(ws)
    assert unreadable.listed(ws.ledger) == []
    assert flush(ws) == 1


def test_what_can_be_read_one_by_one_is_not_set_aside(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    log(ws, "a")
    log(ws, "b")
    log(ws, "label", kind="labels")
    real = module.rows_of

    def only_one(kind: Any, payloads: Any, *rest: Any) -> Any:
        if len(payloads) > 1:
            raise ZeroDivisionError
        return real(kind, payloads, *rest)

    with monkeypatch.context() as broken:
        broken.setattr(module, "rows_of", only_one)
        with pytest.raises(StorageError, match="one by one"):
            flush(ws)
    assert unreadable.listed(ws.ledger) == []
    assert len(read(ws, "labels")) == 1, "other kinds went on"
    assert flush(ws) == 2


def log(ws: Workspace, name: str, kind: Any = "predictions") -> None:
    label = {"prediction_id": name, "value": True, "time": "2025-12-01T00:00:00Z"}
    payment = {"transaction_id": name, "timestamp": "2025-12-01T00:00:00Z", "amount": 1.0}
    assert accept(ws, kind, [label if kind == "labels" else payment]).accepted == 1


def many(ws: Workspace, name: str) -> None:
    """As columns."""
    rows = [{"transaction_id": f"{name}{n}", "timestamp": "2025-12-01T00:00:00Z"} for n in range(100)]
    assert accept(ws, "predictions", rows).accepted == 100


def payloads(ws: Workspace) -> list[bytes]:
    with ws.ledger.read() as conn:
        found = sa.select(table.c.payload).where(table.c.kind == "predictions").order_by(table.c.seq)
        return list(conn.execute(found).scalars())


def rot(ws: Workspace, spoilt: dict[int, bytes]) -> None:
    """Bytes of predictions in the inbox, by their place, become others."""
    with ws.ledger.write() as conn:
        numbers = sa.select(table.c.seq).where(table.c.kind == "predictions").order_by(table.c.seq)
        seqs = list(conn.execute(numbers).scalars())
        for place, payload in spoilt.items():
            conn.execute(table.update().where(table.c.seq == seqs[place]).values(payload=payload))


def kept(ws: Workspace) -> list[bytes]:
    with ws.ledger.read() as conn:
        column = unreadable.unreadable.c
        return list(conn.execute(sa.select(column.payload).order_by(column.id)).scalars())


def ids(ws: Workspace) -> list[str]:
    return read(ws, "predictions")


def read(ws: Workspace, kind: Any) -> list[str]:
    assert kind in TYPES
    found: list[str] = ws.engine.query(f"SELECT id FROM {ws.lake.relation(kind)} ORDER BY id")[
        "id"
    ].to_pylist()
    return found
