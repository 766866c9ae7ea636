"""Runs what the schedulers name: one thread looks, others do, so that a slow cycle stops neither flushing nor a swap.

No task can end a thread: what fails is logged with its flywheel and comes again after a wait. A cycle that is cut off
by the end of the process goes on at the step it was in when the next server starts.
"""

import logging
import threading
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from functools import partial
from queue import SimpleQueue
from time import monotonic

from whorl.capture.flush import Tell, flush
from whorl.cycle import Trigger, start, turn
from whorl.errors import StorageError, WhorlError, masked
from whorl.monitor.watch import watch
from whorl.release.deliver import deliver_webhooks
from whorl.serve.champion import Champion
from whorl.serve.scheduler import Scheduler, Task, What
from whorl.serve.seen import look
from whorl.storage.lock import take_if_free
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
# What a server leaves to the process beside it.
FLUSHING: frozenset[What] = frozenset({"flush", "maintain"})
# A batch's own name is known for so long.
NAMES_KEPT = timedelta(days=1)


class Wheel:
    """One flywheel of this server.

    Args:
        ws: For requests, the flusher and everything small.
        turning: For cycles: the engine of a workspace is used by one thread at a time.
        tell: Called for each batch that was moved to the lake here.
    """

    def __init__(self, ws: Workspace, turning: Workspace, tell: Tell | None = None) -> None:
        self.ws, self.turning, self.tell = ws, turning, tell
        self.name = ws.name
        self.champion = Champion(ws)
        self.scheduler = Scheduler(ws.spec, ws.clock.now())

    def run(self, task: Task) -> None:
        """Do one task; raises what it raises."""
        match task.what:
            case "flush":
                flush(self.ws, self.tell)
            case "load":
                self.champion.refresh()
            case "turn":
                turn(self.turning, task.argument, self.tell)
            case "start":
                why: Trigger = "finding" if task.argument == "finding" else "cadence"
                start(self.turning, why, self.tell)
            case "watch":
                watch(self.turning, self.ws.clock.now())
            case "deliver":
                # Each flywheel signs with its own key.
                deliver_webhooks(self.ws.ledger, self.ws.spec.release.secret_env, self.name)
            case "mirror":
                if problems := self.ws.mirror_models():
                    raise StorageError("; ".join(problems), where="MLflow")
            case "maintain":
                lock = take_if_free(self.ws.root, self.ws.ledger, f"maintaining-{self.name}")
                if lock is not None:
                    with lock:
                        self.ws.lake.maintain()
                        self.ws.inbox.forget_names(self.name, self.ws.clock.now() - NAMES_KEPT)

    def due(self) -> list[Task]:
        """What should begin now."""
        now = self.ws.clock.now()
        champion = self.champion
        seen = look(self.ws.ledger, self.ws.spec, now, loaded=champion.loaded, serves=champion.asked)
        lake = self.ws.lake
        seen = seen._replace(new_files=lake.new_files, scattered=bool(lake.scattered))
        return self.scheduler.due(now, seen)


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
