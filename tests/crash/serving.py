"""Servers that are made to be killed: `whorl serve` in a process that was forked from one which had imported everything."""

import logging
import os
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

import httpx

from whorl.api.server import serve
from whorl.serve.service import Only

SPEC = """
name = "fraud"
task = "binary"

[schema]
id = "id"
time = "time"
score = "score"
label = "is_fraud"
label_time = "known_at"

[schema.features]
amount = "float"
shop = "category"
"""
WITHIN_S = 60.0
_processes = get_context("forkserver")
_processes.set_forkserver_preload(["whorl.api.server", "deltalake", "lightgbm", "psycopg", "serving"])


class Server:
    """A server on a workspace; started when made.

    Args:
        folder: Holds flywheel.toml, the log, and the workspace unless that is elsewhere.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int,
        ledger_url: str | None = None,
        root: Path | None = None,
        only: Only | None = None,
        inbox_bytes: int = 1 << 30,
    ) -> None:
        self.spec, self.root, self.port = folder / "flywheel.toml", root or folder / "ws", port
        self.url = f"http://127.0.0.1:{port}"
        self.log = folder / f"server-{port}.log"
        self._how: dict[str, Any] = {"ledger_url": ledger_url, "only": only, "inbox_bytes": inbox_bytes}
        self.spec.write_text(SPEC)
        self.start()

    def start(self) -> None:
        """Come up, and be ready."""
        self.process: BaseProcess = _processes.Process(
            target=_serve, args=(self.spec, self.root, self.port, self.log, self._how), daemon=True
        )
        self.process.start()
        until(self.ready, self.said)

    def ready(self) -> bool:
        assert self.process.is_alive(), self.said()
        try:
            return httpx.get(f"{self.url}/readyz", trust_env=False).is_success
        except httpx.TransportError:
            return False

    def figure(self, name: str) -> float:
        """What /metrics says, over all labels."""
        said = httpx.get(f"{self.url}/metrics", trust_env=False).raise_for_status().text
        lines = [line for line in said.splitlines() if line.startswith(f"{name}{{")]
        return sum(float(line.split()[-1]) for line in lines)

    def said(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    def kill(self) -> None:
        """At once, as `kill -9` does; what it has written stays with the system, as it would not when the power fails."""
        self.process.kill()
        self.process.join()

    def stop(self) -> None:
        """The orderly way: what was accepted is flushed."""
        self.process.terminate()
        self.process.join(WITHIN_S)
        assert self.process.exitcode == 0, self.said()

    def close(self) -> None:
        if self.process.is_alive():
            self.kill()


def until(true: Callable[[], Any], why: Callable[[], str] = str, within_s: float = WITHIN_S) -> Any:
    """What `true` gives once it is true. The only way to learn what another process has done is to look again."""
    end = monotonic() + within_s
    while not (found := true()):
        assert monotonic() < end, why()
        Event().wait(0.02)
    return found


def _serve(spec: Path, root: Path, port: int, log: Path, how: dict[str, Any]) -> None:
    with log.open("ab") as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    serve([spec], root, port=port, **how)
