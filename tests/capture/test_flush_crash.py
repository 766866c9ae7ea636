"""Flushing is exactly once, whichever step it dies in; a batch that was half moved comes again unchanged."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from whorl.capture.accept import accept
from whorl.capture.flush import flush
from whorl.errors import StorageError
from whorl.spec import Spec, spec_to_json
from whorl.workspace import Workspace, open_workspace

PAYMENTS = [
    {
        "transaction_id": f"t{n}",
        "timestamp": "2025-12-01T00:00:00Z",
        "amount": n,
        "ground_truth": {"is_fraud": n % 2},
    }
    for n in range(10)
]
DIES = """
import os, signal, sys
from whorl.capture.flush import flush
from whorl.spec import spec_from_dict
from whorl.storage.inbox import Inbox
from whorl.storage.lake import Lake
from whorl.workspace import open_workspace
import msgspec
root, spec, step = sys.argv[1:]
owner, name = {"claim": (Inbox, "claim"), "append": (Lake, "append"), "finish": (Inbox, "finish")}[step]
real = getattr(owner, name)
def dying(*args, **kwargs):
    real(*args, **kwargs)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(owner, name, dying)
flush(open_workspace(spec_from_dict(msgspec.json.decode(spec)), root))
"""


def _counts(ws: Workspace) -> dict[str, int]:
    found = {}
    for table in ("predictions", "labels"):
        sql = f"SELECT count(*) AS rows, count(DISTINCT id) AS ids FROM {ws.lake.relation(table)}"  # type: ignore[arg-type]
        (row,) = ws.engine.query(sql).to_pylist()
        assert row["rows"] == row["ids"]
        found[table] = row["rows"]
    return found


@pytest.mark.parametrize("step", ["claim", "append", "finish"])
def test_killed_after_a_step(ws: Workspace, spec: Spec, tmp_path: Path, step: str) -> None:
    accept(ws, "predictions", PAYMENTS)
    arguments = [sys.executable, "-c", DIES, str(tmp_path / "ws"), spec_to_json(spec), step]
    died = subprocess.run(arguments, capture_output=True, check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr
    accept(ws, "predictions", [{**PAYMENTS[0], "transaction_id": "later"}])
    flush(ws)
    assert _counts(ws) == {"predictions": 11, "labels": 11}
    assert ws.inbox.depth(ws.name).rows == 0
    assert flush(ws) == 0


def test_an_append_that_fails_leaves_the_batch_claimed(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept(ws, "predictions", PAYMENTS)

    def full(*_: Any, **__: Any) -> bool:
        raise StorageError("The disk is full.")

    with monkeypatch.context() as broken:
        broken.setattr(ws.lake, "append", full)
        with pytest.raises(StorageError):
            flush(ws)
    assert ws.inbox.depth(ws.name).rows == 20
    assert flush(ws) == 20
    assert _counts(ws) == {"predictions": 10, "labels": 10}


def test_finishing_first_would_be_seen(ws: Workspace) -> None:
    """The same check on a flusher that deletes before it appends: it loses rows, and the count shows it."""
    accept(ws, "predictions", PAYMENTS)
    batch = ws.inbox.claim(ws.name, "predictions", 100)
    assert batch is not None
    ws.inbox.finish(batch)
    flush(ws)
    assert _counts(ws)["predictions"] == 0


def test_what_was_accepted_outlives_the_process(spec: Spec, tmp_path: Path) -> None:
    with open_workspace(spec, tmp_path / "ws") as first:
        accept(first, "predictions", PAYMENTS)
    with open_workspace(spec, tmp_path / "ws") as second:
        assert flush(second) == 20
        assert _counts(second) == {"predictions": 10, "labels": 10}
