"""A ledger that is older than the lake: what is accepted by it is moved, whatever the lake has already."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from whorl.capture.accept import accept
from whorl.capture.flush import flush
from whorl.clock import SimulatedClock
from whorl.errors import StorageError
from whorl.spec import Spec
from whorl.storage.ledger.tables import inbox, inbox_claims, inbox_slots
from whorl.workspace import Workspace, open_workspace

TABLES = (inbox, inbox_claims, inbox_slots)
Backup = list[list[dict[str, Any]]]


@pytest.fixture
def opened(spec: Spec, tmp_path: Path, ledger_url: str, clock: SimulatedClock) -> Iterator[Workspace]:
    with open_workspace(
        spec, tmp_path / "ws", ledger_url=ledger_url, clock=clock, holdout_key="ab" * 32
    ) as ws:
        yield ws


def test_what_it_accepts_is_moved_and_the_log_says_what_happened(
    opened: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    log(opened, "a1")
    assert flush(opened) == 1
    backup = saved(opened)
    for name in ("b1", "b2", "b3"):
        log(opened, name)
        assert flush(opened) == 1
    assert "older than the lake" not in caplog.text
    restore(opened, backup)
    with caplog.at_level(logging.WARNING):
        for name in ("c1", "c2"):
            log(opened, name)
            assert flush(opened) == 1
    assert ids(opened) == ["a1", "b1", "b2", "b3", "c1", "c2"]
    assert opened.inbox.depth(opened.name).rows == 0
    (said,) = [record.getMessage() for record in caplog.records if "older than the lake" in record.message]
    assert "batch 1 as the last that was moved, and the lake has batch 4" in said


def test_one_from_before_the_first_batch(opened: Workspace) -> None:
    backup = saved(opened)
    log(opened, "a")
    flush(opened)
    restore(opened, backup)
    log(opened, "b")
    assert flush(opened) == 1
    assert ids(opened) == ["a", "b"]


def test_what_was_claimed_in_it_is_in_the_lake_and_is_only_finished(opened: Workspace) -> None:
    log(opened, "a")
    assert opened.inbox.claim(opened.name, "predictions", 10) is not None
    backup = saved(opened)
    flush(opened)
    log(opened, "b")
    flush(opened)
    restore(opened, backup)
    log(opened, "c")
    assert flush(opened) == 1, "not the one that was moved before"
    assert ids(opened) == ["a", "b", "c"]
    assert opened.inbox.depth(opened.name).rows == 0


def test_stopped_between_the_claim_and_the_append(opened: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its number is another one already: the next flush does not take it for a batch that was moved."""
    backup = saved(opened)
    log(opened, "a")
    flush(opened)
    restore(opened, backup)
    log(opened, "b")

    def full(*_: Any, **__: Any) -> bool:
        raise StorageError("The disk is full.")

    with monkeypatch.context() as broken:
        broken.setattr(opened.lake, "append", full)
        with pytest.raises(StorageError):
            flush(opened)
    assert flush(opened) == 1
    assert ids(opened) == ["a", "b"]


def log(ws: Workspace, name: str) -> None:
    payment = {"transaction_id": name, "timestamp": "2025-12-01T00:00:00Z"}
    assert accept(ws, "predictions", [payment]).accepted == 1


def ids(ws: Workspace) -> list[str]:
    sql = f"SELECT id FROM {ws.lake.relation('predictions')} ORDER BY id"
    found: list[str] = ws.engine.query(sql)["id"].to_pylist()
    return found


def saved(ws: Workspace) -> Backup:
    """What a backup would hold of the inbox."""
    with ws.ledger.read() as conn:
        return [[dict(row._mapping) for row in conn.execute(sa.select(table))] for table in TABLES]


def restore(ws: Workspace, backup: Backup) -> None:
    with ws.ledger.write() as conn:
        for table, rows in zip(TABLES, backup, strict=True):
            conn.execute(table.delete())
            if rows:
                conn.execute(table.insert(), rows)
