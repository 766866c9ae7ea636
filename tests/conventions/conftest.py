"""A flywheel for a support assistant, with its clock a minute after the spans of these tests."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from exports import SUPPORT

from whorl.clock import SimulatedClock
from whorl.spec import parse_spec
from whorl.workspace import Workspace, open_workspace


@pytest.fixture
def ws(tmp_path: Path, clock: SimulatedClock) -> Iterator[Workspace]:
    clock.move_to(clock.now() + timedelta(minutes=1))
    with open_workspace(
        parse_spec(SUPPORT), tmp_path / "ws", clock=clock, mirror=False, holdout_key="ab" * 32
    ) as opened:
        yield opened
