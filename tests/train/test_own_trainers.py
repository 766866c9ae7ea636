"""Trainers that are not ours: a function, a command. What they write becomes a version, what they say on failing is kept."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from whorl.errors import ModelError, SpecError, TrainingFailed
from whorl.models.model import load_model
from whorl.records import ModelVersion
from whorl.train.fit import fit

SPEC = """name = "toy"
task = "binary"
[schema.features]
amount = "float"
color = "category"
[train]
"""

CODE = """
import json
import lightgbm
import numpy as np
import pandas as pd
import pyarrow.parquet as pq

COLORS = ["green", "red"]

def frame(table):
    color = pd.Categorical(table["color"].to_pylist(), categories=COLORS)
    return pd.DataFrame({"color": color, "amount": table["amount"].to_numpy()})

def trees(rows, out, *, seed, params):
    data = lightgbm.Dataset(frame(rows), rows["label"].to_numpy(zero_copy_only=False).astype(int), weight=rows["weight"].to_numpy())
    given = {"objective": "binary", "verbosity": -1, "num_threads": 1, "seed": seed, **params}
    lightgbm.train(given, data, 20).save_model(out / "model.txt")

def codes(rows, out, *, seed, params):
    values = np.column_stack([rows["amount"].to_numpy(), rows["color"].to_numpy(zero_copy_only=False) == "red"])
    names = {"feature_name": ["amount", params["name"]]}
    data = lightgbm.Dataset(values, rows["label"].to_numpy(zero_copy_only=False).astype(int), **names)
    lightgbm.train({"objective": "binary", "verbosity": -1, "num_threads": 1}, data, 5).save_model(out / "model.txt")

def mean(rows, out, *, seed, params):
    (out / "mean.json").write_text(json.dumps(float(np.mean(rows["label"].to_numpy(zero_copy_only=False)))))

class Mean:
    def __init__(self, folder):
        self.mean = json.loads((folder / "mean.json").read_text())
    def predict(self, table):
        return np.full(len(table), self.mean)

def load_mean(folder):
    return Mean(folder)

def nothing(rows, out, *, seed, params):
    pass

def fails(rows, out, *, seed, params):
    raise RuntimeError("no GPU today")
"""


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The spec's folder, with the user's code in it."""
    (tmp_path / "spec").mkdir()
    (tmp_path / "spec" / "their_training.py").write_text(CODE)
    monkeypatch.delitem(sys.modules, "their_training", raising=False)
    return tmp_path / "spec"


def data(rows: int = 300) -> tuple[dict[str, Any], list[bool]]:
    random = np.random.default_rng(0)
    amount, color = random.normal(size=rows), random.choice(["red", "green"], rows)
    label = amount + (color == "red") + random.normal(size=rows) > 0.5
    return {"amount": amount, "color": color}, label.tolist()


def test_a_function_that_writes_lightgbm(bench: Callable[[str], Any], beside: Path) -> None:
    """Its columns are in an order of their own, and its categories are those of its frame."""
    ws = bench(SPEC + 'trainer = "their_training:trees"\nparams = { num_leaves = 7 }\n')
    features, label = data()
    version = fit(ws, ws.dataset(features, label), "c", beside=beside)
    assert isinstance(version, ModelVersion)
    model = load_model(version.uri, version.digest, ws.spec)
    assert list(model.manifest.features) == ["color", "amount"]
    assert model.manifest.levels == {"color": ["green", "red"]}
    assert model.predict_row({"amount": 0.0, "color": "red"}) > model.predict_row(
        {"amount": 0.0, "color": "green"}
    )
    assert 0 < model.predict_row({"color": "violet"})[0] < 1
    assert (Path(version.uri) / "MLmodel").exists()


def test_a_function_with_a_loader_of_its_own(bench: Callable[[str], Any], beside: Path) -> None:
    ws = bench(SPEC + 'trainer = "their_training:mean"\nload = "their_training:load_mean"\n')
    features, label = data()
    version = fit(ws, ws.dataset(features, label), "c", beside=beside)
    assert isinstance(version, ModelVersion)
    model = load_model(version.uri, version.digest, ws.spec, beside=beside)
    assert model.predict_row({})[0] == pytest.approx(np.mean(label))


@pytest.mark.parametrize(
    ("trainer", "more", "error", "message"),
    [
        ("their_training:nothing", "", TrainingFailed, "No model was written; the folder holds nothing"),
        ("their_training:fails", "", TrainingFailed, "RuntimeError: no GPU today"),
        ("their_training:tree", "", SpecError, "no function 'tree'. Did you mean 'trees'"),
        ("their_trainin:trees", "", SpecError, "no module 'their_trainin'"),
        (
            "their_training:codes",
            'params = { name = "color" }',
            ModelError,
            "knows the values of 0 categories; .* 1 among",
        ),
        (
            "their_training:codes",
            'params = { name = "colour" }',
            ModelError,
            "'colour', which is no feature.*'color'",
        ),
    ],
)
def test_a_function_that_gives_no_usable_model(
    bench: Callable[[str], Any], beside: Path, trainer: str, more: str, error: type[Exception], message: str
) -> None:
    ws = bench(SPEC + f'trainer = "{trainer}"\n{more}\n')
    features, label = data()
    with pytest.raises(error, match=message):
        fit(ws, ws.dataset(features, label), "c", beside=beside)
    assert ws.registry.versions() == []


def command(bench: Callable[[str], Any], code: str, more: str = "") -> Any:
    parts = [sys.executable, "-c", code, "{dataset}", "{model}", "{seed}"]
    listed = ", ".join(f"'''{part}'''" for part in parts)
    return bench(SPEC + f'trainer = "command"\ncommand = [{listed}]\nseed = 7\n{more}\n')


def test_a_command_gets_the_dataset_and_writes_a_model(bench: Callable[[str], Any], beside: Path) -> None:
    code = """
import sys
from pathlib import Path
import pyarrow.parquet as pq
import their_training
rows = pq.read_table(sys.argv[1])
print("columns", *rows.column_names)
their_training.trees(rows, Path(sys.argv[2]), seed=int(sys.argv[3]), params={})
"""
    ws = command(bench, code)
    features, label = data()
    version = fit(ws, ws.dataset(features, label), "toy-0001", beside=beside)
    assert isinstance(version, ModelVersion)
    model = load_model(version.uri, version.digest, ws.spec)
    assert model.predict_row({"amount": 3.0, "color": "red"})[0] > 0.7
    log = (ws.root / "logs" / "toy" / "toy-0001-train.log").read_text()
    assert log == "columns id time label weight amount color\n"
    assert "[seed: 7]" in (Path(version.uri) / "model.txt").read_text()


def test_a_command_that_fails_says_its_last_words(bench: Callable[[str], Any]) -> None:
    ws = command(bench, "import sys; print('x' * 9000); print('disk full', file=sys.stderr); sys.exit(3)")
    features, label = data()
    with pytest.raises(
        TrainingFailed, match=r"(?s)ended with code 3\. It said last: x+\ndisk full"
    ) as raised:
        fit(ws, ws.dataset(features, label), "c")
    assert len(str(raised.value)) < 2500
    assert Path(raised.value.facts["log"]).stat().st_size > 9000


def test_a_command_that_is_not_there(bench: Callable[[str], Any]) -> None:
    ws = bench(SPEC + 'trainer = "command"\ncommand = ["no-such-program", "{dataset}"]\n')
    features, label = data()
    with pytest.raises(TrainingFailed, match="'no-such-program' cannot be started: No such file"):
        fit(ws, ws.dataset(features, label), "c")


def test_a_command_that_takes_too_long_is_killed_with_its_children(
    bench: Callable[[str], Any], tmp_path: Path
) -> None:
    noted = tmp_path / "child"
    code = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open({str(noted)!r}, "w").write(str(child.pid))
child.wait()
"""
    ws = command(bench, code, 'timeout = "3s"')
    features, label = data()
    with pytest.raises(TrainingFailed, match="longer than 3 s and was stopped"):
        fit(ws, ws.dataset(features, label), "c")
    child = int(noted.read_text())
    deadline = time.monotonic() + 5
    while psutil.pid_exists(child) and psutil.Process(child).status() != "zombie":
        assert time.monotonic() < deadline
