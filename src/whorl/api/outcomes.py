"""Outcomes of commits, handed from the thread that commits to the requests that wait in the event loop.

One commit serves many requests; waking the loop costs a system call and the interpreter's lock, so it is woken once for
all of them.
"""

import asyncio
from collections import deque
from concurrent.futures import Future
from typing import Any, TypeVar
from weakref import WeakKeyDictionary, ref

T = TypeVar("T")
_of_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, "_Outcomes"] = WeakKeyDictionary()


async def outcome(done: Future[T]) -> T:
    """The outcome, once it is there; raises what it raises."""
    loop = asyncio.get_running_loop()
    outcomes = _of_loops.get(loop) or _of_loops.setdefault(loop, _Outcomes(loop))
    waiting: asyncio.Future[T] = loop.create_future()
    done.add_done_callback(lambda done: outcomes.arrived(done, waiting))
    return await waiting


class _Outcomes:
    """What has arrived for one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._wake = ref(loop)
        self._ready: deque[tuple[Future[Any], asyncio.Future[Any]]] = deque()
        self._woken = False

    def arrived(self, done: Future[Any], waiting: asyncio.Future[Any]) -> None:
        self._ready.append((done, waiting))
        loop = self._wake()
        if not self._woken and loop is not None:
            self._woken = True
            loop.call_soon_threadsafe(self._deliver)

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
