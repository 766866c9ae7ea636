"""What the ledger keeps of a path: inside the workspace it moves along, outside it stays; whole paths of old stay, too."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from whorl.clock import SimulatedClock
from whorl.spec import parse_spec
from whorl.storage import cycles, flywheels
from whorl.storage.journal import Journal
from whorl.storage.ledger.ledger import Ledger
from whorl.storage.registry import Registry


@pytest.fixture
def here(ledger_url: str, clock: SimulatedClock) -> Iterator[Ledger]:
    with Ledger.open(ledger_url, clock, Path("/here")) as opened:
        flywheels.register(opened, parse_spec('name = "shop"\ntask = "binary"'))
        yield opened


@pytest.fixture
def there(here: Ledger, clock: SimulatedClock) -> Iterator[Ledger]:
    """The same ledger, with the workspace somewhere else."""
    with Ledger.open(here.url, clock, Path("/there")) as opened:
        yield opened


def registered(ledger: Ledger, uri: str) -> str:
    registry = Registry(ledger, "shop", Path("/here"), ledger.clock)
    return registry.register(None, trainer="scores", uri=uri).uri


def read(ledger: Ledger) -> str:
    return Registry(ledger, "shop", Path("/there"), ledger.clock).versions()[-1].uri


@pytest.mark.parametrize(("told", "later"), [
    ("/here/scores/1.csv", "/there/scores/1.csv"),
    ("/here/../scores/1.csv", "/here/../scores/1.csv"),
    ("/hereafter/1.csv", "/hereafter/1.csv"),
    ("/here", "/here"),
    ("s3://here/1.csv", "s3://here/1.csv"),
    ("here", "here"),
    ("", ""),
])  # fmt: skip
def test_only_what_lies_inside_moves_along(here: Ledger, there: Ledger, told: str, later: str) -> None:
    assert registered(here, told) == told
    assert read(there) == later


def test_a_whole_path_that_an_older_ledger_holds_is_read_as_it_is(here: Ledger, there: Ledger) -> None:
    registered(here, "/here/scores/1.csv")
    with here.write() as connection:
        connection.execute(sa.text("UPDATE model_versions SET uri = '/here/scores/1.csv'"))
    assert read(here) == read(there) == "/here/scores/1.csv"


def test_results_of_steps_move_along(here: Ledger, there: Ledger) -> None:
    cycle_id = cycles.start(here, "shop", "manual", here.clock.now(), "hash")
    result = {"path": "/here/datasets/1", "of": ["/here/a", "/elsewhere/b", 1, None]}
    assert Journal(here).step(cycle_id, "datasets", lambda: result, dict) == result
    (step,) = Journal(there).done(cycle_id)
    assert step.result == {"path": "/there/datasets/1", "of": ["/there/a", "/elsewhere/b", 1, None]}
