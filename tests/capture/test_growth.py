"""The spec grows while processes of the former one still run: a new feature, a wider type; nobody stops, nothing is lost."""

from pathlib import Path
from typing import Any

import pytest

from whorl.capture.accept import accept
from whorl.capture.flush import flush
from whorl.clock import SimulatedClock
from whorl.errors import SchemaMismatch
from whorl.spec import parse_spec
from whorl.workspace import Workspace, open_workspace

FORMER = '[schema]\nid = "id"\ntime = "time"\n[schema.features]\nvisits = "int"\n'
GROWN = FORMER.replace('"int"', '"float"') + 'shop = "category"\n'


def test_the_former_and_the_grown_spec_side_by_side(
    tmp_path: Path, ledger_url: str, clock: SimulatedClock
) -> None:
    def opened(text: str) -> Workspace:
        spec = parse_spec(f'name = "fraud"\ntask = "binary"\n{text}')
        return open_workspace(spec, tmp_path / "ws", ledger_url=ledger_url, clock=clock, mirror=False)

    with opened(FORMER) as former, opened(GROWN) as grown:
        _log(former, "a", visits=1)
        flush(former)
        _log(grown, "b", visits=2.5, shop="books")
        flush(grown)
        _log(former, "c", visits=3)
        flush(former)
        _log(former, "d", visits=4)
        flush(grown)
        _log(grown, "e", visits=5.5, shop="games")
        flush(former)
        found = grown.engine.query(f"SELECT id, f_visits, f_shop FROM {grown.lake.relation('predictions')}")
        rows = {row["id"]: (row["f_visits"], row["f_shop"]) for row in found.to_pylist()}
        assert rows == {
            "a": (1.0, None),
            "b": (2.5, "books"),
            "c": (3.0, None),
            "d": (4.0, None),
            "e": (5.5, "games"),
        }
        assert former.inbox.depth("fraud").rows == 0


def test_a_spec_that_does_not_fit_stops_only_who_brought_it(
    tmp_path: Path, ledger_url: str, clock: SimulatedClock
) -> None:
    def opened(text: str) -> Workspace:
        spec = parse_spec(f'name = "fraud"\ntask = "binary"\n{text}')
        return open_workspace(spec, tmp_path / "ws", ledger_url=ledger_url, clock=clock, mirror=False)

    with opened(FORMER) as running, opened(FORMER.replace('"int"', '"category"')) as wrong:
        _log(running, "a", visits=1)
        assert flush(running) == 1
        _log(running, "b", visits=2)
        with pytest.raises(SchemaMismatch):
            flush(wrong)
        assert flush(running) == 1


def _log(ws: Workspace, id: str, **features: Any) -> None:
    record = {"id": id, "time": "2025-12-01T00:00:00Z", **features}
    assert accept(ws, "predictions", [record]).accepted == 1
