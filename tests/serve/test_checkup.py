"""What `whorl doctor` finds: each thing that goes wrong gives its line, and nothing that is broken raises."""

import os
import shutil
import sqlite3
import time
from collections import namedtuple
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from whorl.capture.accept import accept
from whorl.capture.flush import flush
from whorl.clock import SimulatedClock
from whorl.serve.checkup import ledger as of_ledger
from whorl.serve.checkup import machine
from whorl.serve.checkup.check import Check
from whorl.serve.checkup.checkup import checkup
from whorl.spec import parse_spec
from whorl.storage import api_keys, cycles, unreadable
from whorl.storage.ledger import tables as t
from whorl.storage.lock import TURNING, hold
from whorl.storage.outbox import Outbox
from whorl.workspace import Workspace, open_workspace

TOML = """
name = "shop"
task = "binary"
[schema]
id = "id"
time = "time"
label = "label"
[schema.features]
amount = "float"
"""
ROW = {"id": "a", "time": "2026-01-01T00:00:00Z", "amount": 1, "label": True}
Look = Callable[..., dict[str, Check]]


@pytest.fixture
def clock() -> SimulatedClock:
    """The machine's time, so that files are not from another age."""
    return SimulatedClock(datetime.now(UTC))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "ws"


@pytest.fixture
def ws(root: Path, clock: SimulatedClock) -> Iterator[Workspace]:
    """With one prediction and one label in the lake."""
    with open_workspace(parse_spec(TOML), root, clock=clock) as opened:
        accept(opened, "predictions", [ROW])
        flush(opened)
        yield opened


@pytest.fixture
def look(root: Path, clock: SimulatedClock) -> Look:
    """The checks by name; of several of one name the worst."""

    def look(*specs: Path) -> dict[str, Check]:
        worst: dict[str, Check] = {}
        for check in sorted(checkup(root, specs, clock), key=lambda c: ["ok", "warn", "bad"].index(c.level)):
            worst[check.what] = check
        return worst

    return look


def levels(found: dict[str, Check]) -> dict[str, str]:
    """What is not well."""
    return {what: check.level for what, check in found.items() if check.level != "ok"}


def test_all_is_well_beside_whoever_runs_it(ws: Workspace, look: Look) -> None:
    before = sorted(ws.root.rglob("*"))
    assert levels(look()) == {}
    assert sorted(ws.root.rglob("*")) == before, "looking makes nothing"
    with hold(ws.root, ws.ledger, TURNING):
        found = look()
        assert levels(found) == {}
        assert f"Process {os.getpid()} on" in found["lock"].message
        with pytest.raises(Exception, match="holds this workspace"):
            hold(ws.root, ws.ledger, TURNING)
    assert len(found) >= 14
    assert "No process" in look()["lock"].message
    assert [p for p in sorted(ws.root.rglob("*")) if p not in before] == [ws.root / "turning.lock"]


def test_a_workspace_that_is_not_there(look: Look, root: Path) -> None:
    assert levels(look()) == {"workspace": "bad", "ledger file": "bad"}
    assert not root.exists(), "looking makes nothing"


@pytest.mark.parametrize("harm", ["cut", "empty", "garbage", "gone", "a page"])
def test_a_ledger_that_is_damaged(ws: Workspace, look: Look, harm: str) -> None:
    ws.close()
    path = ws.root / "ledger.db"
    whole = path.read_bytes()
    if harm == "gone":
        path.unlink()
    else:
        middle = len(whole) // 2
        path.write_bytes(
            {
                "cut": whole[: middle + 100],
                "empty": b"",
                "garbage": b"\x00garbage" * 5000,
                "a page": whole[:4096] + b"\xff" * (len(whole) - 8192) + whole[-4096:],
            }[harm]
        )
    found = look()
    bad = [check for check in found.values() if check.level == "bad"]
    assert [check.what for check in bad] == ["ledger file"]
    assert bad[0].where == str(path)
    assert "backup" in bad[0].hint


def test_a_ledger_of_another_revision(ws: Workspace, look: Look) -> None:
    def be(revision: str) -> Check:
        with sqlite3.connect(ws.root / "ledger.db") as conn:
            conn.execute("UPDATE alembic_version SET version_num = ?", (revision,))
        conn.close()
        return look()["ledger"]

    assert be("0001").level == "warn"
    assert be("9999").level == "bad"
    assert be(of_ledger.HEAD).level == "ok"


@pytest.mark.parametrize("harm", ["lake", "table", "file", "cut", "log"])
def test_a_lake_that_lost_something(ws: Workspace, look: Look, harm: str) -> None:
    table = ws.root / "lake" / "shop" / "predictions"
    data = next(table.rglob("*.parquet"))
    if harm == "lake":
        shutil.rmtree(ws.root / "lake")
    elif harm == "table":
        shutil.rmtree(table)
    elif harm == "file":
        data.unlink()
    elif harm == "cut":
        data.write_bytes(data.read_bytes()[:-10])
    else:
        for entry in (table / "_delta_log").iterdir():
            entry.write_text("{not a log")
    found = look()
    assert levels(found) == {"lake": "bad"}
    assert found["lake"].where.startswith(str(ws.root / "lake" / "shop"))
    assert "backup" in found["lake"].hint


def test_without_rights(ws: Workspace, look: Look) -> None:
    look()
    ws.close()
    ws.root.chmod(0)
    mine = os.geteuid()
    if mine == 0:
        os.seteuid(65534)
    try:
        found = look()
    finally:
        os.seteuid(mine)
        ws.root.chmod(0o755)
    assert found["workspace"].level == "bad"
    assert found["ledger file"].level == "bad"
    assert levels(look()) == {}


def test_flushes_that_are_stuck(ws: Workspace, look: Look, clock: SimulatedClock) -> None:
    accept(ws, "predictions", [{**ROW, "id": "b"}], clock.now())
    assert look()["inbox"].level == "ok", "a moment ago"
    assert ws.inbox.claim("shop", "predictions", 10) is not None
    clock.advance(timedelta(minutes=2))
    found = look()["inbox"]
    assert (found.level, found.where) == ("warn", "shop")
    assert "1 batch(es) were begun" in found.message
    assert "whorl serve" in found.hint
    clock.advance(timedelta(minutes=20))
    assert look()["inbox"].level == "bad"
    flush(ws)
    assert look()["inbox"].level == "ok"


def test_what_could_not_be_read(ws: Workspace, look: Look, clock: SimulatedClock) -> None:
    assert look()["unreadable"].level == "ok"
    accept(ws, "predictions", [{**ROW, "id": "b"}], clock.now())
    batch = ws.inbox.claim("shop", "predictions", 10)
    assert batch is not None
    unreadable.set_aside(ws.ledger, batch, {batch.rows[0].seq: "DecodeError: torn"}, clock.now())
    found = look()["unreadable"]
    assert (found.level, found.where) == ("bad", "shop")
    assert "1 accepted records" in found.message
    assert "DecodeError: torn" in found.message
    assert "whorl inbox retry" in found.hint
    unreadable.bring_back(ws.ledger, "shop", by="test", at=clock.now())
    assert look()["unreadable"].level == "ok"


def test_cycles_that_stopped(ws: Workspace, look: Look, clock: SimulatedClock) -> None:
    first = cycles.start(ws.ledger, "shop", "manual", clock.now(), ws.spec_hash)
    found = look()["cycles"]
    assert (found.level, first in found.message) == ("warn", True)
    with hold(ws.root, ws.ledger, TURNING):
        assert look()["cycles"].level == "ok", "somebody runs it"
        clock.advance(timedelta(days=2))
        assert look()["cycles"].level == "warn"
    cycles.move(ws.ledger, "shop", first, "failed", error={"message": "No rows."})
    assert "No rows." in look()["cycles"].message


def test_messages_that_do_not_arrive(ws: Workspace, look: Look, clock: SimulatedClock) -> None:
    box = Outbox(ws.ledger)
    with ws.ledger.write() as conn:
        box.put(conn, "shop", "https://hooks.example/x", {"a": 1})
    assert look()["outbox"].level == "ok", "not tried yet"
    [message] = box.due(clock.now())
    box.failed(message.id, "HTTP status 500", clock.now())
    found = look()["outbox"]
    assert found.level == "warn"
    assert "HTTP status 500" in found.message


def test_mlflow_that_is_behind(ws: Workspace, look: Look, clock: SimulatedClock) -> None:
    with ws.ledger.write() as conn:
        conn.execute(
            t.pointers.insert().values(
                flywheel="shop", alias="champion", changed_at=clock.now(), mirrored=False
            )
        )
    assert look()["mlflow"].level == "ok", "it has a minute"
    clock.advance(timedelta(hours=5))
    assert "champion of shop is behind for 5 h" in look()["mlflow"].message


def test_a_clock_that_was_set_back(ws: Workspace, look: Look, clock: SimulatedClock) -> None:
    later = clock.now() + timedelta(hours=1)
    with ws.ledger.write() as conn:
        conn.execute(sa.update(t.specs).values(created_at=later))
    found = look()["clock"]
    assert found.level == "bad"
    assert "3600 s behind" in found.message
    clock.advance(timedelta(hours=1))
    assert levels(look()) == {"file clock": "warn"}


def test_what_died_halfway(ws: Workspace, look: Look) -> None:
    folder = ws.root / "datasets" / "shop" / "training"
    folder.mkdir(parents=True)
    draft = folder / "3.draft"
    draft.touch()
    assert look()["leftovers"].level == "ok", "it may be in the making"
    long_ago = time.time() - 7200
    os.utime(draft, (long_ago, long_ago))
    found = look()["leftovers"]
    assert (found.level, found.where) == ("warn", str(folder))
    assert draft.exists(), "looking deletes nothing"


def test_keys_that_end(ws: Workspace, look: Look, clock: SimulatedClock) -> None:
    key, _ = api_keys.create(
        ws.ledger, flywheel="shop", scopes=["read"], name="board", by="ann",
        expires_at=clock.now() + timedelta(days=8),
    )  # fmt: skip
    assert look()["keys"].level == "ok"
    clock.advance(timedelta(days=2))
    assert f"{key.id} (board)" in look()["keys"].message
    clock.advance(timedelta(days=8))
    assert "nobody can call" in look()["keys"].message


def test_the_machine(look: Look, ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    for free, level in ((1 << 29, "bad"), (2 << 30, "warn"), (1 << 40, "ok")):
        monkeypatch.setattr(machine.shutil, "disk_usage", lambda _, free=free: usage(1 << 41, 0, free))
        assert look()["disk"].level == level
    monkeypatch.setattr(machine, "requires", lambda _: ["msgspec>=999", "no-such-library>=1", "presidio>=2; extra == 'pii'"])  # fmt: skip
    found = look()["libraries"]
    assert found.level == "bad"
    assert "needs >=999" in found.message
    assert "no-such-library is missing" in found.message
    assert "presidio" not in found.message
    monkeypatch.setattr(machine.platform, "python_version", lambda: "3.10.1")
    assert look()["python"].level == "bad"
    ws.root.chmod(0o777)
    assert "chmod o-w" in look()["workspace"].hint


@pytest.mark.usefixtures("ws")
def test_a_spec_and_its_key(look: Look, tmp_path: Path) -> None:
    path, key = tmp_path / "flywheel.toml", tmp_path / "hash.key"
    path.write_text(f'{TOML}[capture]\nhash = ["user"]\nhash_key_file = "{key}"\n')
    key.write_text("k" * 32)
    key.chmod(0o644)
    assert "chmod 600" in look(path)["spec"].hint
    key.chmod(0o600)
    assert look(path)["hash key"].level == "ok"
    path.write_text("name = 7")
    assert look(path)["spec"].level == "bad"


@pytest.mark.usefixtures("ws")
def test_a_check_that_breaks_is_a_line_and_its_neighbours_go_on(
    look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Iterator[Check]:
        raise RuntimeError("at postgresql://ann:s3cret@host/db")

    monkeypatch.setattr(of_ledger, "clock", broken)
    found = look()
    assert levels(found) == {"clock": "bad"}
    assert "s3cret" not in found["clock"].message


@pytest.mark.parametrize("ledger_url", ["postgres"], indirect=True)
def test_on_postgresql(ledger_url: str, root: Path, clock: SimulatedClock) -> None:
    with open_workspace(parse_spec(TOML), root, clock=clock, ledger_url=ledger_url) as ws:
        accept(ws, "predictions", [ROW])
        flush(ws)
        with hold(root, ws.ledger, TURNING):
            found = checkup(root, [], clock, ledger_url)
        assert [check for check in found if check.level != "ok"] == []
        assert any("runs it since" in check.message for check in found)
    gone = checkup(root, [], clock, "postgresql://ann:s3cret@127.0.0.1:1/none")
    assert [check.what for check in gone if check.level == "bad"] == ["ledger"]
    assert "s3cret" not in str(gone)


def _settled(ws: Workspace, clock: SimulatedClock) -> Path:
    clock.advance(timedelta(seconds=1))
    assert ws.settle(clock.now(), [])
    return ws.root / "settled" / ws.name


def test_what_is_kept_of_earlier_cycles(root: Path, clock: SimulatedClock, look: Look) -> None:
    with open_workspace(parse_spec(TOML), root, clock=clock, settle_from_rows=0) as ws:
        accept(ws, "predictions", [ROW])
        flush(ws)
        assert "Nothing is kept" in look()["settled"].message
        kept = _settled(ws, clock)
        assert f"by {clock.now():%Y-%m-%d %H:%M:%S} UTC is kept (0.0 MB)" in look()["settled"].message
        next(kept.glob("joined/run-*")).unlink()
        assert look()["settled"].where == str(kept / "joined")
        assert "missing or cut off" in look()["settled"].message
        (kept / "contents.json").write_text("{")
        found = look()["settled"]
        assert (found.level, found.where) == ("warn", str(kept))
        assert "list cannot be read" in found.message
        assert "makes it anew" in found.hint


@pytest.mark.usefixtures("ws")
def test_what_cannot_be_kept(root: Path, look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any, **__: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr("whorl.serve.checkup.settled.tempfile.TemporaryFile", refused)
        assert look()["settled"].level == "warn"
        assert "Permission denied" in look()["settled"].message
    (root / "settled").write_text("")
    found = look()["settled"]
    assert (found.level, found.where) == ("warn", str(root / "settled"))
    assert "A file is where the folder should be" in found.message
