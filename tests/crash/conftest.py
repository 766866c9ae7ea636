"""How often servers are killed: a few times by `make test`, more than a hundred times by `make crash`."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from serving import Server


@pytest.fixture(scope="session")
def kills() -> int:
    """By database; $WHORL_KILLS."""
    return int(os.environ.get("WHORL_KILLS", "2"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Any]:
    """`server(...)` starts one; see serving.py."""
    servers: list[Server] = []

    def start(**how: Any) -> Server:
        servers.append(Server(tmp_path, port=free_port(), **how))
        return servers[-1]

    yield start
    for one in servers:
        one.close()
