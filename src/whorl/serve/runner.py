"""Runs what the schedulers name: one thread looks, others do, so that a slow cycle stops neither flushing nor a swap.

No task can end a thread: what fails is logged with its flywheel and comes again after a wait. A cycle that is cut off
by the end of the process goes on at the step it was in when the next server starts.
"""

import logging
import threading
from collections.abc import Callable, Collection, Sequence
from functools import partial
from queue import SimpleQueue
from time import monotonic
from typing import Protocol

from whorl.errors import WhorlError, masked
from whorl.serve.scheduler import Scheduler, Task, What
from whorl.workspace import Workspace

log = logging.getLogger("whorl.serve")

TICK_S = 0.5
# Looking costs a few milliseconds of the interpreter's lock, which requests want.
TICK_BESIDE_REQUESTS_S = 1.0
# One thread each. A cycle owns the engine of its own workspace; uploads and webhooks wait for other people's servers.
LANES: dict[What, str] = {
    "flush": "flush",
    "load": "load",
    "turn": "cycle",
    "start": "cycle",
    "watch": "cycle",
    "deliver": "outside",
    "mirror": "outside",
    "maintain": "maintain",
}


class Wheel(Protocol):
    """A flywheel of which something is done here."""

    @property
    def name(self) -> str: ...
    @property
    def ws(self) -> Workspace: ...
    @property
    def scheduler(self) -> Scheduler: ...

    def due(self) -> list[Task]:
        """What should begin now."""

    def run(self, task: Task) -> None:
        """Do one task; raises what it raises."""


class Runner:
    """Looks at every wheel once a second or twice, and hands each task to its lane.

    Args:
        still_ours: Whether the workspace's lock is held; None while that cannot be told (the database is away): nothing
            begins meanwhile. False once another process has it: nothing runs any more then.
        stop_all: Called once when it is lost.
        only: Tasks that are done here; all by default.
        tick_s: Time between two looks.
    """

    def __init__(
        self,
        wheels: Sequence[Wheel],
        still_ours: Callable[[], bool | None],
        stop_all: Callable[[], None],
        only: Collection[What] = LANES.keys(),
        tick_s: float = TICK_S,
    ) -> None:
        self._wheels, self._still_ours, self._stop_all = wheels, still_ours, stop_all
        self._only, self._tick_s = only, tick_s
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._looking = threading.Thread(target=self._look, name="whorl-look", daemon=True)
        self._lanes = {name: _Lane(name) for name in set(LANES.values())}

    @property
    def alive(self) -> bool:
        return self._looking.is_alive()

    def start(self) -> None:
        for lane in self._lanes.values():
            lane.start()
        self._looking.start()

    def stop(self, wait_s: float) -> bool:
        """Begin nothing more, and wait for what runs; False when something still runs after `wait_s` seconds."""
        self._over.set()
        until = monotonic() + wait_s
        threads: list[threading.Thread] = [self._looking, *self._lanes.values()]
        for lane in self._lanes.values():
            lane.end()
        for thread in threads:
            thread.join(max(0.0, until - monotonic()))
        return not any(thread.is_alive() for thread in threads)

    def look(self) -> None:
        """Hand out what is due now."""
        for wheel in self._wheels:
            try:
                with self._lock:
                    for task in wheel.due():
                        if task.what not in self._only:
                            continue
                        wheel.scheduler.begun(task, wheel.ws.clock.now())
                        self._lanes[LANES[task.what]].submit(partial(self._run, wheel, task))
            except Exception:
                log.exception("%s: the ledger cannot be read", wheel.name)

    def _look(self) -> None:
        while not self._over.wait(self._tick_s):
            ours = self._still_ours()
            if ours is False:
                log.critical("Another process has taken this workspace while its lock was lost. Stopping.")
                self._over.set()
                self._stop_all()
                return
            if ours:
                self.look()

    def _run(self, wheel: Wheel, task: Task) -> None:
        if self._over.is_set():
            return
        well, trouble = True, ""
        try:
            wheel.run(task)
        except WhorlError as error:
            well, trouble = False, str(error)
        except Exception as error:
            well, trouble = False, masked(f"{type(error).__name__}: {error}")
            log.exception("%s: %s failed", wheel.name, task.what)
        with self._lock:
            wait = wheel.scheduler.ended(task, wheel.ws.clock.now(), well=well)
        if not well:
            seconds = wait.total_seconds()
            log.error("%s: %s %s: %s (again in %g s)", wheel.name, task.what, task.argument, trouble, seconds)


class _Lane(threading.Thread):
    """Does one thing after the other."""

    def __init__(self, name: str) -> None:
        # A daemon: a cycle of an hour must not keep the process from ending.
        super().__init__(name=f"whorl-{name}", daemon=True)
        self._tasks: SimpleQueue[Callable[[], None] | None] = SimpleQueue()

    def submit(self, task: Callable[[], None]) -> None:
        self._tasks.put(task)

    def end(self) -> None:
        self._tasks.put(None)

    def run(self) -> None:
        while (task := self._tasks.get()) is not None:
            task()
