"""A server in this process with keys, and whoever presents one."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from whorl.api import auth
from whorl.api.app import make_app
from whorl.serve.service import Service
from whorl.storage import api_keys
from whorl.storage.api_keys import ApiKey

SPEC = """
name = "{name}"
task = "binary"

[schema]
id = "id"
time = "time"
score = "score"
label = "label"

[schema.features]
amount = "float"
"""
MakeKey = Callable[..., tuple[ApiKey, dict[str, str]]]


def open_service(folder: Path) -> Service:
    """Two flywheels, no keys."""
    paths = [folder / f"{name}.toml" for name in ("fraud", "churn")]
    for path in paths:
        path.write_text(SPEC.format(name=path.stem))
    return Service(paths, folder / "ws")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with open_service(tmp_path) as opened:
        yield opened


@pytest.fixture(scope="module")
def shared_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """For tests that only ask; it reads the keys anew for each request."""
    with pytest.MonkeyPatch.context() as patch, open_service(tmp_path_factory.mktemp("shared")) as opened:
        patch.setattr(auth, "REREAD_S", -1.0)
        yield opened


@pytest.fixture
def client(service: Service) -> Iterator[TestClient[Any]]:
    with TestClient(make_app(service), base_url="http://whorl.example", raise_server_exceptions=False) as one:
        yield one


@pytest.fixture
def make_key(service: Service) -> MakeKey:
    """Makes a key; returns it with the header to send."""

    def make(*scopes: str, flywheel: str | None = "fraud", **more: Any) -> tuple[ApiKey, dict[str, str]]:
        key, presented = api_keys.create(
            service.ledger, flywheel=flywheel, scopes=scopes, name="test", by="ann", **more
        )
        return key, {"Authorization": f"Bearer {presented}"}

    return make
