"""LightGBM folders answer for anything, alike for tables and rows, and broken ones are refused, not crashed on."""

from collections.abc import Callable
from pathlib import Path

import lightgbm
import numpy as np
import pyarrow as pa
import pytest
from small_rows import features

from whorl.errors import ModelError
from whorl.models.model import load_model


def red(table: pa.Table) -> np.ndarray:
    return np.asarray(table["color"].to_pylist()) == "red"


@pytest.fixture
def folder(trained: Callable[..., Path]) -> Path:
    table = features(400)
    return trained("lightgbm", table, red(table))


def test_rows_and_tables_get_the_same_answers_as_lightgbm_gives(folder: Path) -> None:
    table, model = features(60, seed=3), load_model(folder)
    scores = model.predict(table)
    levels = model.manifest.levels["color"]
    color = [np.nan if c not in levels else levels.index(c) for c in table["color"].to_pylist()]
    amount = [np.nan if a is None else a for a in table["amount"].to_pylist()]
    plain = np.column_stack([amount, color, table["repeat"].to_pylist()]).astype(float)
    np.testing.assert_array_equal(scores, lightgbm.Booster(model_file=folder / "model.txt").predict(plain))
    rows = [model.predict_row(row)[0] for row in table.to_pylist()]
    np.testing.assert_array_equal(rows, scores)
    assert scores[red(table)].min() > scores[~red(table) & table["color"].is_valid().to_numpy()].max()


def test_unseen_and_missing_values_are_answered(folder: Path) -> None:
    model = load_model(folder)
    odd = [
        {},
        {"color": "violet"},
        {"color": None, "amount": None, "repeat": None},
        {"amount": float("inf")},
        {"color": 7},
    ]
    assert all(0 < model.predict_row(row)[0] < 1 for row in odd)
    nulls = pa.table({"amount": pa.nulls(3), "color": pa.nulls(3), "repeat": pa.nulls(3)})
    assert np.ptp(model.predict(nulls)) == 0
    assert model.predict(nulls.slice(0, 0)).shape == (0,)


def test_wrong_columns_are_named(folder: Path) -> None:
    model = load_model(folder)
    with pytest.raises(ModelError, match=r"no column 'color'.*Columns: amount"):
        model.predict(features(3).drop_columns(["color"]))
    with pytest.raises(ModelError, match="'amount' has to be a number or a bool, found 'lots'"):
        model.predict_row({"amount": "lots"})
    with pytest.raises(ModelError, match="'amount' has to be a number or a bool, found a column of string"):
        model.predict(features(3).set_column(0, "amount", pa.array(["a", "b", "c"])))


def test_a_text_cut_off_anywhere_is_refused(folder: Path) -> None:
    """LightGBM itself reads on beyond the end of some of these."""
    path = folder / "model.txt"
    text = path.read_bytes()
    for at in np.linspace(0, text.index(b"end of parameters") + 10, 40).astype(int):
        path.write_bytes(text[:at])
        with pytest.raises(ModelError, match="cannot be read"):
            load_model(folder)
    middle = text.index(b"split_gain")
    for damaged in (
        text[:middle] + text[middle + 9 :],
        b"\xff" + text,
        text.replace(b"tree_sizes", b"tree_size"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(ModelError, match="cannot be read"):
            load_model(folder)
    path.unlink()
    with pytest.raises(ModelError, match="no such file"):
        load_model(folder)


def test_trees_and_manifest_of_two_runs_are_refused(folder: Path, trained: Callable[..., Path]) -> None:
    table = features(400)
    other = trained("lightgbm", table.drop_columns(["amount"]), red(table))
    (folder / "model.txt").write_bytes((other / "model.txt").read_bytes())
    with pytest.raises(ModelError, match="not of one training run"):
        load_model(folder)


def test_classes_of_trees_and_manifest_have_to_agree(trained: Callable[..., Path]) -> None:
    table = features(400)
    target = np.array([["red", "green", "blue", None].index(c) for c in table["color"].to_pylist()])
    classes = ["c0", "c1", "c2", "c3"]
    folder = trained("lightgbm", table, target, "multiclass", classes=classes)
    scores = load_model(folder).predict(table)
    np.testing.assert_allclose(scores.sum(axis=1), 1)
    assert (scores.argmax(axis=1) == target).mean() > 0.9
    assert load_model(folder).predict_row({"color": "blue"}).shape == (1, 4)
    path = folder / "model.json"
    path.write_text(path.read_text().replace('"c0",', ""))
    with pytest.raises(ModelError, match="score 4 classes, the manifest says 3"):
        load_model(folder)


def test_numbers_are_predicted(trained: Callable[..., Path]) -> None:
    table = features(400)
    target = np.nan_to_num(table["amount"].to_numpy()) * 10
    model = load_model(trained("lightgbm", table, target, "regression", params={"trees": 100}))
    assert np.abs(model.predict(table) - target).mean() < 3
