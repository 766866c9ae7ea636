"""Models that can run code: only by explicit choice, and only answers that are scores."""

import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from small_rows import features

from whorl.errors import ModelError, SpecError
from whorl.models.digest import folder_digest
from whorl.models.manifest import Manifest, write_manifest
from whorl.models.mlmodel import write_mlmodel
from whorl.models.model import load_model
from whorl.spec import parse_spec

SPEC = 'name = "toy"\ntask = "binary"\n[schema.features]\namount = "float"\ncolor = "category"\n[train]\n'
FEATURES: dict[str, Any] = {"amount": "float", "color": "category"}
TABLE = features(20).select(["amount", "color"])

LOADER = """
import json
from pathlib import Path
import numpy as np

class Model:
    def __init__(self, folder):
        self.answer = json.loads((Path(folder) / "answer.json").read_text())

    def predict(self, table, params=None):
        if self.answer == "raise":
            raise KeyError("amount")
        one = self.answer
        return np.array([one] * len(table))

def load(folder):
    return Model(folder)

def load_nothing(folder):
    return 3

def _load_pyfunc(folder):
    return Model(folder)
"""


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the user's module in it."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "their_loader.py").write_text(LOADER)
    monkeypatch.delitem(sys.modules, "their_loader", raising=False)
    return tmp_path / "code"


def custom(tmp_path: Path, answer: str, load: str | None = "their_loader:load", **manifest: Any) -> Path:
    folder = tmp_path / "model"
    folder.mkdir(exist_ok=True)
    (folder / "answer.json").write_text(answer)
    given = {"task": "binary", "features": FEATURES, "classes": [False, True], **manifest}
    write_manifest(folder, Manifest(format="custom", load=load, **given))
    return folder


def test_a_custom_model_is_loaded_when_the_spec_names_its_loader(tmp_path: Path, code: Path) -> None:
    folder = custom(tmp_path, "0.25")
    spec = parse_spec(SPEC + 'load = "their_loader:load"')
    model = load_model(folder, folder_digest(folder), spec, beside=code)
    assert model.predict(TABLE).tolist() == [0.25] * 20
    assert model.predict_row({"amount": 1.0}).tolist() == [0.25]
    with pytest.raises(ModelError, match="'color' has to be category"):
        model.predict_row({"color": ["a"]})
    for other in (SPEC, SPEC + 'load = "another:load"'):
        with pytest.raises(ModelError, match='If you trust it, set load = "their_loader:load"'):
            load_model(folder, spec=parse_spec(other), beside=code)
    with pytest.raises(ModelError, match="the spec names 'None'"):
        load_model(folder, beside=code)


@pytest.mark.parametrize(
    ("load", "error", "message"),
    [
        ("their_loader:lod", SpecError, "no function 'lod'. Did you mean 'load'"),
        ("their_loade:load", SpecError, r"no module 'their_loade'. Put their_loade.py into"),
        ("their_loader:load_nothing", ModelError, r"gives int, which has no predict\(table\)"),
        (None, ModelError, "does not say what loads it"),
    ],
)
def test_a_loader_that_does_not_load(
    tmp_path: Path, code: Path, load: str | None, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        load_model(custom(tmp_path, "0.5", load), may_run_code=True, beside=code)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("true", "answers with bool, not with probabilities"),
        ("1", "answers with int64, not with probabilities"),
        ('"yes"', "not with probabilities"),
        ("1.5", "answers from 1.5 to 1.5"),
        ("NaN", "20 of 20 rows with nan"),
        ("[0.1, 0.2, 0.7]", r"in shape \(20, 3\) for 20 rows"),
        ('"raise"', "predict fails: KeyError"),
    ],
)
def test_answers_that_are_no_probabilities_are_refused(
    tmp_path: Path, code: Path, answer: str, message: str
) -> None:
    model = load_model(custom(tmp_path, answer), may_run_code=True, beside=code)
    with pytest.raises(ModelError, match=message):
        model.predict(TABLE)


def test_the_answer_of_predict_proba_is_understood(tmp_path: Path, code: Path) -> None:
    model = load_model(custom(tmp_path, "[0.25, 0.75]"), may_run_code=True, beside=code)
    assert model.predict(TABLE)[0] == 0.75


def test_two_modules_of_one_name_do_not_run_each_other(tmp_path: Path, code: Path) -> None:
    folder = custom(tmp_path, "0.5")
    load_model(folder, may_run_code=True, beside=code)
    other = tmp_path / "other"
    other.mkdir()
    (other / "their_loader.py").write_text(LOADER)
    with pytest.raises(SpecError, match=r"already loaded from .* Rename one"):
        load_model(folder, may_run_code=True, beside=other)


def mlflow_folder(tmp_path: Path, code: Path, answer: str = "0.5") -> Path:
    folder = custom(tmp_path, answer, None)
    (folder / "code").mkdir()
    (folder / "code" / "their_loader.py").write_text((code / "their_loader.py").read_text())
    (folder / "MLmodel").write_text(
        "flavors:\n  python_function:\n    loader_module: their_loader\n    code: code\n    python_version: 3.11.0\n"
    )
    write_manifest(folder, Manifest(format="mlflow", task="binary", features=FEATURES, classes=[False, True]))
    return folder


def test_an_mlflow_folder_needs_an_explicit_choice(
    tmp_path: Path, code: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = mlflow_folder(tmp_path, code)
    for spec in (None, parse_spec(SPEC)):
        with pytest.raises(ModelError, match="allow_pickle = true"):
            load_model(folder, spec=spec)
    digest = folder_digest(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    model = load_model(folder, digest, parse_spec(SPEC + "allow_pickle = true"))
    assert model.predict(TABLE).tolist() == [0.5] * 20
    assert model.predict_row({"amount": 1}).tolist() == [0.5]
    assert folder_digest(folder) == digest, "loading left something in the folder"


def test_a_broken_mlflow_folder_says_what_mlflow_says(tmp_path: Path, code: Path) -> None:
    folder = mlflow_folder(tmp_path, code)
    for text in (
        "flavors: {}\n",
        "flavors: [",
        "flavors:\n  python_function:\n    loader_module: not_there_at_all\n",
    ):
        (folder / "MLmodel").write_text(text)
        with pytest.raises(ModelError, match="MLflow cannot load it"):
            load_model(folder, may_run_code=True)


def test_plain_mlflow_answers_with_our_folders(trained: Callable[..., Path]) -> None:
    table = features(300)
    target = np.asarray(table["color"].to_pylist()) == "red"
    folder = trained("lightgbm", table, target)
    model = load_model(folder)
    write_mlmodel(folder, model.manifest)
    first = (folder / "MLmodel").read_bytes()
    write_mlmodel(folder, model.manifest)
    assert (folder / "MLmodel").read_bytes() == first
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow.pyfunc
    served = mlflow.pyfunc.load_model(str(folder), suppress_warnings=True)
    answer = served.predict(table.to_pandas())
    np.testing.assert_allclose(answer["probability"], model.predict(table))
    odd = pd.DataFrame({"amount": [1, 2], "color": ["red", None]})
    expected = model.predict(pa.table({"amount": [1, 2], "color": ["red", None], "repeat": pa.nulls(2)}))
    np.testing.assert_allclose(served.predict(odd)["probability"], expected)


def test_plain_mlflow_names_classes_and_numbers(trained: Callable[..., Path]) -> None:
    from whorl.models.mlflow_loader import _load_pyfunc

    table = features(300)
    place = np.array([["red", "green", "blue", None].index(c) for c in table["color"].to_pylist()])
    many = _load_pyfunc(str(trained("lightgbm", table, place, "multiclass", classes=["b", "g", "n", "r"])))
    assert list(many.predict(table.to_pandas()).columns) == ["b", "g", "n", "r"]
    number = _load_pyfunc(str(trained("lightgbm", table, place * 1.5, "regression", classes=[])))
    assert list(number.predict(table.to_pandas()).columns) == ["prediction"]
