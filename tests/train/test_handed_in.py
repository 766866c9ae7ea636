"""A model or scores that somebody else made are taken in like ours, or refused with the reason."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightgbm
import msgspec
import numpy as np
import pandas as pd
import pytest

from whorl.errors import ModelError
from whorl.models.digest import folder_digest
from whorl.models.manifest import read_manifest
from whorl.models.model import load_model
from whorl.train.external import adopt
from whorl.train.fit import fit

SPEC = """name = "toy"
task = "binary"
[schema.features]
amount = "float"
color = "category"
[train]
"""


class Submission(msgspec.Struct, frozen=True):
    kind: str
    uri: str


def data(rows: int = 300) -> tuple[dict[str, Any], list[bool]]:
    random = np.random.default_rng(0)
    amount, color = random.normal(size=rows), random.choice(["red", "green"], rows)
    return {"amount": amount, "color": color}, (amount + (color == "red") > 0.5).tolist()


def lightgbm_file(path: Path, objective: str = "binary") -> Path:
    features, label = data()
    frame = pd.DataFrame({"amount": features["amount"], "color": pd.Categorical(features["color"])})
    given = {"objective": objective, "verbosity": -1, "num_threads": 1}
    lightgbm.train(given, lightgbm.Dataset(frame, np.array(label, int)), 10).save_model(path)
    return path


@pytest.mark.parametrize("form", ["file", "file_uri", "folder", "ours"])
def test_a_model_in_each_form(bench: Callable[[str], Any], tmp_path: Path, form: str) -> None:
    ws = bench(SPEC + 'trainer = "external"\n')
    made = ws.dataset(*data())
    given = tmp_path / "handed in"
    given.mkdir()
    file = lightgbm_file(given / "model.txt")
    uri = {"file": str(file), "file_uri": file.as_uri(), "folder": str(given), "ours": str(given)}[form]
    if form == "ours":
        other = bench(SPEC)
        uri = fit(other, other.dataset(*data()), "c").uri
    version = adopt(ws, made, "toy-0001", Submission("model", uri))
    assert (version.trainer, version.dataset_id) == ("external", made.id)
    assert version.digest == folder_digest(Path(version.uri))
    model = load_model(version.uri, version.digest, ws.spec)
    red, green = (model.predict_row({"amount": 0.0, "color": color})[0] for color in ("red", "green"))
    assert red > green
    assert read_manifest(Path(version.uri)).trained_through == version.trained_through
    assert file.exists(), "what was handed in stays where it was"


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("nowhere.txt", "no such file or folder"),
        ("nonsense://model/1", "MLflow cannot fetch it"),
    ],
)
def test_what_cannot_be_found(bench: Callable[[str], Any], uri: str, message: str) -> None:
    ws = bench(SPEC + 'trainer = "external"\n')
    with pytest.raises(ModelError, match=message):
        adopt(ws, ws.dataset(*data()), "toy-0001", Submission("model", uri))
    assert ws.registry.versions() == []


def test_a_model_that_does_not_fit_is_refused(bench: Callable[[str], Any], tmp_path: Path) -> None:
    ws = bench(SPEC.replace("color", "colour") + 'trainer = "external"\n')
    features, label = data()
    made = ws.dataset({"amount": features["amount"], "colour": features["color"]}, label)
    with pytest.raises(ModelError, match=r"'color', which is no feature of the spec\. Did you mean 'colour'"):
        adopt(ws, made, "toy-0001", Submission("model", str(lightgbm_file(tmp_path / "m.txt"))))
    ws = bench(SPEC + 'trainer = "external"\n')
    numbers = lightgbm_file(tmp_path / "numbers.txt", "regression")
    with pytest.raises(ModelError, match="grown for objective regression; the task is binary"):
        adopt(ws, ws.dataset(*data()), "toy-0001", Submission("model", str(numbers)))
    text = tmp_path / "notes.txt"
    text.write_text("not a model")
    with pytest.raises(ModelError, match="not a LightGBM text model"):
        adopt(ws, ws.dataset(*data()), "toy-0001", Submission("model", str(text)))


def test_an_mlflow_folder_only_by_explicit_choice(bench: Callable[[str], Any], tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "MLmodel").write_text("flavors:\n  python_function:\n    loader_module: a_module_of_theirs\n")
    ws = bench(SPEC + 'trainer = "external"\n')
    with pytest.raises(ModelError, match="allow_pickle = true"):
        adopt(ws, ws.dataset(*data()), "toy-0001", Submission("model", str(folder)))
    ws = bench(SPEC + 'trainer = "external"\nallow_pickle = true\n')
    with pytest.raises(ModelError, match="No module named 'a_module_of_theirs'"):
        adopt(ws, ws.dataset(*data()), "toy-0001", Submission("model", str(folder)))


def test_a_link_in_a_folder_is_refused(bench: Callable[[str], Any], tmp_path: Path) -> None:
    ws = bench(SPEC + 'trainer = "external"\n')
    folder = tmp_path / "theirs"
    folder.mkdir()
    lightgbm_file(folder / "model.txt")
    (folder / "data").symlink_to("/etc/hostname")
    with pytest.raises(ModelError, match="'data' is a link"):
        adopt(ws, ws.dataset(*data()), "toy-0001", Submission("model", str(folder)))


def test_scores_are_kept_as_they_were(bench: Callable[[str], Any], tmp_path: Path) -> None:
    ws = bench(SPEC + 'trainer = "external"\n')
    given = tmp_path / "scores.csv"
    given.write_text("id,score\nr1,0.5\n")
    version = adopt(ws, ws.dataset(*data()), "toy-0001", Submission("scores", str(given)))
    given.write_text("id,score\nr1,0.9\n")
    assert (version.trainer, version.digest) == ("scores", "")
    assert Path(version.uri).read_text() == "id,score\nr1,0.5\n"
    with pytest.raises(ModelError, match="no such file"):
        adopt(ws, ws.dataset(*data()), "toy-0002", Submission("scores", str(tmp_path)))
