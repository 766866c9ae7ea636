"""The flywheels of one server process, opened and running: what HTTP handlers and the runner share.

Embedded, one process serves a workspace: it holds the lock `turning` from before it listens until it ends.
"""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from whorl.capture.flush import flush
from whorl.clock import Clock, RealClock
from whorl.errors import NotFound, SpecError, WhorlError, did_you_mean
from whorl.flywheel import LOCK
from whorl.serve.meter import Meter
from whorl.serve.runner import Runner, Wheel
from whorl.spec import load_spec
from whorl.storage import flywheels
from whorl.storage.ledger.ledger import Ledger
from whorl.storage.lock import hold
from whorl.workspace import Workspace, embedded_url

log = logging.getLogger("whorl.serve")

STOP_WITHIN_S = 10.0


class Service:
    """Open flywheels of a workspace. Use as a context manager, or call `close`.

    Args:
        spec_paths: One flywheel.toml each.
        root: The workspace's directory; made when it is not there.
        ledger_url: Default is SQLite in `root`.
        tracking_uri: An MLflow server; default is a store in `root`.

    Raises:
        SpecError: A spec is wrong, or two name the same flywheel.
        WorkspaceHeld: Another process runs this workspace.
    """

    def __init__(
        self,
        spec_paths: Sequence[Path],
        root: Path,
        *,
        ledger_url: str | None = None,
        tracking_uri: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        specs = [(path, load_spec(path)) for path in spec_paths]
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
        self.ledger = Ledger.open(ledger_url or embedded_url(self.root), self.clock, self.root)
        try:
            self._lock = hold(self.root, self.ledger, LOCK)
        except BaseException:
            self.ledger.close()
            raise
        self.wheels: dict[str, Wheel] = {}
        for path, spec in specs:
            key = flywheels.register(self.ledger, spec)
            # One ledger for all: its writers queue in the process instead of polling the file.
            ws, turning = (
                Workspace(self.root, self.ledger, spec, holdout_key=key, clock=self.clock,
                          tracking_uri=tracking_uri, beside=path.absolute().parent)
                for _ in range(2)
            )  # fmt: skip
            self.wheels[spec.name] = Wheel(ws, turning)
        self._runner: Runner | None = None

    @property
    def ready(self) -> bool:
        """The tasks run and the workspace is ours."""
        return self._runner is not None and self._runner.alive and self._lock.still_held()

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
        for wheel in self.wheels.values():
            if wheel.champion.asked:
                try:
                    wheel.champion.refresh()
                except WhorlError as error:
                    log.error("%s: the champion does not answer: %s", wheel.name, error)
        self._runner = Runner(list(self.wheels.values()), self._lock.still_held, stop_all)
        self._runner.start()

    def close(self) -> bool:
        """Stop the tasks, move what was accepted into the lake, let go of the workspace.

        Returns:
            False when a cycle still runs in this process: it goes on at its step when the next server starts.
        """
        ended = self._runner is None or self._runner.stop(STOP_WITHIN_S)
        for wheel in self.wheels.values():
            self._flush(wheel)
            wheel.ws.close()
            if ended:
                wheel.turning.close()
        if ended:
            self._lock.release()
            self.ledger.close()
        return ended

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
