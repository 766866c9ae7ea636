"""What a flywheel's server should do now. Pure: told the time and what the ledger says, it names the tasks that are due.

Who looks at the ledger is in `seen.py`, who runs the tasks in `runner.py`. A task that failed comes again, each time
after a longer wait; one that is running is not named twice, because the runner says when it began.
"""

from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from whorl.monitor.starting import Known, why_start
from whorl.spec import Spec
from whorl.storage.cycles import Cycle

What = Literal["flush", "load", "turn", "start", "watch", "deliver", "mirror", "maintain"]

# An append of fewer rows costs as much; until there are as many, rows wait for as long as EVERY says.
FLUSH_ROWS = 50_000
# So many new files slow reading down more than merging them costs.
MANY_FILES = 200
# From one beginning to the next; what is not named here begins as soon as there is a reason.
EVERY: dict[What, timedelta] = {
    "flush": timedelta(seconds=2),
    "mirror": timedelta(seconds=10),
    "maintain": timedelta(minutes=15),
    "watch": timedelta(hours=1),
}
# When rows are spread over many days, and each append makes a small file for each of them.
FLUSH_SCATTERED_EVERY = timedelta(seconds=10)
# Even when there are many new files.
BETWEEN_MERGES = timedelta(seconds=20)
FIRST_RETRY = timedelta(seconds=1)
LONGEST_WAIT = timedelta(minutes=5)
# What was accepted must not wait for long once the disk, or the database, is back.
LONGEST_WAIT_OF: dict[What, timedelta] = {"flush": timedelta(seconds=5)}


class Task(NamedTuple):
    """One thing to do: `argument` is the cycle to turn, or why one is started."""

    what: What
    argument: str = ""


class Seen(NamedTuple):
    """What the ledger says of one flywheel, and which model answers in this process.

    `paced_from`, `found_at`, `by_findings`: see `Known` in `monitor/starting.py`. `answered`: what the waiting cycle needs
    has come. `serves`: predictions are asked for here. `new_files`: that this process has added to the lake and not merged yet.
    `scattered`: its last appends brought few rows each to many days.
    """

    paced_from: datetime
    waiting_rows: int = 0
    last: Cycle | None = None
    answered: bool = False
    found_at: datetime | None = None
    by_findings: tuple[datetime, ...] = ()
    champion: str | None = None
    loaded: str | None = None
    serves: bool = False
    mirrored: bool = True
    deliveries: bool = False
    new_files: int = 0
    scattered: bool = False


class Scheduler:
    """The timetable of one flywheel."""

    def __init__(self, spec: Spec, started_at: datetime) -> None:
        self._spec = spec
        self._began: dict[What, datetime] = {"watch": started_at, "maintain": started_at}
        self._running: set[What] = set()
        self._failures: dict[What, int] = {}
        self._not_before: dict[What, datetime] = {}

    def due(self, now: datetime, seen: Seen) -> list[Task]:
        """What should begin now; of what a cycle needs, one task at most."""
        wanted = [*self._storage(now, seen), *self._cycle(now, seen), *self._outside(now, seen)]
        return [task for task in wanted if self._may_begin(task.what, now)]

    def begun(self, task: Task, now: datetime) -> None:
        """It runs from now on."""
        self._running.add(task.what)
        self._began[task.what] = now

    def ended(self, task: Task, now: datetime, *, well: bool) -> timedelta:
        """It has ended; returns how long to wait before it may begin again."""
        self._running.discard(task.what)
        if well:
            self._failures.pop(task.what, None)
            self._not_before.pop(task.what, None)
            return timedelta(0)
        failures = self._failures[task.what] = self._failures.get(task.what, 0) + 1
        wait = min(LONGEST_WAIT_OF.get(task.what, LONGEST_WAIT), FIRST_RETRY * (1 << min(failures - 1, 30)))
        self._not_before[task.what] = now + wait
        return wait

    def _may_begin(self, what: What, now: datetime) -> bool:
        return what not in self._running and now >= self._not_before.get(what, now)

    def _storage(self, now: datetime, seen: Seen) -> list[Task]:
        tasks: list[Task] = []
        rest = FLUSH_SCATTERED_EVERY if seen.scattered else EVERY["flush"]
        if seen.waiting_rows >= FLUSH_ROWS or (seen.waiting_rows and self._rested("flush", now, rest)):
            tasks.append(Task("flush"))
        many = seen.new_files >= MANY_FILES and now - self._began["maintain"] >= BETWEEN_MERGES
        if many or self._rested("maintain", now):
            tasks.append(Task("maintain"))
        if seen.serves and seen.champion != seen.loaded:
            tasks.append(Task("load"))
        return tasks

    def _cycle(self, now: datetime, seen: Seen) -> list[Task]:
        last = seen.last
        if self._running & {"turn", "start", "watch"}:
            return []
        # Whatever a cycle waits for; one that turns has the engine to itself, and looks at its end.
        looks = [Task("watch")] if self._rested("watch", now) else []
        if last is not None and (last.state == "running" or seen.answered or _too_late(last, now)):
            return [Task("turn", last.id)] if self._may_begin("turn", now) else looks
        if last is not None and last.state == "waiting":
            return looks
        begun = last.created_at if last is not None else None
        why = why_start(self._spec, now, Known(seen.paced_from, begun, seen.found_at, seen.by_findings))
        return looks if why is None or not self._may_begin("start", now) else [Task("start", why)]

    def _outside(self, now: datetime, seen: Seen) -> list[Task]:
        tasks = [Task("mirror")] if not seen.mirrored and self._rested("mirror", now) else []
        return [*tasks, Task("deliver")] if seen.deliveries else tasks

    def _rested(self, what: What, now: datetime, rest: timedelta | None = None) -> bool:
        began = self._began.get(what)
        return began is None or now - began >= (EVERY[what] if rest is None else rest)


def _too_late(cycle: Cycle, now: datetime) -> bool:
    """Whether what the cycle waits for did not come in time: turning it says so."""
    waiting = cycle.waiting_for
    return waiting is not None and waiting.until is not None and now >= waiting.until
