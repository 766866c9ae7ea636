"""Without API keys only this machine is served: the address is loopback, and a browser cannot be talked into calling.

A page from elsewhere can make a browser send requests to 127.0.0.1 (its Origin gives it away), or reach it under a
name of its own (the Host gives that away). With keys, `auth.py` asks for those instead: a page has none to send.
"""

from collections.abc import Mapping
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit

from whorl.api.failures import HttpError
from whorl.errors import StateError


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Whether a name or address is this machine only.

    >>> [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "db.example.com")]
    [True, True, True, False, False]
    """
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def check_address(host: str) -> None:
    """Raise StateError for an address that other machines can reach."""
    if not is_loopback(host):
        raise StateError(
            f"Whorl will not listen on {host}: there are no API keys yet, so everybody who reaches it could write.",
            where="--host",
            hint="Make one with `whorl key create`, or listen on 127.0.0.1.",
        )


def local_only(headers: Mapping[str, str]) -> None:
    """Raise HttpError (403) for what a strange page made a browser send."""
    host = headers.get("host", "")
    if not is_loopback(_hostname(host)):
        raise HttpError(403, f"Host {host!r} is not this machine.", where="Host")
    origin = headers.get("origin")
    if origin is not None and origin.partition("://")[2] != host:
        raise HttpError(403, f"Origin {origin!r} may not call this server.", where="Origin")


@lru_cache(maxsize=256)
def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
