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
from collections.abc import Sequence
from pathlib import Path

from granian.constants import Interfaces
from granian.server.embed import Server

from whorl.api.app import make_app
from whorl.api.local_only import check_address
from whorl.errors import StateError
from whorl.serve.service import Service

log = logging.getLogger("whorl.serve")

CONNECTIONS = 1024


def serve(
    spec_paths: Sequence[Path],
    root: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8377,
    ledger_url: str | None = None,
    tracking_uri: str | None = None,
) -> None:
    """Serve flywheels until SIGTERM or SIGINT; then answer what has begun, flush, and let go of the workspace.

    Raises:
        WorkspaceHeld: Another process runs this workspace; nothing was bound.
        StateError: The address is not this machine's own, or the port is taken.
        SpecError: A spec is wrong.
    """
    check_address(host)
    service = Service(spec_paths, root, ledger_url=ledger_url, tracking_uri=tracking_uri)
    try:
        check_port(host, port)
        asyncio.run(_listen(service, host, port))
    finally:
        ended = service.close()
    if not ended:
        log.warning("A cycle was running; it goes on at its step when the next server starts.")
        # Its thread is inside native code that does not survive the interpreter's end.
        logging.shutdown()
        os._exit(0)


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


async def _listen(service: Service, host: str, port: int) -> None:
    server = Server(
        make_app(service), address=host, port=port, interface=Interfaces.ASGI, websockets=False,
        backlog=CONNECTIONS, backpressure=CONNECTIONS, log_enabled=False,
    )  # fmt: skip
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)

    def stop_all() -> None:
        loop.call_soon_threadsafe(server.stop)

    service.start(stop_all)
    log.info("Serving %s at http://%s:%d", ", ".join(service.wheels), host, port)
    await server.serve()
