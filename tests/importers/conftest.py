"""A workspace for an assistant that answers questions, as the users of other tools have one."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from whorl.clock import SimulatedClock
from whorl.spec import parse_spec
from whorl.workspace import Workspace, open_workspace

ASSISTANT = """
name = "assistant"
task = "generation"
[schema.features]
workload_id = "category"
team = { type = "category", path = "tags.team" }
purpose = { type = "category", path = "metadata.purpose" }
[curate]
holdout_share = 0.3
[train]
trainer = "external"
"""


@pytest.fixture
def ws(tmp_path: Path, clock: SimulatedClock) -> Iterator[Workspace]:
    with open_workspace(parse_spec(ASSISTANT), tmp_path / "ws", clock=clock, holdout_key="ab" * 32) as opened:
        yield opened


Rows = Callable[[str], list[dict[str, Any]]]


@pytest.fixture
def rows(ws: Workspace) -> Rows:
    """The lake's rows of a table, by time and id."""

    def read(table: Any) -> list[dict[str, Any]]:
        return ws.engine.query(f"SELECT * FROM {ws.lake.relation(table)} ORDER BY time, id").to_pylist()

    return read


@pytest.fixture
def lines(tmp_path: Path) -> Callable[..., Path]:
    """Writes rows as JSON lines."""

    def write(*found: Any, name: str = "export.jsonl") -> Path:
        path = tmp_path / name
        path.write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in found))
        return path

    return write
