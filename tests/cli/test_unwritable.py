"""Places that cannot be written: a message with the place and what next, never a traceback."""

from pathlib import Path

import pytest
from shop_cli import SPEC, run

from whorl.errors import SourceError, StorageError


@pytest.mark.parametrize("words", [("cycle", "list"), ("holdout", "list"), ("labels", "coverage")])
def test_a_workspace_that_cannot_be_made(tmp_path: Path, words: tuple[str, ...]) -> None:
    spec, file = tmp_path / "flywheel.toml", tmp_path / "file"
    spec.write_text(SPEC, encoding="utf-8")
    file.touch()
    said = run(*words, "--spec", spec, "--workspace", file / "below")
    assert isinstance(said.exception, StorageError)
    assert "The workspace cannot be made here" in str(said.exception)
    assert "--workspace" in str(said.exception)


def test_a_spec_that_cannot_be_written(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    said = run("init", file / "below")
    assert isinstance(said.exception, SourceError)
    assert "cannot be written" in str(said.exception)


def test_an_export_into_no_folder(turned: Path, tmp_path: Path) -> None:
    said = run("dataset", "export", "training", tmp_path / "nowhere" / "rows.csv", "--spec", turned)
    assert isinstance(said.exception, SourceError)
    assert "There is no such folder" in str(said.exception)
