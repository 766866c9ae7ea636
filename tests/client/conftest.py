"""A client whose network is a function."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fake_server import Connect, FakeServer

import whorl
from whorl.client.client import Client
from whorl.clock import SimulatedClock


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
def connect(server: FakeServer, tmp_path: Path, clock: SimulatedClock) -> Iterator[Connect]:
    """`connect(**limits)` to that server; closed at the end."""
    made: list[Client] = []

    def make(**limits: Any) -> Client:
        how = {
            "spool": tmp_path / "spool", "clock": clock, "transport": httpx.MockTransport(server), "linger_s": 0.01,
            "retry_s": 0.02,
        }  # fmt: skip
        made.append(whorl.connect("http://127.0.0.1:9", flywheel="fraud", **{**how, **limits}))
        return made[-1]

    yield make
    for client in made:
        client.close(timeout=1.0)
