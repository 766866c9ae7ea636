"""Moving what was accepted to the lake, and keeping the lake in order: the part of a server's work that needs no model."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from whorl.capture.flush import Tell, flush
from whorl.clock import RealClock
from whorl.serve.scheduler import Scheduler, Seen, Task, What
from whorl.serve.seen import look
from whorl.spec import load_spec
from whorl.storage.lock import take_if_free
from whorl.workspace import Workspace, open_workspace

FLUSHING: frozenset[What] = frozenset({"flush", "maintain"})
# A batch's own name is known for so long.
NAMES_KEPT = timedelta(days=1)


class Flushing:
    """A flywheel of which nothing else is done here.

    Args:
        tell: Called for each batch that was moved to the lake.
    """

    def __init__(self, ws: Workspace, tell: Tell | None = None) -> None:
        self.ws, self.tell, self.name = ws, tell, ws.name
        self.scheduler = Scheduler(ws.spec, ws.clock.now())

    def run(self, task: Task) -> None:
        """Do one task; raises what it raises."""
        if task.what == "flush":
            flush(self.ws, self.tell)
        elif task.what == "maintain":
            self._maintain()

    def due(self) -> list[Task]:
        """What should begin now."""
        now, lake = self.ws.clock.now(), self.ws.lake
        seen = self._seen(now)._replace(new_files=lake.new_files, scattered=bool(lake.scattered))
        return self.scheduler.due(now, seen)

    def _seen(self, now: datetime) -> Seen:
        return look(self.ws.ledger, self.ws.spec, now, loaded=None, serves=False)

    def _maintain(self) -> None:
        lock = take_if_free(self.ws.root, self.ws.ledger, f"maintaining-{self.name}")
        if lock is None:
            return
        with lock:
            self.ws.lake.maintain()
            self.ws.inbox.forget_names(self.name, self.ws.clock.now() - NAMES_KEPT)


@contextmanager
def opened(specs: Sequence[Path], root: Path, ledger_url: str | None, tell: Tell) -> Iterator[list[Flushing]]:
    """Flywheels of a workspace whose server is another process; at the end, what waits is moved."""
    with ExitStack() as open_ones:
        wheels = []
        for path in specs:
            ws = open_workspace(load_spec(path), root, ledger_url=ledger_url, clock=RealClock(), mirror=False)
            wheels.append(Flushing(open_ones.enter_context(ws), tell))
        yield wheels
        for wheel in wheels:
            flush(wheel.ws, tell)
