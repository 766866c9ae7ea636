"""What was received by T stays what it was: nobody's rows come to the lake behind the back of a T that was given out."""

import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from whorl.capture.accept import accept
from whorl.capture.flush import flush, settled
from whorl.capture.importers.files import ingest_file
from whorl.clock import RealClock
from whorl.spec import Spec
from whorl.workspace import Workspace, open_workspace

BOTH = pytest.mark.parametrize("ledger_url", ["sqlite", "postgres"], indirect=True)


def _ingest(ws: Workspace, folder: Path) -> None:
    path = folder / "payments.csv"
    path.write_text("transaction_id,timestamp\na,2026-01-01\n", encoding="utf-8")
    ingest_file(ws, path)


def _flush(ws: Workspace, _: Path) -> None:
    accept(ws, "predictions", [{"transaction_id": "a", "timestamp": "2026-01-01T00:00:00Z"}])
    flush(ws)


@BOTH
@pytest.mark.parametrize("write", [_ingest, _flush])
def test_a_time_is_given_out_before_rows_are_stamped_or_after_they_are_there(
    spec: Spec,
    tmp_path: Path,
    ledger_url: str,
    write: Callable[[Workspace, Path], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Between the stamp and the append, where the rows are in nobody's sight, another process begins a cycle."""
    told: list[tuple[datetime, int]] = []
    with _opened(spec, tmp_path, ledger_url) as writer, _opened(spec, tmp_path, ledger_url) as cycle:

        def ask() -> None:
            by = settled(cycle)
            told.append((by, _received(cycle, by)))

        asking, append = threading.Thread(target=ask), writer.lake.append

        def slow_append(*args: Any, **kwargs: Any) -> bool:
            asking.start()
            # Time enough for an answer, if one is given now.
            asking.join(0.5)
            return append(*args, **kwargs)

        monkeypatch.setattr(writer.lake, "append", slow_append)
        write(writer, tmp_path)
        asking.join()
        ((by, found_then),) = told
        assert _received(cycle, by) == found_then


def _received(ws: Workspace, by: datetime) -> int:
    """How many rows are in the lake that say they were received by then."""
    rows = ws.lake.relation("predictions")
    return len(ws.engine.query(f"SELECT id FROM {rows} WHERE received_at <= ?", [by]))


def _opened(spec: Spec, root: Path, ledger_url: str) -> Workspace:
    return open_workspace(spec, root / "ws", ledger_url=ledger_url, clock=RealClock(), holdout_key="ab" * 32)
