"""Versions and pointers: who is champion, who was, and that two people at once cannot both have moved it."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from shop import Shop
from whorl.clock import SimulatedClock
from whorl.errors import NotFound, StateError
from whorl.records import ModelVersion
from whorl.storage import audit
from whorl.storage.registry import Registry

Open = Callable[..., Shop]


@pytest.fixture
def registry(shop: Open) -> Registry:
    return shop().ws.registry


def version(registry: Registry, **given: object) -> ModelVersion:
    return registry.register(None, trainer="test", uri="somewhere", **given)  # type: ignore[arg-type]


def crown(registry: Registry, model_id: str | None, **given: str) -> str | None:
    return registry.point("champion", model_id, by="ann", reason="because", **given)


def test_versions_count_up_and_are_found_by_number_id_and_alias(registry: Registry) -> None:
    first, second = version(registry), version(registry, dataset_id="shop/training/1", notes=["a note"])
    assert [v.id for v in registry.versions()] == ["shop/1", "shop/2"]
    crown(registry, first.id)
    registry.point("challenger", second.id, by="ann", reason="trial")
    assert registry.get("1") == registry.get(1) == registry.get("shop/1") == registry.get("champion") == first
    assert registry.get("challenger") == registry.challenger() == second
    assert (second.notes, second.dataset_id) == (["a note"], "shop/training/1")


@pytest.mark.parametrize("ref", ["7", "shop/7", "other/1", "champion", "challenger", "previous", "nonsense"])
def test_what_is_not_there_is_said_with_what_is(registry: Registry, ref: str) -> None:
    version(registry)
    with pytest.raises(NotFound, match=f"There is no model version '{ref}'") as missing:
        registry.get(ref)
    assert missing.value.hint == "Known: 1."


def test_the_folder_of_a_model_moves_into_the_workspace(registry: Registry, tmp_path: Path) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    (folder / "model.txt").write_text("trees")
    made = registry.register(folder, trainer="test", digest="d")
    assert not folder.exists()
    assert (registry.path(made) / "model.txt").read_text() == "trees"
    assert registry.path(made) == registry.root / "models" / "shop" / "1"


def test_files_of_a_version_that_never_reached_the_ledger_are_replaced(
    registry: Registry, tmp_path: Path
) -> None:
    left = registry.root / "models" / "shop" / "1"
    left.mkdir(parents=True)
    (left / "model.txt").write_text("cut short")
    (left / "rest.txt").write_text("cut short")
    folder = tmp_path / "made"
    folder.mkdir()
    (folder / "model.txt").write_text("whole")
    made = registry.register(folder, trainer="test", digest="d")
    assert [p.name for p in registry.path(made).iterdir()] == ["model.txt"]
    assert (registry.path(made) / "model.txt").read_text() == "whole"


def test_a_cycle_registers_once(registry: Registry, tmp_path: Path) -> None:
    first = version(registry, cycle_id="shop-0001")
    again = tmp_path / "again"
    again.mkdir()
    assert registry.register(again, trainer="test", cycle_id="shop-0001") == first
    assert not again.exists()
    assert version(registry, cycle_id="shop-0002").id == "shop/2"
    assert version(registry).id == "shop/3"


def test_previous_is_the_champion_before_this_one(registry: Registry) -> None:
    one, two, three = (version(registry) for _ in range(3))
    assert (registry.champion(), registry.previous()) == (None, None)
    assert crown(registry, one.id) is None
    assert registry.previous() is None
    assert crown(registry, two.id) == one.id
    assert registry.previous() == one
    crown(registry, three.id)
    assert registry.previous() == two
    crown(registry, two.id)
    assert registry.previous() == one, "one that was taken back is not gone to again"
    crown(registry, three.id)
    assert registry.previous() == two
    crown(registry, None)
    assert (registry.champion(), registry.previous()) == (None, three)


def test_naming_the_same_again_changes_nothing(registry: Registry) -> None:
    one, two = version(registry), version(registry)
    crown(registry, one.id)
    crown(registry, two.id)
    assert crown(registry, two.id) == two.id
    assert registry.previous() == one, "or a step that runs again would forget where to go back to"
    assert len(registry.changes()) == 2


def test_of_two_at_once_one_is_told_to_look_again(registry: Registry) -> None:
    one, two, three = (version(registry) for _ in range(3))
    crown(registry, one.id)
    crown(registry, two.id, expect=one.id)
    with pytest.raises(StateError, match="The champion is shop/2 by now, not shop/1"):
        crown(registry, three.id, expect=one.id)
    assert registry.champion() == two
    assert len(registry.changes()) == 2


def test_history_says_who_when_and_why(registry: Registry, clock: SimulatedClock) -> None:
    one, two = version(registry), version(registry)
    began = clock.now()
    crown(registry, one.id)
    clock.advance(timedelta(hours=1))
    registry.point("champion", two.id, by="bob", reason="cycle")
    registry.point("challenger", one.id, by="bob", reason="trial")
    newest, oldest = registry.changes()
    assert (newest.model_id, newest.previous, newest.by, newest.reason) == (two.id, one.id, "bob", "cycle")
    assert (newest.at, oldest.at) == (began + timedelta(hours=1), began)
    assert [c.model_id for c in registry.changes(limit=1)] == [two.id]
    assert [c.alias for c in registry.changes("challenger")] == ["challenger"]
    last = audit.entries(registry.ledger, "shop", limit=2)[1]
    assert (last.action, last.by, last.body["model_id"], last.body["previous"]) == (
        "model.point",
        "bob",
        two.id,
        one.id,
    )


def test_a_version_of_nobody_is_not_pointed_at(registry: Registry) -> None:
    with pytest.raises(NotFound, match="There is no model version 'shop/9'"):
        crown(registry, "shop/9")
    assert registry.changes() == []
