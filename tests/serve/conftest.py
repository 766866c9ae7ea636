"""A workspace in simulated time, and versions of a model in it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from whorl.clock import SimulatedClock
from whorl.models.model import folder_digest
from whorl.records import ModelVersion
from whorl.spec import Spec, parse_spec
from whorl.workspace import Workspace, open_workspace

Register = Callable[[float], ModelVersion]


@pytest.fixture
def spec() -> Spec:
    return parse_spec(
        """
        name = "fraud"
        task = "binary"
        [schema.features]
        amount = "float"
        merchant = "category"
        [release]
        via = "serve"
        [monitor]
        start_cycle = true
        """
    )


@pytest.fixture
def ws(spec: Spec, tmp_path: Path, clock: SimulatedClock) -> Iterator[Workspace]:
    with open_workspace(spec, tmp_path / "ws", clock=clock) as opened:
        yield opened


@pytest.fixture
def register(ws: Workspace, constant_model, tmp_path: Path) -> Register:
    """Adds a version that always answers the same."""

    def add(value: float) -> ModelVersion:
        folder = constant_model(tmp_path / f"model-{value}", ws.spec, value)
        return ws.registry.register(folder, trainer="test", digest=folder_digest(folder))

    return add
