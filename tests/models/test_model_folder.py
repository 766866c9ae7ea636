"""A folder is what was registered, byte for byte, and fits its spec; or it is not loaded."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from small_rows import features

from whorl.errors import DigestMismatch, ModelError
from whorl.models.digest import folder_digest
from whorl.models.manifest import read_manifest, write_manifest
from whorl.models.model import load_model
from whorl.spec import parse_spec
from whorl.stats.calibration.platt import Platt

SPEC = 'name = "toy"\ntask = "binary"\n[schema.features]\namount = "float"\ncolor = "category"\nrepeat = "bool"\n'


@pytest.fixture
def folder(trained: Callable[..., Path]) -> Path:
    table = features(400).drop_columns(["note"])
    return trained("lightgbm", table, np.asarray(table["color"].to_pylist()) == "red")


def test_the_digest_covers_every_name_and_byte(folder: Path) -> None:
    digest = folder_digest(folder)
    assert digest == folder_digest(folder)
    load_model(folder, digest)
    (folder / ".hidden").write_text("x")
    more = folder_digest(folder)
    (folder / ".hidden").rename(folder / ".hiddem")
    renamed = folder_digest(folder)
    (folder / ".hiddem").write_text("y")
    assert len({digest, more, renamed, folder_digest(folder)}) == 4
    with pytest.raises(DigestMismatch, match="roll back"):
        load_model(folder, digest)


def test_content_cannot_move_between_names_unseen(tmp_path: Path) -> None:
    for name, files in {
        "one": {"a": "bc", "d": ""},
        "two": {"a": "b", "cd": ""},
        "three": {"ab": "c", "d": ""},
    }.items():
        (tmp_path / name).mkdir()
        for file, content in files.items():
            (tmp_path / name / file).write_text(content)
    assert len({folder_digest(tmp_path / name) for name in ("one", "two", "three")}) == 3


def test_links_and_missing_folders_are_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ModelError, match="link"):
        folder_digest(folder)
    with pytest.raises(ModelError, match="no such folder"):
        load_model(tmp_path / "nowhere", "0" * 64)


def test_a_broken_manifest_says_so(folder: Path) -> None:
    path = folder / "model.json"
    text = path.read_bytes()
    for broken in (text[: len(text) // 2], b"", b"[]", text.replace(b'"format"', b'"formt"')):
        path.write_bytes(broken)
        with pytest.raises(ModelError, match="cannot be read"):
            load_model(folder)
    path.unlink()
    with pytest.raises(ModelError, match=r"no model\.json"):
        load_model(folder)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('task = "binary"', 'task = "regression"', "the spec's task is regression"),
        ('color = "category"', 'colour = "category"', "takes feature 'color'.*Did you mean 'colour'"),
        ('amount = "float"', 'amount = "category"', "'amount' was float .* is category in the spec"),
    ],
)
def test_a_model_of_another_schema_is_refused(folder: Path, old: str, new: str, message: str) -> None:
    load_model(folder, spec=parse_spec(SPEC))
    with pytest.raises(ModelError, match=message):
        load_model(folder, spec=parse_spec(SPEC.replace(old, new)))


def test_a_model_may_use_fewer_features_than_the_spec_declares(folder: Path) -> None:
    load_model(folder, spec=parse_spec(SPEC + 'added_later = "float"\n'))


def test_recalibration_is_applied_to_tables_and_rows(folder: Path) -> None:
    table = features(50, seed=1)
    plain = load_model(folder).predict(table)
    manifest = read_manifest(folder)
    platt = Platt(slope=0.5, intercept=-1.0)
    write_manifest(folder, msgspec.structs.replace(manifest, calibration=platt))
    model = load_model(folder)
    np.testing.assert_allclose(model.predict(table), platt.apply(plain))
    np.testing.assert_allclose(model.predict_row(table.slice(3, 1).to_pylist()[0]), platt.apply(plain[3:4]))
