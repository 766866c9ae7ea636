"""Threads: a slow cycle stops nothing else, a failing task ends nothing, a lost lock ends everything."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from whorl.serve.runner import Runner
from whorl.serve.scheduler import Scheduler, Seen, Task
from whorl.workspace import Workspace

WAIT_S = 10.0


class FakeWheel:
    """Names the tasks it is told to, and runs what it is told to."""

    name = "fraud"

    def __init__(self, ws: Workspace, tasks: list[Task], run: Callable[[Task], Any]) -> None:
        self.ws, self._tasks, self.run = ws, tasks, run
        self.scheduler = Scheduler(ws.spec, ws.clock.now())

    def due(self) -> list[Task]:
        self.ws.clock.advance(timedelta(minutes=1))
        waiting = Seen(paced_from=self.ws.clock.now(), waiting_rows=1)
        may_begin = {task.what for task in self.scheduler.due(self.ws.clock.now(), waiting)} | {"turn"}
        return [task for task in self._tasks if task.what in may_begin]


def runner_of(
    wheel: Any, still_ours: bool | None = True, stop_all: Callable[[], None] = lambda: None
) -> Runner:
    return Runner([wheel], lambda: still_ours, stop_all)


def test_a_slow_cycle_does_not_stop_flushing(ws: Workspace) -> None:
    turning, slow, flushed = (threading.Event() for _ in range(3))
    runs = {"turn": lambda: turning.set() or slow.wait(WAIT_S), "flush": flushed.set}
    tasks = [Task("turn", "c"), Task("flush")]
    runner = runner_of(FakeWheel(ws, tasks, lambda task: runs[task.what]()))
    runner.start()
    assert turning.wait(WAIT_S)
    assert flushed.wait(WAIT_S)
    assert not runner.stop(0.2), "the cycle still runs, and nobody waits for it"
    slow.set()
    assert runner.stop(WAIT_S)


def test_what_fails_is_logged_with_its_flywheel_and_tried_again(ws: Workspace, caplog: Any) -> None:
    tries, twice = [], threading.Event()

    def flush(task: Task) -> None:
        tries.append(task)
        if len(tries) == 2:
            twice.set()
        raise ZeroDivisionError

    runner = runner_of(FakeWheel(ws, [Task("flush")], flush))
    runner.start()
    assert twice.wait(WAIT_S)
    assert runner.alive
    runner.stop(WAIT_S)
    assert "fraud: flush" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_a_lost_lock_stops_everything(ws: Workspace) -> None:
    stopped, ran = threading.Event(), threading.Event()
    runner = runner_of(
        FakeWheel(ws, [Task("flush")], lambda _: ran.set()), still_ours=False, stop_all=stopped.set
    )
    runner.start()
    assert stopped.wait(WAIT_S)
    assert runner.stop(WAIT_S)
    assert not ran.is_set()


def test_nothing_begins_while_it_cannot_be_told_whose_the_workspace_is(ws: Workspace) -> None:
    ours: list[bool | None] = [None]
    ran, asked = threading.Event(), threading.Event()

    def still_ours() -> bool | None:
        asked.set()
        return ours[0]

    runner = Runner([FakeWheel(ws, [Task("flush")], lambda _: ran.set())], still_ours, lambda: None)  # type: ignore[list-item]
    runner.start()
    assert asked.wait(WAIT_S)
    assert not ran.is_set()
    ours[0] = True
    assert ran.wait(WAIT_S)
    assert runner.stop(WAIT_S)


def test_a_process_that_only_flushes_does_nothing_else(ws: Workspace) -> None:
    ran, flushed = [], threading.Event()

    def run(task: Task) -> None:
        ran.append(task.what)
        if task.what == "flush":
            flushed.set()

    wheel: Any = FakeWheel(ws, [Task("turn", "c"), Task("flush")], run)
    runner = Runner([wheel], lambda: True, lambda: None, only=["flush"])
    runner.start()
    assert flushed.wait(WAIT_S)
    assert runner.stop(WAIT_S)
    assert set(ran) == {"flush"}
