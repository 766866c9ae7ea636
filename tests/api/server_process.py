"""A real server in a process of its own, as `whorl serve` runs it."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event
from time import monotonic

import httpx

from whorl.records import ModelVersion

SPEC = """
name = "fraud"
task = "binary"
automation = "semi"

[schema]
id = "transaction_id"
time = "timestamp"
group = "user_id"
score = "prediction.fraud_probability"
label = "ground_truth.is_fraud"
label_source = "ground_truth.labeling_source"

[schema.features]
amount = "float"
merchant = "category"

[release]
via = "serve"
"""
UP_WITHIN_S = 60.0
Promote = Callable[[float], ModelVersion]


class ServerProcess:
    """Starts when made; `http` talks to it."""

    def __init__(self, folder: Path) -> None:
        self.root, self.spec = folder / "ws", folder / "flywheel.toml"
        self.spec.write_text(SPEC)
        self.log = folder / "server.log"
        self.http = httpx.Client(timeout=30.0, trust_env=False)
        self.start()

    def start(self, *options: str, scheme: str = "http") -> None:
        self.port = free_port()
        self.http.base_url = f"{scheme}://127.0.0.1:{self.port}"  # type: ignore[assignment]
        self.process = self.command(self.port, *options)
        until = monotonic() + UP_WITHIN_S
        while not self.answers():
            assert self.process.poll() is None, self.log.read_text()
            assert monotonic() < until, self.log.read_text()
            # The only way to learn that another process listens is to try.
            Event().wait(0.05)

    def answers(self) -> bool:
        try:
            return self.http.get("/readyz").is_success
        except httpx.ConnectError:
            return False

    def command(self, port: int, *options: str) -> subprocess.Popen[bytes]:
        whorl = [sys.executable, "-c", "from whorl.cli import main; main()"]
        where = ["--spec", str(self.spec), "--workspace", str(self.root), "--port", str(port), *options]
        with self.log.open("ab") as log:
            return subprocess.Popen([*whorl, "serve", *where], stdout=log, stderr=subprocess.STDOUT)

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM; returns the exit status."""
        self.process.terminate()
        return self.process.wait(30)

    def close(self) -> None:
        self.http.close()
        if self.process.poll() is None:
            self.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
