"""Keeps a Python process on its own machine: a connection or a name that leads elsewhere is refused, and remembered.

Remembered, because a library that reports its use swallows every error. Native clients that open sockets by themselves
(libpq) are not seen.
"""

import sys
from ipaddress import ip_address
from socket import gethostname
from typing import Any

attempts: list[str] = []
_ADDRESS = ("socket.connect", "socket.sendto")
_NAME = ("socket.getaddrinfo", "socket.gethostbyname")
_installed = False


class LeavesTheMachine(OSError):
    """Something tried to reach beyond loopback."""


def install() -> None:
    """Watch this process until it ends; a second call changes nothing."""
    global _installed  # noqa: PLW0603 - an audit hook cannot be taken away again
    if not _installed:
        _installed = True
        sys.addaudithook(_watch)


def stays_here(host: Any) -> bool:
    """Whether an address or a name means this machine.

    >>> [stays_here(host) for host in ("127.0.0.1", "::1", "localhost", None, "192.0.2.1", "example.org")]
    [True, True, True, True, False, False]
    """
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost", gethostname()):
        return True
    try:
        address = ip_address(str(name).partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _watch(event: str, args: tuple[Any, ...]) -> None:
    if event in _ADDRESS:
        # A path or bytes is a socket of the file system.
        host = args[1][0] if isinstance(args[1], tuple) else None
    elif event in _NAME:
        host = args[0]
    else:
        return
    if not stays_here(host):
        attempts.append(f"{event} {host}")
        raise LeavesTheMachine(f"{event} to {host!r}: tests reach nothing but this machine.")
