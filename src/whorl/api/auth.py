"""Who may call: the guard of every route. With API keys, a bearer key of the right scope and flywheel; without, this machine.

Each route says what it needs by `opt = needs("read")`; one that says nothing needs `admin`. Keys are read from the ledger
again when what is known is half a second old, so that a revoked one stops within a second; a refusal says what is
needed and nothing about which keys there are. Bodies are read after the guard: a stranger sends none.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from time import monotonic
from typing import Any, Literal

from litestar import Request
from litestar.concurrency import sync_to_thread
from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler

from whorl.api.failures import HttpError, TooFast
from whorl.api.local_only import local_only
from whorl.errors import StorageError, WhorlError
from whorl.serve.service import Service
from whorl.storage import api_keys
from whorl.storage.api_keys import ApiKey, KeyRing, Scope

log = logging.getLogger("whorl.api")

REREAD_S = 0.5
NOTE_EVERY_S = 60.0
_HOW = "Send `Authorization: Bearer KEY`; keys are made with `whorl key create`."
_STRANGER = "caller"


def needs(
    scope: Scope | Literal["open"], *, too_fast: Literal[429, 503] = 429, narrows: bool = False
) -> dict[str, Any]:
    """What a route asks of its caller; goes into `opt` of a handler or controller.

    Args:
        scope: `open`: nothing, ever.
        too_fast: How a caller that exceeds its rate is told; some only try again after 503.
        narrows: The path names no flywheel, and the handler itself keeps to that of its `Caller`.
    """
    return {"scope": scope, "too_fast": too_fast, "narrows": narrows}


@dataclass(frozen=True)
class Caller:
    """Who calls; `key` is None where no keys are asked for."""

    key: ApiKey | None = None

    @property
    def flywheel(self) -> str | None:
        """The one that it may see; None: all."""
        return None if self.key is None else self.key.flywheel

    def may_see(self, flywheel: str) -> bool:
        return self.flywheel in (None, flywheel)

    def must_see(self, flywheel: str) -> None:
        """Raises HttpError (403), whether or not there is such a flywheel."""
        if not self.may_see(flywheel):
            raise HttpError(403, "This key is for another flywheel.", where=flywheel)

    def signed(self, by: str) -> str:
        """Who is written down as having acted: what they call themselves, and the key they came with."""
        return by if self.key is None else f"{by} (key {self.key.id})"


def the_caller(request: Request[Any, Any, Any]) -> Caller:
    """The caller that the guard let in."""
    caller: Caller = request.scope["state"][_STRANGER]
    return caller


class Gate:
    """The guard of one application.

    Args:
        seconds: A clock that only runs on; for rates and for the age of what is known.
    """

    def __init__(self, service: Service, seconds: Callable[[], float] = monotonic) -> None:
        self._service, self._seconds = service, seconds
        self._ring: KeyRing | None = None
        self._read_at = 0.0
        self._reading = asyncio.Lock()
        self._noted: dict[str, float] = {}
        self._buckets: dict[str, _Bucket] = {}

    async def guard(self, connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        """`admit` for the framework's routes; the handlers find the caller by `the_caller`."""
        name = connection.path_params.get("name")
        connection.scope["state"][_STRANGER] = await self.admit(handler.opt, connection.headers, name)

    async def admit(self, opt: Mapping[str, Any], headers: Mapping[str, str], name: str | None) -> Caller:
        """Let in, or raise HttpError: 401 no key, 403 not this one, 429 or 503 too fast.

        Args:
            opt: What the route `needs`.
            name: The flywheel that the path names.
        """
        scope: Scope | Literal["open"] = opt.get("scope", "admin")
        if scope == "open":
            return Caller()
        ring = await self._keys()
        if not ring.made:
            local_only(headers)
            return Caller()
        key = ring.find(_presented(headers), self._service.clock.now())
        if key is None:
            raise self._refused("no_key", HttpError(
                401, f"This needs an API key with the scope '{scope}'.", where="Authorization", hint=_HOW,
                headers={"WWW-Authenticate": "Bearer"},
            ))  # fmt: skip
        self._in_time(key, opt.get("too_fast", 429))
        if not key.has(scope):
            raise self._refused("scope", HttpError(
                403, f"This needs the scope '{scope}'; the key has {', '.join(key.scopes)}.", where="Authorization",
            ))  # fmt: skip
        caller = Caller(key)
        if name is None and key.flywheel is not None and not opt.get("narrows"):
            raise self._refused("flywheel", HttpError(
                403, "This needs a key for every flywheel.", where="Authorization"
            ))  # fmt: skip
        if name is not None and not caller.may_see(name):
            raise self._refused("flywheel", HttpError(403, "This key is for another flywheel.", where=name))
        self._note(key)
        return caller

    async def _keys(self) -> KeyRing:
        if self._ring is None or self._seconds() - self._read_at > REREAD_S:
            async with self._reading:
                # Whoever waited for the lock finds what the one before has read.
                if self._ring is None or self._seconds() - self._read_at > REREAD_S:
                    began = self._seconds()
                    self._ring = await sync_to_thread(self._read)
                    self._read_at = began
        return self._ring

    def _read(self) -> KeyRing:
        try:
            return api_keys.ring(self._service.ledger)
        except StorageError as error:
            # Strangers may ask; where the ledger is, they need not know.
            log.error("The keys cannot be read: %s", error)
            raise StorageError("Nobody can be let in: the keys cannot be read.", hint="Try again.") from error

    def _in_time(self, key: ApiKey, status: int) -> None:
        if key.rate_per_s is None:
            return
        bucket = self._buckets.get(key.id)
        if bucket is None or bucket.rate != key.rate_per_s:
            bucket = self._buckets[key.id] = _Bucket(key.rate_per_s, self._seconds())
        wait_s = bucket.take(self._seconds())
        if wait_s:
            raise self._refused("rate", TooFast(
                status, f"This key may make {key.rate_per_s:g} requests a second.", where="Authorization",
                hint="Send it again after Retry-After seconds; send more records in a request.",
                headers={"Retry-After": str(ceil(wait_s))},
            ))  # fmt: skip

    def _refused(self, reason: str, error: HttpError) -> HttpError:
        self._service.meter.turned_away(reason)
        return error

    def _note(self, key: ApiKey) -> None:
        """Once a minute, and not while the caller waits."""
        now = self._seconds()
        if now - self._noted.get(key.id, now - NOTE_EVERY_S) >= NOTE_EVERY_S:
            self._noted[key.id] = now
            at = self._service.clock.now()
            asyncio.get_running_loop().run_in_executor(None, self._write, key.id, at)

    def _write(self, id: str, at: datetime) -> None:
        try:
            api_keys.note_used(self._service.ledger, id, at)
        except WhorlError as error:
            log.warning("When key %s was last used is not written down: %s", id, error)


class _Bucket:
    """Holds the requests of one second, at least one; filled at the key's rate."""

    def __init__(self, rate: float, now: float) -> None:
        self.rate = rate
        self._most = max(1.0, rate)
        self._left, self._at = self._most, now

    def take(self, now: float) -> float:
        """0 when the request may go on, else the seconds until one may."""
        self._left = min(self._most, self._left + (now - self._at) * self.rate)
        self._at = now
        if self._left < 1:
            return (1 - self._left) / self.rate
        self._left -= 1
        return 0.0


def _presented(headers: Mapping[str, str]) -> str:
    kind, _, presented = headers.get("authorization", "").partition(" ")
    return presented.strip() if kind.lower() == "bearer" else ""
