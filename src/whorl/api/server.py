"""`whorl serve`: one process that listens, flushes and turns.

Granian runs embedded, in this process, so that a kill takes listener, lock and tasks together: nothing is left that
answers without a flusher behind it.
"""

import asyncio
import errno
import logging
import os
import signal
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from granian.constants import Interfaces
from granian.server.embed import Server

from whorl.api.app import make_app
from whorl.api.local_only import check_address, is_loopback
from whorl.errors import StateError
from whorl.serve.garbage import looked_for_less_often
from whorl.serve.service import Only, Service
from whorl.storage import api_keys
from whorl.storage.inbox import CAPACITY_BYTES

log = logging.getLogger("whorl.serve")

CONNECTIONS = 1024


@dataclass(frozen=True)
class Tls:
    """A certificate with its chain, and its private key (PKCS8), as PEM files."""

    cert: Path
    key: Path

    def check(self) -> None:
        """Raise StateError when they cannot be read, or others can read the key."""
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.cert, self.key)
            mode = self.key.stat().st_mode
        except (OSError, ssl.SSLError) as error:
            raise StateError(
                f"TLS cannot be set up ({error}).",
                where=f"{self.cert}, {self.key}",
                hint="Give a PEM certificate and its unencrypted PEM key.",
            ) from None
        if mode & 0o077:
            raise StateError(
                "Others than its owner may read or write the private key.",
                where=str(self.key),
                hint=f"chmod 600 {self.key}",
            )


def serve(
    spec_paths: Sequence[Path],
    root: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8377,
    ledger_url: str | None = None,
    tracking_uri: str | None = None,
    tls: Tls | None = None,
    only: Only | None = None,
    inbox_bytes: int = CAPACITY_BYTES,
) -> None:
    """Serve flywheels until SIGTERM or SIGINT; then answer what has begun, flush, and let go of the workspace.

    Raises:
        WorkspaceHeld: Another process runs this workspace; nothing was bound.
        StateError: `only` on a ledger in a file, others could reach the address and there are no keys, the port is taken, or
            TLS cannot be read.
        SpecError: A spec is wrong.
    """
    service = Service(
        spec_paths, root, ledger_url=ledger_url, tracking_uri=tracking_uri, only=only, inbox_bytes=inbox_bytes
    )
    try:
        check_part(service)
        check_who_may_call(service, host, tls)
        check_port(host, port)
        asyncio.run(_listen(service, host, port, tls))
    finally:
        ended = service.close()
    if not ended:
        log.warning("A cycle was running; it goes on at its step when the next server starts.")
        # Its thread is inside native code that does not survive the interpreter's end.
        logging.shutdown()
        os._exit(0)


def check_part(service: Service) -> None:
    """Raise StateError for a part of the work on a ledger in a file."""
    if service.only is not None and service.ledger.embedded:
        raise StateError(
            "A ledger in a file is served by one server, which does everything.",
            where=f"--only {service.only}",
            hint="Name a PostgreSQL ledger in WHORL_LEDGER, or leave --only out.",
        )


def check_who_may_call(service: Service, host: str, tls: Tls | None) -> None:
    """Say who is served; raise StateError where that would be everybody, or TLS cannot be read."""
    if tls is not None:
        tls.check()
    if not api_keys.ring(service.ledger).made:
        check_address(host)
        log.info("There are no API keys: this machine alone is served. Make one with `whorl key create`.")
    elif tls is None and not is_loopback(host):
        log.warning(
            "Keys and records cross the network as they are: let a proxy speak TLS, or give --tls-cert and --tls-key."
        )


def check_port(host: str, port: int) -> None:
    """Raise StateError when something listens there already: the server shares ports, so it would not notice."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            why = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
            raise StateError(
                f"Port {port} of {host} {why}.",
                where="--port",
                hint="Stop what listens there, or choose another.",
            ) from None


async def _listen(service: Service, host: str, port: int, tls: Tls | None) -> None:
    server = Server(
        make_app(service), address=host, port=port, interface=Interfaces.ASGI, websockets=False,
        backlog=CONNECTIONS, backpressure=CONNECTIONS, log_enabled=False,
        ssl_cert=tls.cert if tls else None, ssl_key=tls.key if tls else None,
    )  # fmt: skip
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)

    def stop_all() -> None:
        loop.call_soon_threadsafe(server.stop)

    service.start(stop_all)
    scheme, names = "https" if tls else "http", ", ".join(service.wheels)
    log.info("Serving %s at %s://%s:%d", names, scheme, host, port)
    with looked_for_less_often():
        await server.serve()
