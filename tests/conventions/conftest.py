"""A flywheel for a support assistant, with its clock a minute after the spans of these tests."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from whorl.clock import SimulatedClock
from whorl.spec import parse_spec
from whorl.workspace import Workspace, open_workspace

SUPPORT = """
name = "support"
task = "generation"
[schema]
keys = { ticket = "app.ticket" }
protected = { plan = "app.plan" }
[schema.features]
asked_model = { type = "category", path = "gen_ai.request.model" }
region = { type = "category", path = "cloud.region" }
temperature = { type = "float", path = "gen_ai.request.temperature" }
tier = "category"
[train]
trainer = "external"
"""


@pytest.fixture
def ws(tmp_path: Path, clock: SimulatedClock) -> Iterator[Workspace]:
    clock.move_to(clock.now() + timedelta(minutes=1))
    with open_workspace(
        parse_spec(SUPPORT), tmp_path / "ws", clock=clock, mirror=False, holdout_key="ab" * 32
    ) as opened:
        yield opened
