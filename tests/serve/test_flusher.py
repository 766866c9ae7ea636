"""The process that flushes beside a server: it tells what it moved, is replaced when it dies, and ends with its server."""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

import msgspec
import pytest

from whorl.capture.accept import accept
from whorl.capture.flush import Moved
from whorl.serve import flusher as module
from whorl.serve.flusher import Flusher, How
from whorl.spec import parse_spec
from whorl.workspace import Workspace, open_workspace

SPEC = 'name = "fraud"\ntask = "binary"\n[schema]\nid = "id"\ntime = "time"\nscore = "score"\n'


@pytest.fixture
def ws(tmp_path: Path) -> Iterator[Workspace]:
    (tmp_path / "flywheel.toml").write_text(SPEC)
    with open_workspace(parse_spec(SPEC), tmp_path / "ws", mirror=False) as opened:
        yield opened


@pytest.fixture
def how(ws: Workspace, tmp_path: Path) -> How:
    return How(specs=[str(tmp_path / "flywheel.toml")], root=str(ws.root), ledger_url=None)


def predictions(*ids: str) -> list[dict[str, Any]]:
    return [{"id": id, "time": "2026-01-01T00:00:00Z", "score": 0.5} for id in ids]


def until(true: Callable[[], Any], within_s: float = 60) -> Any:
    end = monotonic() + within_s
    while not (found := true()):
        assert monotonic() < end
        # The only way to learn what another process has done is to look again.
        Event().wait(0.02)
    return found


def in_lake(ws: Workspace) -> list[str]:
    relation = ws.lake.relation("predictions")
    return sorted(ws.engine.query(f"SELECT id FROM {relation}")["id"].to_pylist())


def test_what_was_accepted_is_moved_and_told_of(ws: Workspace, how: How) -> None:
    accept(ws, "predictions", predictions("a", "b"))
    told: list[Moved] = []
    flusher = Flusher(how, told.append)
    flusher.start()
    until(lambda: told)
    flusher.close(30)
    assert flusher.pid is None
    assert [(one.flywheel, one.kind, one.rows, one.doubles) for one in told] == [
        ("fraud", "predictions", 2, 0)
    ]
    assert [records for records, _ in told[0].waited] == [2]
    assert in_lake(ws) == ["a", "b"]


def test_one_that_is_killed_is_followed_by_another(
    ws: Workspace, how: How, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "FIRST_WAIT_S", 0.01)
    told: list[Moved] = []
    flusher = Flusher(how, told.append)
    with caplog.at_level(logging.ERROR):
        flusher.start()
        first = until(lambda: flusher.pid)
        os.kill(first, signal.SIGKILL)
        second = until(lambda: flusher.pid not in (None, first) and flusher.pid)
        accept(ws, "predictions", predictions("a"))
        until(lambda: told)
    flusher.close(30)
    assert second != first
    assert "The flusher has ended (SIGKILL)" in caplog.text
    assert in_lake(ws) == ["a"]


def test_one_that_cannot_start_says_why_and_is_tried_again(
    ws: Workspace,
    how: How,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(module, "FIRST_WAIT_S", 0.01)
    spec = tmp_path / "flywheel.toml"
    spec.rename(tmp_path / "away.toml")
    accept(ws, "predictions", predictions("a"))
    told: list[Moved] = []
    flusher = Flusher(how, told.append)
    flusher.start()
    said = ""
    while "the flusher cannot start" not in said:
        Event().wait(0.02)
        said += capfd.readouterr().err
    (tmp_path / "away.toml").rename(spec)
    until(lambda: told)
    flusher.close(30)
    assert str(spec) in said


@pytest.mark.parametrize(
    "program",
    [
        'import sys; sys.stdout.write(\'["fraud","predictions",1\'); sys.stdout.flush()',
        "import os; os.kill(os.getpid(), 9)",
    ],
)
def test_one_that_breaks_off_while_it_tells_is_followed_by_another(
    ws: Workspace, how: How, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    monkeypatch.setattr(module, "FIRST_WAIT_S", 0.01)
    real = module._COMMAND
    monkeypatch.setattr(module, "_COMMAND", (sys.executable, "-c", program))
    accept(ws, "predictions", predictions("a"))
    told: list[Moved] = []
    flusher = Flusher(how, told.append)
    flusher.start()
    until(lambda: flusher.pid)
    monkeypatch.setattr(module, "_COMMAND", real)
    until(lambda: told)
    flusher.close(30)
    assert in_lake(ws) == ["a"]


def test_one_that_cannot_be_started_is_tried_again(
    ws: Workspace, how: How, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "FIRST_WAIT_S", 0.01)
    real = module._COMMAND
    monkeypatch.setattr(module, "_COMMAND", ("/nowhere/python",))
    accept(ws, "predictions", predictions("a"))
    told: list[Moved] = []
    flusher = Flusher(how, told.append)
    with caplog.at_level(logging.ERROR):
        flusher.start()
        until(lambda: "cannot be started" in caplog.text)
        monkeypatch.setattr(module, "_COMMAND", real)
        until(lambda: told)
    flusher.close(30)


def test_it_ends_when_its_server_is_killed(ws: Workspace, how: How) -> None:
    program = (
        "import sys, msgspec; from whorl.serve.flusher import *\n"
        "flusher = Flusher(msgspec.json.decode(sys.argv[1], type=How), lambda moved: print(flusher.pid, flush=True))\n"
        "flusher.start(); sys.stdin.read()"
    )
    accept(ws, "predictions", predictions("a"))
    command = [sys.executable, "-c", program, msgspec.json.encode(how).decode()]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert server.stdout is not None
    pid = int(server.stdout.readline())
    server.kill()
    server.communicate()
    until(lambda: _gone(pid))


def _gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"
