"""Outcomes of commits, handed from the thread that commits to the requests that wait in the event loop.

One commit serves many requests; waking the loop costs a system call and the interpreter's lock, so it is woken once for
all of them.
"""

import asyncio
from collections import deque
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Outcomes:
    """Of one event loop, the one that first waits."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready: deque[tuple[Future[Any], asyncio.Future[Any]]] = deque()
        self._woken = False

    async def of(self, done: Future[T]) -> T:
        """The outcome, once it is there; raises what it raises."""
        self._loop = self._loop or asyncio.get_running_loop()
        waiting: asyncio.Future[T] = self._loop.create_future()
        done.add_done_callback(lambda done: self._arrived(done, waiting))
        return await waiting

    def _arrived(self, done: Future[Any], waiting: asyncio.Future[Any]) -> None:
        self._ready.append((done, waiting))
        if not self._woken and self._loop is not None:
            self._woken = True
            self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        # First: what arrives from here on wakes the loop again.
        self._woken = False
        while self._ready:
            done, waiting = self._ready.popleft()
            if waiting.done():
                continue
            error = done.exception()
            if error is None:
                waiting.set_result(done.result())
            else:
                waiting.set_exception(error)
