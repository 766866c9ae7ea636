"""The model that answers follows the pointer; what cannot be loaded changes nothing."""

from pathlib import Path

import pytest

from whorl.errors import DigestMismatch, ModelError
from whorl.serve.champion import Champion
from whorl.workspace import Workspace

ROW = {"amount": 1.0, "merchant": "a"}


def answer(champion: Champion) -> float:
    return round(float(champion.serving().model.predict_row(ROW)[0]), 3)


def test_no_champion_is_said_with_what_to_do(ws: Workspace) -> None:
    with pytest.raises(ModelError, match=r"no champion yet.*whorl cycle run"):
        Champion(ws).serving()


def test_it_follows_the_pointer_there_and_back(ws: Workspace, register) -> None:
    first, second = register(0.2), register(0.7)
    champion = Champion(ws)
    ws.registry.point("champion", first.id, by="me", reason="")
    assert answer(champion) == 0.2
    ws.registry.point("champion", second.id, by="me", reason="")
    assert answer(champion) == 0.2, "a request does not wait for the ledger"
    champion.refresh()
    assert answer(champion) == 0.7
    ws.registry.point("champion", first.id, by="me", reason="")
    champion.refresh()
    assert answer(champion) == 0.2


def test_a_version_whose_files_changed_is_not_loaded_and_the_old_one_goes_on(ws: Workspace, register) -> None:
    first, second = register(0.2), register(0.7)
    champion = Champion(ws)
    ws.registry.point("champion", first.id, by="me", reason="")
    champion.refresh()
    (Path(second.uri) / "extra.txt").write_text("not ours")
    ws.registry.point("champion", second.id, by="me", reason="")
    with pytest.raises(DigestMismatch):
        champion.refresh()
    assert answer(champion) == 0.2
    with pytest.raises(DigestMismatch):
        Champion(ws).serving()


def test_a_champion_without_files_here_is_somebody_elses_to_ask(ws: Workspace) -> None:
    version = ws.registry.register(None, trainer="external", uri="models:/theirs/3")
    ws.registry.point("champion", version.id, by="me", reason="")
    with pytest.raises(ModelError, match="lives elsewhere"):
        Champion(ws).serving()
