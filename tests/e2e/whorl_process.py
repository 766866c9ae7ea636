"""Whorl as a company runs it: the command line and the server, each in a process of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

import httpx

WHORL = [sys.executable, "-c", "from whorl.cli import main; main()"]
UP_WITHIN_S = 90.0


def whorl(*words: str | Path, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
    """Run a command and wait for its end."""
    arguments = [*WHORL, *(str(word) for word in words)]
    return subprocess.run(arguments, capture_output=True, text=True, check=False, cwd=cwd, timeout=120)


def done(*words: str | Path, cwd: Path | None = None) -> str:
    """What a command says that has to work."""
    said = whorl(*words, cwd=cwd)
    assert said.returncode == 0, said.stdout + said.stderr
    return said.stdout


def answered(*words: str | Path) -> Any:
    """The JSON of a command that has to work."""
    return json.loads(done(*words, "--json"))


def until(true: Callable[[], Any], why: Callable[[], str] = str, within_s: float = UP_WITHIN_S) -> Any:
    """What `true` gives once it is true. The only way to learn what another process has done is to look again."""
    end = monotonic() + within_s
    while not (found := true()):
        assert monotonic() < end, why()
        Event().wait(0.1)
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """`whorl serve` on a spec; `http` talks to it."""

    def __init__(self, spec: Path, **environment: str) -> None:
        self.spec, self.log = spec, spec.parent / "server.log"
        self.http = httpx.Client(timeout=30.0, trust_env=False)
        self._environment = {**os.environ, **environment}
        self.start()

    def start(self) -> None:
        port = free_port()
        self.http.base_url = f"http://127.0.0.1:{port}"  # type: ignore[assignment]
        arguments = [*WHORL, "serve", "--spec", str(self.spec), "--port", str(port)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                arguments, stdout=log, stderr=subprocess.STDOUT, env=self._environment
            )
        until(self._ready, self.log.read_text)

    def cycle(self) -> Any:
        """The newest cycle."""
        return self.http.get("/v1/flywheels/fraud/cycles").json()["items"][0]

    def awaited(self, state: str, waiting_for: str | None = None) -> Any:
        """The newest cycle, once it has come into a state."""

        def there() -> Any:
            cycle = self.cycle()
            assert cycle["state"] == state or cycle["state"] in ("running", "waiting"), cycle
            waits = (cycle.get("waiting_for") or {}).get("what")
            return cycle if cycle["state"] == state and waits == waiting_for else None

        return until(there, self.log.read_text)

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def close(self) -> None:
        self.http.close()
        if self.process.poll() is None:
            self.kill()

    def _ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            return self.http.get("/readyz").is_success
        except httpx.ConnectError:
            return False
