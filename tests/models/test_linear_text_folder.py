"""Text folders give what scikit-learn gives, and hold nothing that could run."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from small_rows import features

from whorl.errors import ModelError
from whorl.models.model import load_model

NOTES = [
    "late again, angry",
    "kind regards",
    "so angry",
    "many thanks, kind sir",
    "thanks",
    "angry angry letter",
] * 10
ANGRY = np.array(["angry" in note for note in NOTES])


def test_text_alone_equals_scikit_learn(trained: Callable[..., Path]) -> None:
    table = pa.table({"note": NOTES})
    model = load_model(trained("linear-text", table, ANGRY))
    words = TfidfVectorizer(ngram_range=(1, 2))
    reference = LogisticRegression(C=10.0, max_iter=300).fit(words.fit_transform(NOTES), ANGRY)
    new = ["an angry man", "kind thanks", "nothing known", "", "ANGRY ANGRY kind"]
    expected = reference.predict_proba(words.transform(new))[:, 1]
    np.testing.assert_allclose(model.predict(pa.table({"note": new})), expected, atol=1e-5)
    np.testing.assert_allclose([model.predict_row({"note": note})[0] for note in new], expected, atol=1e-5)


def test_categories_numbers_and_nulls_beside_text(trained: Callable[..., Path]) -> None:
    table = features(300)
    target = np.nan_to_num(table["amount"].to_numpy()) > 0
    model = load_model(trained("linear-text", table, target))
    scores = model.predict(table)
    assert scores[target].mean() > scores[~target].mean() + 0.5
    rows = [model.predict_row(row)[0] for row in table.slice(0, 20).to_pylist()]
    np.testing.assert_allclose(rows, scores[:20])
    assert 0 < model.predict_row({})[0] < 1
    assert 0 < model.predict_row({"note": None, "color": "violet", "amount": None, "repeat": None})[0] < 1


@pytest.mark.parametrize("present", [[0, 1, 2], [0, 2]])
def test_every_class_has_a_column_also_an_absent_one(
    trained: Callable[..., Path], present: list[int]
) -> None:
    kinds = [("angry", 0), ("kind regards", 1), ("an order", 2)]
    chosen = [kinds[place] for place in present] * 10
    table = pa.table({"note": [text for text, _ in chosen]})
    target = np.array([place for _, place in chosen])
    model = load_model(
        trained("linear-text", table, target, "multiclass", classes=["anger", "kind", "order"])
    )
    scores = model.predict(table)
    np.testing.assert_allclose(scores.sum(axis=1), 1)
    assert (scores.argmax(axis=1) == target).all()
    assert scores.shape == (len(table), 3)


def test_broken_files_are_refused(trained: Callable[..., Path]) -> None:
    folder = trained("linear-text", pa.table({"note": NOTES}), ANGRY)
    for name in ("encoding.json", "coefficients.npy", "intercept.npy"):
        whole = (folder / name).read_bytes()
        for broken in (whole[:10], b"", whole[: len(whole) - 3]):
            (folder / name).write_bytes(broken)
            with pytest.raises(ModelError, match="Restore the folder"):
                load_model(folder)
        (folder / name).unlink()
        with pytest.raises(ModelError, match="cannot be read"):
            load_model(folder)
        (folder / name).write_bytes(whole)
    np.save(folder / "coefficients.npy", np.array([object()]), allow_pickle=True)
    with pytest.raises(ModelError, match="cannot be read"):
        load_model(folder)
    np.save(folder / "coefficients.npy", np.zeros((1, 3)))
    with pytest.raises(ModelError, match="not of one training run"):
        load_model(folder)
