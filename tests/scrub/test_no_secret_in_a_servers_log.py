"""The same search around a server in a process of its own: all that it writes on its way, into files and into its log."""

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from telemetry_ways import over_otlp
from test_no_secret_stays import CAPTURE, KEY, SPEC, Run, over_http, refused_whole

from e2e.whorl_process import WHORL, free_port, until


class Log:
    """What the server has printed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def text(self) -> str:
        return self.path.read_text()


def test_no_secret_is_printed_or_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHORL_HASH_KEY", KEY)
    spec, port, log = tmp_path / "flywheel.toml", free_port(), Log(tmp_path / "server.log")
    spec.write_text(SPEC + CAPTURE)
    where = ["--spec", str(spec), "--workspace", str(tmp_path / "ws"), "--port", str(port)]
    with log.path.open("wb") as out:
        server = subprocess.Popen([*WHORL, "serve", *where], stdout=out, stderr=out)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:

            def ready() -> bool:
                assert server.poll() is None, log.text
                try:
                    return client.get("/readyz").is_success
                except httpx.TransportError:
                    return False

            until(ready, lambda: log.text)
            no_service: Any = SimpleNamespace(wheel=lambda _: SimpleNamespace(ws=None))
            watched: Any = log
            run = Run(tmp_path / "ws", no_service, client, watched)  # type: ignore[arg-type]
            for way in (over_http, over_otlp, refused_whole):
                way(run)
                assert run.traces() == set()
            assert not any("internal" in said for said in run.said)
            server.terminate()
            assert server.wait(60) == 0, log.text
    finally:
        server.kill()
    assert run.traces() == set()
    assert "Traceback" not in log.text
    assert any(run.folder.rglob("*.parquet")), "what may be kept was moved"
