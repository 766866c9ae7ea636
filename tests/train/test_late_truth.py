"""Open rows as soft rows: a base rate that early labels hide is found again, by every kind of trainer."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from whorl.errors import TrainingFailed
from whorl.models.model import load_model
from whorl.records import ModelVersion
from whorl.train.fit import fit
from whorl.train.trainer import ESTIMATORS

AS_OF = datetime(2026, 1, 1, tzinfo=UTC)
SPEC = """name = "toy"
task = "TASK"
[schema.features]
x = "float"
due = "float"
note = "text"
[labels]
delay = "DELAY"
horizon = "due"
[train]
calibrate = false
"""


def late(rows: int, seed: int, classes: int = 2) -> tuple[dict[str, Any], np.ndarray, dict[str, Any], int]:
    """Five months of rows. The last class turns out at once, the others only when their time is due: 20 to 120 days."""
    random = np.random.default_rng(seed)
    x, due = random.normal(size=rows), random.uniform(20, 120, rows)
    age = random.uniform(0, 150, rows)
    score = x + random.logistic(size=rows)
    label = np.digitize(score, [0.8] if classes == 2 else [-0.5, 0.8])
    delay = np.where(label == classes - 1, due * random.beta(1, 4, rows), due)
    known = delay <= age
    order = np.lexsort([-age, ~known])
    time = [AS_OF - timedelta(days=float(a)) for a in age[order]]
    label_time = [t + timedelta(days=float(d)) for t, d in zip(time, delay[order], strict=True)]
    note = np.where(score + random.logistic(size=rows) > 0.8, "angry", "kind")
    features = {"x": x[order], "due": due[order], "note": note[order]}
    return features, label[order], {"time": time, "label_time": label_time}, int(known.sum())


def mean_chance(ws: Any, version: ModelVersion | Any, beside: Path | None = None) -> Any:
    """What the model says on average about rows of any age, beside the truth of those rows."""
    import pyarrow as pa

    classes = 2 if ws.spec.task == "binary" else 3
    features, label, _, _ = late(4000, 99, classes)
    said = load_model(version.uri, version.digest, ws.spec, beside=beside).predict(pa.table(features))
    return np.mean(said, axis=0), np.bincount(label, minlength=classes) / len(label)


@pytest.mark.parametrize("trainer", ["lightgbm", "linear-text"])
def test_the_base_rate_is_found_again(bench: Callable[[str], Any], trainer: str) -> None:
    features, label, times, known = late(3000, 0)
    off = {}
    for delay in ("none", "survival"):
        spec = SPEC.replace("TASK", "binary").replace("DELAY", delay)
        spec = spec.replace('horizon = "due"\n', "") if delay == "none" else spec
        ws = bench(spec + f'trainer = "{trainer}"\n')
        version = fit(ws, ws.dataset(features, (label == 1).tolist(), open_from=known, **times), "c")
        said, truth = mean_chance(ws, version)
        off[delay] = abs(said - truth[1])
        assert any("soft rows" in note for note in version.notes) == (delay == "survival")
    assert off["none"] > 0.05
    assert off["survival"] < 0.03


@pytest.mark.parametrize("trainer", ["lightgbm", "linear-text"])
def test_with_three_classes(bench: Callable[[str], Any], trainer: str) -> None:
    features, label, times, known = late(3000, 0, classes=3)
    names = np.array(["a", "b", "c"])[label]
    ws = bench(SPEC.replace("TASK", "multiclass").replace("DELAY", "survival") + f'trainer = "{trainer}"\n')
    version = fit(ws, ws.dataset(features, names.tolist(), open_from=known, **times), "c")
    said, truth = mean_chance(ws, version)
    assert np.abs(said - truth).max() < 0.04
    biased = np.bincount(label[:known], minlength=3) / known
    assert np.abs(biased - truth).max() > 0.06


def grouped(rows: int, seed: int) -> tuple[dict[str, Any], np.ndarray, dict[str, Any], int]:
    """Half of each class in both groups of x. Where x is 1 both are equally late; where it is 0 one comes at once."""
    random = np.random.default_rng(seed)
    x, label = random.integers(0, 2, rows).astype(float), random.integers(0, 2, rows)
    age, due = random.uniform(0, 100, rows), np.full(rows, 50.0)
    apart = np.where(label == 1, random.uniform(0, 10, rows), random.uniform(30, 100, rows))
    delay = np.where(x == 1, random.uniform(0, 100, rows), apart)
    known = delay <= age
    order = np.lexsort([-age, ~known])
    time = [AS_OF - timedelta(days=float(a)) for a in age[order]]
    label_time = [t + timedelta(days=float(d)) for t, d in zip(time, delay[order], strict=True)]
    features = {"x": x[order], "due": due[order], "note": np.full(rows, "")}
    return features, label[order], {"time": time, "label_time": label_time}, int(known.sum())


def test_delays_that_depend_on_features_are_seen_through(
    bench: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow as pa

    features, label, times, known = grouped(4000, 0)
    asked = pa.table({"x": [0.0, 1.0], "due": [50.0, 50.0], "note": ["", ""]})
    spec = SPEC.replace("TASK", "binary").replace("DELAY", "survival")
    off = {}
    for own in (True, False):
        if not own:
            monkeypatch.delitem(ESTIMATORS, "lightgbm")
        ws = bench(spec)
        version = fit(ws, ws.dataset(features, (label == 1).tolist(), open_from=known, **times), "c")
        assert isinstance(version, ModelVersion)
        said = load_model(version.uri, version.digest, ws.spec).predict(asked)
        off[own] = float(np.abs(said - 0.5).max())
    assert off[True] < 0.1
    assert off[False] > 1.5 * off[True], "the check above can fail"


@pytest.mark.parametrize("trainer", ["lightgbm", "linear-text"])
@pytest.mark.parametrize("delay", [0.0, 10.0, -5.0], ids=["at once", "all equal", "before their prediction"])
def test_labels_that_are_all_equally_late(bench: Callable[[str], Any], delay: float, trainer: str) -> None:
    """Nothing to learn of delays: open rows count as what rows like them turned out to be."""
    features, label, times, _ = late(300, 0)
    said_at = [t + timedelta(days=delay) for t in times["time"]]
    ws = bench(SPEC.replace("TASK", "binary").replace("DELAY", "survival") + f'trainer = "{trainer}"\n')
    made = ws.dataset(features, (label == 1).tolist(), open_from=200, time=times["time"], label_time=said_at)
    version = fit(ws, made, "c")
    assert isinstance(version, ModelVersion)
    assert any(note.startswith("100 open rows") for note in version.notes)
    said, _ = mean_chance(ws, version)
    assert said == pytest.approx(np.mean(label[:200] == 1), abs=0.1)


@pytest.mark.parametrize("labelled", [20, 40])
def test_a_handful_of_rows_is_learnt_from(bench: Callable[[str], Any], labelled: int) -> None:
    features, label, times, known = late(400, 3)
    few = {name: values[-400 + known - labelled :] for name, values in features.items()}
    ws = bench(SPEC.replace("TASK", "binary").replace("DELAY", "survival"))
    cut = {name: values[-400 + known - labelled :] for name, values in times.items()}
    version = fit(
        ws, ws.dataset(few, (label[-400 + known - labelled :] == 1).tolist(), open_from=labelled, **cut), "c"
    )
    said, _ = mean_chance(ws, version)
    assert 0 < said < 1


def test_parameters_that_lightgbm_refuses_are_told_as_such(bench: Callable[[str], Any]) -> None:
    features, label, times, known = late(300, 4)
    ws = bench(SPEC.replace("TASK", "binary").replace("DELAY", "survival") + "params = { num_leaves = 1 }\n")
    with pytest.raises(TrainingFailed, match="LightGBM says"):
        fit(ws, ws.dataset(features, (label == 1).tolist(), open_from=known, **times), "c")


def test_missing_horizons_are_filled_alike_for_delay_and_age(bench: Callable[[str], Any]) -> None:
    features, label, times, known = late(600, 4)
    due = np.where(np.arange(600) % 3 == 0, np.nan, features["due"])
    ws = bench(SPEC.replace("TASK", "binary").replace("DELAY", "survival"))
    made = ws.dataset({**features, "due": due}, (label == 1).tolist(), open_from=known, **times)
    assert isinstance(fit(ws, made, "c"), ModelVersion)


def test_the_notes_say_how_late_each_class_is(bench: Callable[[str], Any]) -> None:
    features, label, times, known = late(1500, 0)
    ws = bench(SPEC.replace("TASK", "binary").replace("DELAY", "survival"))
    version = fit(ws, ws.dataset(features, (label == 1).tolist(), open_from=known, **times), "c")
    assert isinstance(version, ModelVersion)
    told = next(note for note in version.notes if note.startswith("Half of the labels"))
    assert "in shares of due: True 0.1" in told
    assert "False 1 [" in told


def test_your_own_function_gets_soft_rows(bench: Callable[[str], Any], tmp_path: Path) -> None:
    """Hard rows once, open rows once a class; the weights of an open row add up to its own."""
    (tmp_path / "keeps_rows.py").write_text(
        "import numpy as np, pyarrow.parquet as pq\n"
        "def train(rows, out, *, seed, params):\n"
        "    pq.write_table(rows, out / 'rows.parquet')\n"
        "class Model:\n"
        "    def __init__(self, folder): self.share = float(np.average(*[pq.read_table(folder / 'rows.parquet')[c]"
        ".to_numpy(zero_copy_only=False).astype(float) for c in ('label',)], weights=pq.read_table(folder / 'rows.parquet')"
        "['weight'].to_numpy()))\n"
        "    def predict(self, table): return np.full(len(table), self.share)\n"
        "def load(folder): return Model(folder)\n"
    )
    import pyarrow.parquet as pq

    features, label, times, known = late(3000, 0)
    toml = (
        SPEC.replace("TASK", "binary").replace("DELAY", "survival").replace("[train]", "rounds = 20\n[train]")
    )
    ws = bench(toml + 'trainer = "keeps_rows:train"\nload = "keeps_rows:load"\n')
    weight = np.where(np.arange(3000) < known, 1.0, 3.0)
    made = ws.dataset(features, (label == 1).tolist(), open_from=known, weight=weight, **times)
    version = fit(ws, made, "c", beside=tmp_path)
    assert isinstance(version, ModelVersion)
    rows = pq.read_table(Path(version.uri) / "rows.parquet").to_pandas()
    assert len(rows) == known + 2 * (3000 - known)
    assert rows["weight"].mean() == pytest.approx(1)
    each = rows.groupby("id")["weight"].sum()
    scale = each["r0"]
    np.testing.assert_allclose(each[[f"r{i}" for i in range(known, 3000)]] / scale, 3.0)
    truth = np.average(label == 1, weights=weight)
    assert np.average(rows["label"], weights=rows["weight"]) == pytest.approx(truth, abs=0.03)


def test_the_same_rows_give_the_same_digest(bench: Callable[[str], Any]) -> None:
    features, label, times, known = late(800, 0)
    spec = SPEC.replace("TASK", "binary").replace("DELAY", "survival")
    found = set()
    for _ in range(2):
        ws = bench(spec)
        found.add(fit(ws, ws.dataset(features, (label == 1).tolist(), open_from=known, **times), "c").digest)
    assert len(found) == 1
