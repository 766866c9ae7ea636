"""`whorl serve` at one address, however often it is killed and started again; and what lies in its lake in the end."""

import subprocess
from collections import Counter
from pathlib import Path

import httpx

import whorl
from e2e.whorl_process import WHORL, free_port, until

SPEC = """
name = "shop"
task = "binary"

[schema]
id = "order_id"
time = "at"

[schema.features]
amount = "float"
"""


class RealServer:
    """Not started yet."""

    def __init__(self, folder: Path) -> None:
        self.spec, self.root, self.log = folder / "shop.toml", folder / "ws", folder / "server.log"
        self.spec.write_text(SPEC)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        where = ["--spec", str(self.spec), "--workspace", str(self.root), "--port", str(self.port)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen([*WHORL, "serve", *where], stdout=log, stderr=subprocess.STDOUT)
        until(self._ready, self.log.read_text)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            assert self._process.wait(60) == 0, self.log.read_text()
            self._process = None

    def ids(self, table: str = "predictions", column: str = "id") -> Counter[str]:
        """How often each id lies in the lake. The server must have stopped."""
        with whorl.open(self.spec, workspace=self.root) as flywheel:
            flywheel.flush()
            ws = flywheel.workspace
            rows = ws.engine.query(f"SELECT {column} AS id FROM {ws.lake.relation(table)}")  # type: ignore[arg-type]
        return Counter(rows["id"].to_pylist())

    def times(self) -> dict[str, str]:
        """When each prediction was made, as the lake has it."""
        with whorl.open(self.spec, workspace=self.root) as flywheel:
            ws = flywheel.workspace
            rows = ws.engine.query(f"SELECT id, time FROM {ws.lake.relation('predictions')}")
        return {row["id"]: row["time"].isoformat() for row in rows.to_pylist()}

    def close(self) -> None:
        if self._process is not None:
            self.kill()

    def _ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log.read_text()
        try:
            return httpx.get(f"{self.url}/readyz", trust_env=False).is_success
        except httpx.TransportError:
            return False
