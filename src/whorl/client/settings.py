"""What a client is told once: where to, how much it may hold, how long it may wait."""

import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypedDict, Unpack
from urllib.parse import urlsplit

import httpx

from whorl.clock import Clock, RealClock
from whorl.errors import StateError
from whorl.records import Record

DEFAULT_URL = "http://127.0.0.1:8377"
NO_SPOOL = "off"
_CLOCK = RealClock()
# Given a copy of a record in plain JSON types, what is to be logged instead; None when it is not to be.
BeforeSend = Callable[[dict[str, Any]], Mapping[str, Any] | None]


class Limits(TypedDict, total=False):
    """What `whorl.connect` takes beside where to; see Settings."""

    durable: bool
    spool: str | Path | None
    max_records: int
    max_bytes: int
    max_spool_bytes: int
    batch_records: int
    batch_bytes: int
    linger_s: float
    timeout_s: float
    exit_s: float
    retry_s: float
    before_send: BeforeSend | None
    clock: Clock
    transport: httpx.BaseTransport | None


class Settings(Record, frozen=True, kw_only=True):
    """Where to, and how.

    Attributes:
        durable: A record is in the spool when the call that logs it returns.
        spool: The folder of all spools; None: there is none.
        max_records, max_bytes: What may wait in memory.
        max_spool_bytes: What this process's spool may hold.
        batch_records, batch_bytes: What is sent at once, at most.
        linger_s: How long the first record waits for others to be sent with.
        timeout_s: For connecting, and for each wait for the server.
        exit_s: How long the end of the process may wait for the server.
        retry_s: The first wait after a failure; each one after that doubles it, up to 30 s.
        before_send: Called in each call that logs, before anything of the record is kept, in memory or on disk.
        transport: Stands in for the network, in tests.
    """

    url: str
    key: str | None
    flywheel: str
    durable: bool = False
    spool: Path | None = None
    max_records: int = 100_000
    max_bytes: int = 64 << 20
    max_spool_bytes: int = 512 << 20
    batch_records: int = 5_000
    batch_bytes: int = 4 << 20
    linger_s: float = 0.2
    timeout_s: float = 10.0
    exit_s: float = 5.0
    retry_s: float = 0.5
    before_send: BeforeSend | None = None
    clock: Clock = _CLOCK
    transport: httpx.BaseTransport | None = None

    @property
    def target(self) -> Path | None:
        """The folder of all spools for this flywheel of this server; the key is no part of it."""
        if self.spool is None:
            return None
        name = hashlib.sha256(f"{self.url.rstrip('/')}\n{self.flywheel}".encode()).hexdigest()[:16]
        return self.spool / name


def settings(url: str | None, key: str | None, flywheel: str | None, **limits: Unpack[Limits]) -> Settings:
    """Fill in from the environment what was not given. Raises StateError when it cannot be meant."""
    url = url or os.environ.get("WHORL_URL") or DEFAULT_URL
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise StateError(
            f"{url!r} is not an address of a server.", where="url", hint=f"Such as {DEFAULT_URL}."
        )
    flywheel = flywheel or os.environ.get("WHORL_FLYWHEEL")
    if not flywheel:
        raise StateError(
            "No flywheel is named.", where="flywheel", hint="Give flywheel=, or set WHORL_FLYWHEEL."
        )
    where = limits.get("spool") or os.environ.get("WHORL_SPOOL") or default_spool()
    spool = None if str(where) == NO_SPOOL else Path(where)
    if limits.get("durable") and spool is None:
        raise StateError(
            "durable=True needs a spool.", where="spool", hint="Give spool= a folder, or unset WHORL_SPOOL."
        )
    key = key or os.environ.get("WHORL_API_KEY") or None
    if key is not None and not (key.isascii() and key.isprintable()):
        raise StateError("The key holds what no key holds.", where="key", hint="Is there a line's end in it?")
    given: dict[str, Any] = {**limits, "spool": spool}
    return Settings(url=url, key=key, flywheel=flywheel, **given)


def default_spool() -> Path:
    """Where spools lie unless WHORL_SPOOL says otherwise."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "whorl" / "spool"
