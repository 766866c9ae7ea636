"""A fit gives a registered folder that answers: the same one for the same dataset and seed, in any process."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from whorl.errors import ModelError, TooFewRows, TrainingFailed
from whorl.models.digest import folder_digest
from whorl.models.model import load_model
from whorl.records import ModelVersion, Waiting
from whorl.train.fit import fit

SPEC = """name = "toy"
task = "TASK"
[schema.features]
amount = "float"
"lead time, days" = "int"
color = "category"
repeat = "bool"
note = "text"
[train]
"""


def data(rows: int, seed: int = 0) -> tuple[dict[str, Any], np.ndarray]:
    random = np.random.default_rng(seed)
    amount, color = random.normal(size=rows), random.choice(["red", "green", "blue"], rows)
    risk = amount + (color == "red") + random.logistic(size=rows) * 0.5
    features = {
        "amount": amount,
        "lead time, days": random.integers(0, 90, rows),
        "color": color,
        "repeat": random.random(rows) < 0.5,
        "note": np.where(risk > 0, "angry letter", "kind regards"),
    }
    flip = random.random(rows) < 0.1
    features["note"] = np.where(flip, "a note", features["note"])
    return features, risk


def labels(task: str, risk: np.ndarray) -> list[Any]:
    if task == "binary":
        return (risk > 0.5).tolist()
    return (
        risk.tolist()
        if task == "regression"
        else np.select([risk < 0, risk < 1], ["low", "mid"], "high").tolist()
    )


@pytest.mark.parametrize(
    ("trainer", "task"),
    [
        ("lightgbm", "binary"),
        ("lightgbm", "multiclass"),
        ("lightgbm", "regression"),
        ("linear-text", "binary"),
        ("linear-text", "multiclass"),
    ],
)
def test_the_same_dataset_and_seed_give_the_same_digest(
    bench: Callable[[str], Any], trainer: str, task: str
) -> None:
    features, risk = data(900)
    spec = SPEC.replace("TASK", task) + f'trainer = "{trainer}"\n'
    made = []
    for seed in (1, 1, 2):
        ws = bench(spec + f"seed = {seed}\n")
        version = fit(ws, ws.dataset(features, labels(task, risk)), "cycle-1")
        assert isinstance(version, ModelVersion)
        assert folder_digest(Path(version.uri)) == version.digest
        made.append(version)
    assert made[0].digest == made[1].digest
    assert made[0].digest != made[2].digest
    model = load_model(made[0].uri, made[0].digest, ws.spec)
    new, new_risk = data(300, seed=9)
    scores = model.predict(ws_table(new))
    assert scores.shape == ((300, 3) if task == "multiclass" else (300,))
    told = scores[:, model.manifest.classes.index("high")] if task == "multiclass" else scores
    assert np.corrcoef(told, new_risk)[0, 1] > 0.6
    assert model.manifest.trained_through == made[0].trained_through
    assert not list((ws.root / "scratch" / "toy").iterdir())


def ws_table(features: dict[str, Any]) -> Any:
    import pyarrow as pa

    return pa.table(features)


def test_another_process_gives_the_same_digest(bench: Callable[[str], Any], tmp_path: Path) -> None:
    script = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from conftest import Bench
from test_fit_versions import SPEC, data, fit, labels
from whorl.spec import parse_spec
root = Path({str(tmp_path)!r}) / "other"
root.mkdir()
ws = Bench(root, parse_spec(SPEC.replace("TASK", "binary")))
features, risk = data(900)
print(fit(ws, ws.dataset(features, labels("binary", risk)), "cycle-1").digest)
"""
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout.strip()
    ws = bench(SPEC.replace("TASK", "binary"))
    features, risk = data(900)
    version = fit(ws, ws.dataset(features, labels("binary", risk)), "cycle-9")
    assert isinstance(version, ModelVersion)
    assert version.digest == found


def test_weights_and_recency_count(bench: Callable[[str], Any]) -> None:
    """Half the rows say the opposite; the halves are told apart by weight, then by age alone."""
    rows = 2000
    random = np.random.default_rng(0)
    features, _ = data(rows)
    amount = random.normal(size=rows)
    old = np.arange(rows) < rows // 2
    label = (amount + random.normal(size=rows) * 0.3 > 0) ^ old
    features["amount"] = amount

    def slope(toml: str, **columns: Any) -> float:
        ws = bench(
            SPEC.replace("TASK", "binary")
            + "calibrate = false\nparams = { trees = 30, feature_fraction = 1.0 }\n"
            + toml
        )
        version = fit(ws, ws.dataset(features, label.tolist(), **columns), "c")
        assert isinstance(version, ModelVersion)
        model = load_model(version.uri)
        return float(model.predict_row({"amount": 1.5})[0] - model.predict_row({"amount": -1.5})[0])

    assert abs(slope("")) < 0.3
    assert slope("", weight=np.where(old, 1.0, 20.0)) > 0.5
    assert slope("", weight=np.where(old, 20.0, 1.0)) < -0.5
    assert slope('half_life = "5d"') > 0.5
    assert slope('recency = "power"') > slope("") + 0.1


def test_too_little_to_learn_from_is_said(bench: Callable[[str], Any]) -> None:
    ws = bench(SPEC.replace("TASK", "binary"))
    features, risk = data(19)
    with pytest.raises(TooFewRows, match="19 labelled rows; 20 is the least"):
        fit(ws, ws.dataset(features, labels("binary", risk)), "c")
    features, _ = data(100)
    with pytest.raises(TooFewRows, match=r"All 100 labelled rows say False.*default_after"):
        fit(ws, ws.dataset(features, [False] * 100), "c")


def test_odd_rows_are_noted(bench: Callable[[str], Any]) -> None:
    features, risk = data(200)
    features["lead time, days"] = [None] * 200
    features["repeat"] = [True] * 200
    label = labels("multiclass", risk)
    label[0] = "once"
    ws = bench(SPEC.replace("TASK", "multiclass"))
    version = fit(ws, ws.dataset(features, label), "c")
    assert isinstance(version, ModelVersion)
    told = "\n".join(version.notes)
    assert "'lead time, days' is null in every labelled row" in told
    assert "'repeat' has one value in every labelled row" in told
    assert "Class 'once' has 1 labelled rows" in told
    assert load_model(version.uri).manifest.classes == ["high", "low", "mid", "once"]


def test_wrong_parameters_are_named(bench: Callable[[str], Any]) -> None:
    features, risk = data(200)
    for trainer, params, message in (
        ("lightgbm", "{ num_leaves = 1 }", "LightGBM says: .*num_leaves"),
        ("linear-text", "{ c = 1 }", "no parameter 'c'\\. Known: C, ngrams"),
    ):
        ws = bench(SPEC.replace("TASK", "binary") + f'trainer = "{trainer}"\nparams = {params}\n')
        with pytest.raises(TrainingFailed, match=message):
            fit(ws, ws.dataset(features, labels("binary", risk)), "c")
        assert ws.registry.versions() == []
        assert not list((ws.root / "scratch" / "toy").iterdir())


def test_text_without_words_is_said(bench: Callable[[str], Any]) -> None:
    features, risk = data(200)
    features["note"] = [None] * 200
    ws = bench(SPEC.replace("TASK", "binary") + 'trainer = "linear-text"\n')
    with pytest.raises(TrainingFailed, match="'note' has no words"):
        fit(ws, ws.dataset(features, labels("binary", risk)), "c")


def test_external_training_gets_the_dataset_and_is_awaited(bench: Callable[[str], Any]) -> None:
    features, risk = data(200)
    ws = bench(SPEC.replace("TASK", "binary") + 'trainer = "external"\n')
    made = ws.dataset(features, labels("binary", risk))
    offer = fit(ws, made, "toy-0001")
    assert isinstance(offer, Waiting)
    assert (offer.what, offer.where) == ("model", made.path)
    assert "toy-0001" in offer.hint


def test_a_damaged_folder_is_not_loaded(bench: Callable[[str], Any]) -> None:
    features, risk = data(200)
    ws = bench(SPEC.replace("TASK", "binary"))
    version = fit(ws, ws.dataset(features, labels("binary", risk)), "c")
    assert isinstance(version, ModelVersion)
    model = Path(version.uri) / "model.txt"
    model.write_bytes(model.read_bytes().replace(b"leaf_value=", b"leaf_value=1", 1))
    with pytest.raises(ModelError, match="changed or damaged"):
        load_model(version.uri, version.digest, ws.spec)
