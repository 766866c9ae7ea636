"""The flusher, killed before and after each thing that it does, and while tables are merged; then the next one goes on."""

import os
import signal
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import serving
from books import Books, check

from whorl.capture.accept import accept
from whorl.capture.flush import flush
from whorl.clock import RealClock
from whorl.spec import parse_spec
from whorl.storage import lake
from whorl.storage.inbox import Inbox
from whorl.storage.lake import Lake
from whorl.workspace import Workspace, open_workspace

STEPS: dict[str, tuple[Any, str]] = {
    "claim": (Inbox, "claim"),
    "append": (Lake, "append"),
    "Delta commit": (lake, "write_deltalake"),
    "sync": (Lake, "sync"),
    "finish": (Inbox, "finish"),
    "merge": (lake, "_merge"),
}
_processes = get_context("forkserver")


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_killed_at_a_step(tmp_path: Path, ledger_url: str, step: str, moment: str) -> None:
    books = Books()
    with _opened(tmp_path, ledger_url) as ws:
        _log(ws, books, "a")
        flush(ws)
        _log(ws, books, "b")
        dying = _processes.Process(target=_die, args=(tmp_path, ledger_url, step, moment))
        dying.start()
        dying.join()
        assert dying.exitcode == -signal.SIGKILL
        _log(ws, books, "c")
        flush(ws)
        ws.lake.maintain()
        assert ws.inbox.depth(ws.name).rows == 0
    check(books, tmp_path / "ws")


def _die(folder: Path, ledger_url: str, step: str, moment: str) -> None:
    owner, name = STEPS[step]
    setattr(owner, name, _deadly(getattr(owner, name), moment))
    with _opened(folder, ledger_url) as ws:
        flush(ws)
        ws.lake.maintain()


def _deadly(real: Callable[..., Any], moment: str) -> Callable[..., Any]:
    def dying(*args: Any, **kwargs: Any) -> None:
        if moment == "after":
            real(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)

    return dying


def _opened(folder: Path, ledger_url: str) -> Workspace:
    spec = parse_spec(serving.SPEC)
    return open_workspace(spec, folder / "ws", ledger_url=ledger_url, clock=RealClock(), mirror=False)


def _log(ws: Workspace, books: Books, name: str) -> None:
    ids = [f"{name}-{n}" for n in range(20)]
    books.send(ids)
    known = "2026-02-01T00:00:00Z"
    rows = [
        {"id": id, "time": "2026-01-01T00:00:00Z", "score": 0.5, "is_fraud": True, "known_at": known}
        for id in ids
    ]
    assert accept(ws, "predictions", rows).accepted == len(ids)
    books.acknowledge(ids)
