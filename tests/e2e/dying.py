"""Turns a cycle in a process of its own, and kills that process where it is told to. Imported by the processes it makes."""

import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

from whorl.clock import SimulatedClock
from whorl.cycle import start, turn
from whorl.spec import load_spec
from whorl.storage import cycles, dataset_versions
from whorl.storage.journal import Journal
from whorl.storage.ledger.tables import findings, outbox, verdicts
from whorl.workspace import Workspace, open_workspace

NOW = datetime(2025, 6, 1, tzinfo=UTC)
KEY = "k" * 64
# What a cycle needs is imported once; each process is then a fork of one that has done nothing else.
LOADED = ["whorl.cycle", "whorl.workspace", "whorl.train.trainers.lightgbm", "lightgbm", "pandas", "dying"]
_processes = get_context("forkserver")
_processes.set_forkserver_preload(LOADED)


class Inside(NamedTuple):
    """A function below a step, and which of its calls is the last thing that the process does."""

    module: str
    name: str
    call: int = 1


Death = tuple[str, str] | Inside | None


def opened(folder: Path, now: datetime = NOW) -> Workspace:
    return open_workspace(
        load_spec(folder / "flywheel.toml"),
        folder / "ws",
        clock=SimulatedClock(now),
        mirror=False,
        holdout_key=KEY,
    )


def cycle_in_its_own_process(folder: Path, death: Death = None) -> int | None:
    """Start a cycle, or go on with the one that is there; returns how the process ended, as `exitcode` says it."""
    process = _processes.Process(target=_turn, args=(folder, death))
    process.start()
    process.join()
    return process.exitcode


def end_of(folder: Path) -> dict[str, Any]:
    """What must not depend on how often the process died: rows, hashes, versions, decisions."""
    with opened(folder) as ws:
        (last, *_) = cycles.listed(ws.ledger, ws.name)
        steps = {step.name: step.result for step in ws.journal.done(last.id)}
        verdict = steps["evaluate"]
        release = {name: steps["release"][name] for name in ("version", "previous", "state")}
        made = [(d.id, d.content_hash, d.rows) for d, _ in dataset_versions.versions(ws.ledger, ws.name)]
        return {
            "cycle": (last.id, last.state, last.error),
            "datasets": made,
            "models": [(v.id, v.digest, v.dataset_id) for v in ws.registry.versions()],
            "files": {v.version: sorted(p.name for p in Path(v.uri).iterdir()) for v in ws.registry.versions()},
            "champion": _id(ws.registry.champion()),
            "challenger": _id(ws.registry.challenger()),
            "moves": [(c.alias, c.model_id, c.previous) for c in ws.registry.changes()],
            "verdict": {name: verdict[name] for name in ("challenger", "champion", "decision", "metrics", "checks")},
            "release": release,
            "findings": steps["monitor"],
            "rows": {table: _lake_rows(ws, table) for table in ("predictions", "labels", "cases", "considered", "members")},
            "ledger": {table.name: _ledger_rows(ws, table) for table in (verdicts, findings, outbox)},
            "waiting": ws.inbox.depth(ws.name).rows,
        }  # fmt: skip


def _turn(folder: Path, death: Death) -> None:
    if isinstance(death, Inside):
        _die_inside(death)
    elif death is not None:
        _die_at_step(*death)
    with opened(folder) as ws:
        there = cycles.unfinished(ws.ledger, ws.name)
        turn(ws, there.id if there else start(ws, "manual"))


def _die_at_step(step: str, moment: str) -> None:
    """'before': nothing was done; 'after': all is done and not journalled; 'kept': it is journalled."""
    real = Journal.step

    def dying(self: Journal, cycle_id: str, name: str, fn: Callable[[], Any], kind: Any) -> Any:
        def run() -> Any:
            result = None if moment == "before" else fn()
            if moment != "kept":
                _die()
            return result

        answer = real(self, cycle_id, name, run if name == step else fn, kind)
        if name == step:
            _die()
        return answer

    Journal.step = dying  # type: ignore[method-assign,assignment]


def _die_inside(place: Inside) -> None:
    module, _, owner = place.module.partition(":")
    target: Any = getattr(import_module(module), owner) if owner else import_module(module)
    real, calls = getattr(target, place.name), []

    def dying(*args: Any, **kwargs: Any) -> Any:
        answer = real(*args, **kwargs)
        calls.append(args)
        if len(calls) == place.call:
            _die()
        return answer

    setattr(target, place.name, dying)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _id(version: Any) -> str | None:
    return version.id if version else None


def _lake_rows(ws: Workspace, table: Any) -> int:
    return int(ws.engine.query(f"SELECT count(*) AS n FROM {ws.lake.relation(table)}")["n"][0].as_py())


def _ledger_rows(ws: Workspace, table: Any) -> int:
    with ws.ledger.read() as conn:
        return len(conn.execute(table.select()).all())
