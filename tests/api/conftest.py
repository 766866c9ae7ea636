"""One server for all who do it no harm; its workspace may be opened beside it."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from server_process import Promote, ServerProcess

from whorl.models.model import folder_digest
from whorl.records import ModelVersion
from whorl.spec import load_spec
from whorl.workspace import Workspace, open_workspace


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    running = ServerProcess(tmp_path_factory.mktemp("server"))
    yield running
    running.close()


@pytest.fixture(scope="session")
def http(server: ServerProcess) -> httpx.Client:
    return server.http


@pytest.fixture(scope="session")
def beside(server: ServerProcess) -> Iterator[Workspace]:
    """The same workspace, opened by this process: what another process may do beside the server."""
    with open_workspace(load_spec(server.spec), server.root) as ws:
        yield ws


@pytest.fixture(scope="session")
def promote(beside: Workspace, constant_model, tmp_path_factory: pytest.TempPathFactory) -> Promote:
    """Registers a version that always answers the same, and points at it, from this process."""

    def add(value: float) -> ModelVersion:
        folder: Path = constant_model(tmp_path_factory.mktemp("model") / "m", beside.spec, value)
        version = beside.registry.register(folder, trainer="test", digest=folder_digest(folder))
        beside.registry.point("champion", version.id, by="test", reason="")
        return version

    return add
