"""The workspace lock: one holder, told by name, freed however it ends."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from whorl.clock import SimulatedClock
from whorl.errors import StorageError, WorkspaceHeld
from whorl.storage.ledger.ledger import Ledger
from whorl.storage.lock import hold, wait_for

HOLD = """
import sys
from pathlib import Path
from whorl.clock import RealClock
from whorl.storage.ledger.ledger import Ledger
from whorl.storage.lock import hold, wait_for
ledger = Ledger.open(sys.argv[2], RealClock())
lock = hold(Path(sys.argv[1]), ledger, "server")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def server(tmp_path: Path, ledger: Ledger) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock `server`."""
    command = [sys.executable, "-c", HOLD, str(tmp_path), ledger.url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_the_second_is_told_who_holds_it_and_what_to_do(
    tmp_path: Path, ledger: Ledger, server: subprocess.Popen[str]
) -> None:
    with pytest.raises(WorkspaceHeld) as refused:
        hold(tmp_path, ledger, "server")
    message = str(refused.value)
    assert f"Process {server.pid} on {os.uname().nodename} holds this workspace since 20" in message
    assert f"kill {server.pid}" in message
    assert "work beside it" in message
    assert "POST /v1/flywheels/NAME/cycles" in message
    assert refused.value.facts["pid"] == server.pid


def test_kill_9_frees_it_and_the_old_description_is_overwritten(
    tmp_path: Path, ledger: Ledger, server: subprocess.Popen[str]
) -> None:
    server.send_signal(signal.SIGKILL)
    server.wait(30)
    with _hold_soon(tmp_path, ledger), pytest.raises(WorkspaceHeld) as refused:
        hold(tmp_path, ledger, "server")
    assert refused.value.facts["pid"] == os.getpid()


def test_it_is_held_in_its_own_process_too_and_can_be_taken_again(tmp_path: Path, ledger: Ledger) -> None:
    with hold(tmp_path, ledger, "server") as lock:
        assert lock.still_held()
        with pytest.raises(WorkspaceHeld, match=f"Process {os.getpid()} "):
            hold(tmp_path, ledger, "server")
    assert not lock.still_held()
    lock.release()
    hold(tmp_path, ledger, "server").release()


def test_locks_of_other_names_and_other_workspaces_are_free(
    tmp_path: Path, ledger: Ledger, clock: SimulatedClock
) -> None:
    (tmp_path / "other").mkdir()
    with (
        Ledger.open(f"sqlite:///{tmp_path}/other/ledger.db", clock) as other,
        hold(tmp_path, ledger, "server"),
        hold(tmp_path, ledger, "flusher"),
        hold(tmp_path / "other", other, "server"),
    ):
        pass


def test_a_password_on_the_command_line_is_not_shown(
    tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        sys, "argv", ["/bin/whorl", "serve", "--ledger", "postgresql://whorl:secret@db/ledger"]
    )
    with hold(tmp_path, ledger, "server"), pytest.raises(WorkspaceHeld) as refused:
        hold(tmp_path, ledger, "server")
    assert refused.value.facts["command"] == "whorl serve --ledger postgresql://whorl:***@db/ledger"


@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
def test_a_holder_that_has_not_signed_yet_is_told_as_such(tmp_path: Path, ledger: Ledger) -> None:
    with hold(tmp_path, ledger, "server"):
        (tmp_path / "server.lock").write_text("")
        with pytest.raises(WorkspaceHeld, match="has just taken"):
            hold(tmp_path, ledger, "server")


@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
def test_a_directory_that_is_not_there_is_named(tmp_path: Path, ledger: Ledger) -> None:
    with pytest.raises(StorageError, match="absent"):
        hold(tmp_path / "absent", ledger, "server")


@pytest.mark.parametrize("ledger_url", ["postgres"], indirect=True)
def test_a_lost_connection_loses_the_lock_and_says_so(tmp_path: Path, ledger: Ledger) -> None:
    lock = hold(tmp_path, ledger, "server")
    with ledger.write() as conn:
        others = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"
        conn.execute(sa.text(others)).all()
    assert not lock.still_held()
    lock.release()
    _hold_soon(tmp_path, ledger).release()


@pytest.mark.parametrize("ledger_url", ["postgres"], indirect=True)
def test_one_who_waits_and_is_cut_off_is_told_so(tmp_path: Path, ledger: Ledger) -> None:
    waits = "FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND wait_event = 'advisory'"
    with wait_for(tmp_path, ledger, "arriving"), ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(wait_for, tmp_path, ledger, "arriving", shared=True)
        with ledger.session() as conn:
            while not conn.execute(sa.text(f"SELECT pg_terminate_backend(pid) {waits}")).all():
                assert not waiting.done()
        with pytest.raises(StorageError, match="The database was stopped"):
            waiting.result(60)


def _hold_soon(root: Path, ledger: Ledger):  # type: ignore[no-untyped-def]
    """A database server frees a dead session's lock when it notices, which is not at once."""
    for _ in range(3000):
        try:
            return hold(root, ledger, "server")
        except WorkspaceHeld:
            os.sched_yield()
    raise AssertionError("the lock was not freed")
