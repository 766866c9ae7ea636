"""MLflow's copy of the registry, in a real store: versions with tags, aliases that follow, and a store that is down."""

import os
import shutil
import sqlite3
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shop import Shop, shop_spec
from whorl.clock import SimulatedClock
from whorl.models.model import folder_digest
from whorl.records import ModelVersion
from whorl.release.release import promote, rollback
from whorl.storage.mlflow_mirror import MlflowMirror
from whorl.workspace import Workspace, open_workspace

Register = Callable[[float], ModelVersion]


@pytest.fixture(scope="module", autouse=True)
def mlflow_is_imported_quietly() -> None:
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow  # noqa: F401


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with its tables made: seconds, once."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow import MlflowClient

        uri = f"sqlite:///{path}"
        MlflowClient(tracking_uri=uri, registry_uri=uri).search_registered_models()
    return path


@pytest.fixture
def ws(tmp_path: Path, clock: SimulatedClock, empty_store: Path) -> Iterator[Workspace]:
    root = tmp_path / "workspace"
    root.mkdir()
    (root / "mlflow.db").write_bytes(empty_store.read_bytes())
    with open_workspace(shop_spec(), root, clock=clock) as opened:
        yield opened


@pytest.fixture
def register(ws: Workspace, constant_model: Callable[..., Path], tmp_path: Path) -> Register:
    def add(value: float) -> ModelVersion:
        folder = constant_model(tmp_path / f"model-{value}", ws.spec, value)
        digest = folder_digest(folder)
        return ws.registry.register(
            folder, trainer="test", digest=digest, dataset_id="shop/training/1", spec_hash="s"
        )

    return add


def asked(ws: Workspace, sql: str) -> list[Any]:
    """MLflow's own tables, past every client."""
    with sqlite3.connect(ws.root / "mlflow.db") as db:
        return db.execute(sql).fetchall()


def aliases(ws: Workspace) -> dict[str, str]:
    return {
        alias: str(number)
        for alias, number in asked(ws, "SELECT alias, version FROM registered_model_aliases")
    }


def test_versions_arrive_with_their_tags_and_the_place_of_their_files(
    ws: Workspace, register: Register
) -> None:
    made = register(0.3)
    assert ws.mirror_models() == []
    tags = dict(asked(ws, "SELECT key, value FROM model_version_tags"))
    assert tags == {
        "whorl_id": made.id,
        "whorl_ledger": ws.ledger.uuid,
        "sha256": made.digest,
        "dataset": "shop/training/1",
        "spec": "s",
    }
    assert asked(ws, "SELECT name, version, source FROM model_versions") == [
        ("shop", 1, Path(made.uri).as_uri())
    ]
    assert ws.mirror_models() == []
    assert len(asked(ws, "SELECT version FROM model_versions")) == 1


def test_aliases_follow_promotion_and_rollback(ws: Workspace, register: Register) -> None:
    one, two = register(0.3), register(0.6)
    promote(ws, one.id, by="ann", reason="first")
    assert aliases(ws) == {"champion": "1"}
    ws.registry.point("challenger", two.id, by="ann", reason="trial")
    ws.mirror_models()
    assert aliases(ws) == {"champion": "1", "challenger": "2"}
    promote(ws, two.id, by="ann", reason="better")
    assert aliases(ws) == {"champion": "2"}
    rollback(ws, by="ann", reason="worse after all")
    assert aliases(ws) == {"champion": "1"}


def down(ws: Workspace) -> MlflowMirror:
    return MlflowMirror(ws.ledger, ws.registry, ws.root, "sqlite:////dev/null/not-there/mlflow.db")


def test_a_store_that_is_down_stops_no_promotion_and_catches_up(
    ws: Workspace, register: Register, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = register(0.3), register(0.6)
    up = ws._mirror
    monkeypatch.setattr(ws, "_mirror", down(ws))
    for version in (one, two):
        promote(ws, version.id, by="ann", reason="meanwhile")
    assert ws.registry.champion() == two
    (behind,) = ws.mirror_models()
    assert behind.startswith("MLflow at sqlite:////dev/null/not-there/mlflow.db is behind: ")
    assert "is behind" in caplog.text
    rollback(ws, by="ann", reason="in the night")
    assert ws.registry.champion() == one
    monkeypatch.setattr(ws, "_mirror", up)
    assert asked(ws, "SELECT * FROM model_versions") == []
    assert ws.mirror_models() == []
    assert aliases(ws) == {"champion": "1"}
    assert len(asked(ws, "SELECT * FROM model_versions")) == 2


def test_cut_short_after_a_version_was_made_there_it_is_found_again(
    ws: Workspace, register: Register
) -> None:
    """MLflow has it and the ledger does not know: the next round must not make it twice."""
    from sqlalchemy import update

    from whorl.storage.ledger.tables import model_versions

    register(0.3)
    ws.mirror_models()
    with ws.ledger.write() as connection:
        connection.execute(update(model_versions).values(registry_version=None))
    ws.mirror_models()
    assert len(asked(ws, "SELECT * FROM model_versions")) == 1


def test_two_processes_that_mirror_at_once_make_a_version_once(
    ws: Workspace, register: Register, clock: SimulatedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One has asked whether MLflow has the version, and not made it yet, when the other begins."""
    made = register(0.3)
    ws.registry.point("champion", made.id, by="ann", reason="first")
    with open_workspace(ws.spec, ws.root, clock=clock) as other:
        second = threading.Thread(target=other.mirror_models)
        mirror: Any = ws._mirror
        client = mirror._open()
        search = client.search_model_versions

        def slow_search(query: str) -> Any:
            found = search(query)
            second.start()
            # Time enough for the other to make it, if nothing keeps it from that.
            second.join(2.0)
            return found

        monkeypatch.setattr(client, "search_model_versions", slow_search)
        assert ws.mirror_models() == []
        second.join()
    assert len(asked(ws, "SELECT version FROM model_versions")) == 1
    assert aliases(ws) == {"champion": "1"}


def test_a_flywheel_of_the_same_name_elsewhere_has_its_own_versions(
    ws: Workspace, register: Register, clock: SimulatedClock, tmp_path: Path
) -> None:
    """Two workspaces, one MLflow server: what one handed in must not be taken for what the other did."""
    register(0.3)
    uri = f"sqlite:///{ws.root / 'mlflow.db'}"
    for root in ("north", "south"):
        with open_workspace(ws.spec, tmp_path / root, clock=clock, tracking_uri=uri) as one:
            one.registry.register(None, trainer="external", uri="/models/shared")
            assert one.mirror_models() == []
    ledgers = "SELECT value FROM model_version_tags WHERE key = 'whorl_ledger'"
    assert len(set(asked(ws, ledgers))) == 2


def test_a_password_in_the_address_is_shown_nowhere(
    ws: Workspace, register: Register, caplog: pytest.LogCaptureFixture
) -> None:
    register(0.3)
    uri = "mysql+nothing://ann:s3cret@127.0.0.1/mlflow"
    (behind,) = MlflowMirror(ws.ledger, ws.registry, ws.root, uri).reconcile()
    assert "ann:***@127.0.0.1" in behind
    assert "s3cret" not in behind + caplog.text


def test_without_a_mirror_there_is_nothing_to_do(shop: Callable[..., Shop]) -> None:
    one = shop()
    one.crowned(one.scored({"a": 0.5}))
    assert one.ws.mirror_models() == []
    assert not (one.ws.root / "mlflow.db").exists()


def test_a_workspace_that_was_moved_tells_mlflow_where_the_files_are_now(
    ws: Workspace, register: Register, clock: SimulatedClock
) -> None:
    one, two = register(0.3), register(0.6)
    for version in (one, two):
        promote(ws, version.id, by="ann", reason="first")
    to = ws.root.with_name("elsewhere")
    shutil.copytree(ws.root, to)
    with open_workspace(ws.spec, to, clock=clock) as there:
        assert there.mirror_models() == []
        champion = there.registry.champion()
        assert champion is not None
        assert Path(champion.uri) == to / "models/shop/2"
        named = "SELECT source FROM model_versions v JOIN registered_model_aliases a ON a.version = v.version"
        assert asked(there, named) == [(Path(champion.uri).as_uri(),)]
        assert there.mirror_models() == []
        assert len(asked(there, "SELECT * FROM model_versions")) == 4
