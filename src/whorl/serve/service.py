"""The flywheels of one server process, opened and running: what HTTP handlers and the runner share.

One process serves a workspace: it holds the lock `turning` from before it listens until it ends, and has a process beside
it that flushes. Where the ledger is on PostgreSQL, others may stand beside it that need no lock: some only accept records,
some only flush.
"""

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal

from whorl.capture.flush import Tell, flush
from whorl.capture.scrub.scrubber import scrubber_of
from whorl.clock import Clock, RealClock
from whorl.errors import (
    NotFound,
    SpecError,
    StorageError,
    WhorlError,
    WorkspaceHeld,
    did_you_mean,
)
from whorl.serve.flusher import Flusher, How
from whorl.serve.flushing import FLUSHING
from whorl.serve.meter import Meter
from whorl.serve.runner import LANES, TICK_BESIDE_REQUESTS_S, Runner
from whorl.serve.wheel import Wheel
from whorl.spec import load_spec
from whorl.spec.cautions import cautions
from whorl.storage import flywheels
from whorl.storage.inbox import CAPACITY_BYTES
from whorl.storage.ledger.ledger import Ledger
from whorl.storage.lock import TURNING, Lock, hold
from whorl.workspace import Workspace, embedded_url

log = logging.getLogger("whorl.serve")

STOP_WITHIN_S = 10.0
# Part of the work, for a process that does not turn: it takes records in, or moves them to the lake.
Only = Literal["capture", "flush"]


class Service:
    """Open flywheels of a workspace. Use as a context manager, or call `close`.

    Args:
        spec_paths: One flywheel.toml each.
        root: The workspace's directory; made when it is not there.
        ledger_url: Default is SQLite in `root`.
        tracking_uri: An MLflow server; default is a store in `root`.
        only: Which part of the work is done here; default is all of it.
        inbox_bytes: What may wait in the inbox of the whole ledger before no more is accepted.
        tell: Called for each batch that this process has moved to the lake; the meter counts them by default.

    Raises:
        SpecError: A spec is wrong, two name the same flywheel, or what [capture] needs is not there.
        WorkspaceHeld: Another process runs this workspace.
    """

    def __init__(
        self,
        spec_paths: Sequence[Path],
        root: Path,
        *,
        ledger_url: str | None = None,
        tracking_uri: str | None = None,
        only: Only | None = None,
        inbox_bytes: int = CAPACITY_BYTES,
        clock: Clock | None = None,
        tell: Tell | None = None,
    ) -> None:
        specs = [(path, load_spec(path)) for path in spec_paths]
        for _, spec in specs if only != "flush" else ():
            # Without its key or its model nothing may be taken in: better not to start.
            scrubber_of(spec)
        names = [spec.name for _, spec in specs]
        if len(set(names)) < len(names) or not names:
            raise SpecError(
                f"A server runs one or more flywheels of different names; found {', '.join(names) or 'none'}.",
                hint="Name each flywheel.toml once with --spec.",
            )
        self.root = root.absolute()
        self.root.mkdir(parents=True, exist_ok=True)
        self.clock = clock or RealClock()
        self.meter = Meter()
        self.only = only
        self.ledger = Ledger.open(ledger_url or embedded_url(self.root), self.clock, self.root)
        try:
            self._lock = self._taken_lock()
        except BaseException:
            self.ledger.close()
            raise
        self.wheels: dict[str, Wheel] = {}
        for path, spec in specs:
            key = flywheels.register(self.ledger, spec)
            # One ledger for all: its writers queue in the process instead of polling the file.
            ws, turning = (
                Workspace(self.root, self.ledger, spec, holdout_key=key, clock=self.clock,
                          tracking_uri=tracking_uri, beside=path.absolute().parent, inbox_bytes=inbox_bytes)
                for _ in range(2)
            )  # fmt: skip
            self.wheels[spec.name] = Wheel(ws, turning, tell or self.meter.flushed)
        self._runner: Runner | None = None
        self._flusher: Flusher | None = None
        self._how = How(
            specs=[str(path.absolute()) for path in spec_paths], root=str(self.root), ledger_url=ledger_url
        )

    @property
    def ready(self) -> bool:
        """The tasks run and the workspace is ours, as far as this process needs either."""
        if self.only == "capture":
            return True
        return self._runner is not None and self._runner.alive and (self.only is not None or self._ours())

    def wheel(self, name: str) -> Wheel:
        """An open flywheel by name. Raises NotFound."""
        found = self.wheels.get(name)
        if found is None:
            raise NotFound(
                f"There is no flywheel {name!r} here.", where=name, hint=did_you_mean(name, list(self.wheels))
            )
        return found

    def start(self, stop_all: Callable[[], None]) -> None:
        """Load the champions and begin to flush, turn and deliver. `stop_all` ends the server when the lock is lost."""
        wheels = list(self.wheels.values())
        if self.only == "capture":
            return
        if self.only == "flush":
            self._runner = Runner(wheels, lambda: True, stop_all, only=FLUSHING)
            self._runner.start()
            return
        for wheel in self.wheels.values():
            for at, what in cautions(wheel.ws.spec, os.environ):
                log.warning("%s: %s: %s", wheel.name, ".".join(at), what)
            if wheel.champion.asked:
                try:
                    wheel.champion.refresh()
                except WhorlError as error:
                    log.error("%s: the champion does not answer: %s", wheel.name, error)
        rest = LANES.keys() - FLUSHING
        self._runner = Runner(wheels, self._still_ours, stop_all, rest, TICK_BESIDE_REQUESTS_S)
        self._runner.start()
        self._flusher = Flusher(self._how, self.meter.flushed)
        self._flusher.start()

    def close(self) -> bool:
        """Stop the tasks, move what was accepted into the lake, let go of the workspace.

        Returns:
            False when a cycle still runs in this process: it goes on at its step when the next server starts.
        """
        if self._flusher is not None:
            self._flusher.close(STOP_WITHIN_S)
        ended = self._runner is None or self._runner.stop(STOP_WITHIN_S)
        for wheel in self.wheels.values():
            if self.only != "capture":
                self._flush(wheel)
            wheel.ws.close()
            if ended:
                wheel.turning.close()
        if ended:
            if self._lock is not None:
                self._lock.release()
            self.ledger.close()
        return ended

    def _taken_lock(self) -> Lock | None:
        return hold(self.root, self.ledger, TURNING) if self.only is None else None

    def _ours(self) -> bool:
        return self._lock is not None and self._lock.still_held()

    def _still_ours(self) -> bool | None:
        """As the runner wants it: a lock that a database let go, when it went away, is taken again when it is back."""
        if self._ours():
            return True
        try:
            self._lock = hold(self.root, self.ledger, TURNING)
        except WorkspaceHeld:
            return False
        except StorageError:
            return None
        log.warning("The workspace's lock was lost with the database's connection, and is taken again.")
        return True

    @staticmethod
    def _flush(wheel: Wheel) -> None:
        try:
            flush(wheel.ws)
        except WhorlError as error:
            log.error("%s: what was accepted stays in the inbox until the next start: %s", wheel.name, error)

    def __enter__(self) -> "Service":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
