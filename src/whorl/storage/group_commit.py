"""Many threads, one commit: what waits while a commit runs shares the next one.

A durable commit costs about as much for one row as for a hundred, so callers queue and one thread writes for all.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from whorl.errors import StateError

T = TypeVar("T")
R = TypeVar("R")


class GroupCommit(Generic[T, R]):
    """Hands what waits to `commit`, and each caller the outcome of its own item.

    Args:
        commit: Makes the items durable together; returns one outcome an item, in order: what its caller is given, or
            the exception that it gets. What it raises is every waiting caller's outcome.
        most: Items in one commit, at most.

    >>> group = GroupCommit(lambda items: [item.upper() for item in items])
    >>> group.submit("a row")
    'A ROW'
    >>> group.close()
    """

    def __init__(self, commit: Callable[[Sequence[T]], Sequence[R | Exception]], *, most: int = 64) -> None:
        self._commit = commit
        self._most = most
        self._waiting: SimpleQueue[tuple[T, Future[R]] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False

    def submit(self, item: T) -> R:
        """Returns once the item is committed; raises what kept it from that."""
        return self.submit_soon(item).result()

    def submit_soon(self, item: T) -> Future[R]:
        """The same for a caller that has something else to do meanwhile."""
        done: Future[R] = Future()
        with self._lock:
            if self._closed:
                raise StateError("The inbox is closed.", hint="Open the workspace again.")
            if self._thread is None:
                # A daemon: nobody is waiting for an answer any more when the program ends.
                self._thread = threading.Thread(target=self._run, name="whorl-group-commit", daemon=True)
                self._thread.start()
            self._waiting.put((item, done))
        return done

    def close(self) -> None:
        """Commit what waits, then stop the thread."""
        with self._lock:
            self._closed = True
            self._waiting.put(None)
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while group := self._next_group():
            outcomes: Sequence[R | Exception]
            try:
                outcomes = self._commit([item for item, _ in group])
                if len(outcomes) != len(group):
                    raise StateError(f"{len(group)} items were committed with {len(outcomes)} answers.")
            except Exception as error:  # noqa: BLE001 - it is handed to every caller that waits for it
                outcomes = [error] * len(group)
            for (_, done), outcome in zip(group, outcomes, strict=True):
                if isinstance(outcome, Exception):
                    done.set_exception(outcome)
                else:
                    done.set_result(outcome)

    def _next_group(self) -> list[tuple[T, Future[R]]]:
        """What waits now, at least one; empty when closed and all is done."""
        group: list[tuple[T, Future[R]]] = []
        while len(group) < self._most:
            try:
                entry = self._waiting.get(block=not group)
            except Empty:
                break
            if entry is None:
                # Back to the end for the next look: this group comes first.
                if group:
                    self._waiting.put(None)
                break
            group.append(entry)
        return group
