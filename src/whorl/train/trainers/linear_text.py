"""Logistic regression on TF-IDF of the text features, beside categories and numbers. Small, quick, hard to beat with
few rows."""

import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from whorl.errors import TrainingFailed, did_you_mean
from whorl.models.columns import numbers, texts
from whorl.models.linear_text_model import COEFFICIENTS, ENCODING, INTERCEPT, Encoding, Scale, Words
from whorl.models.manifest import Manifest, write_manifest
from whorl.stats.arrays import Floats
from whorl.train.levels import common_levels
from whorl.train.rows import TrainingRows
from whorl.train.trainer import FitSettings

DEFAULTS: dict[str, Any] = {"C": 10.0, "ngrams": 2, "min_df": 1, "max_terms": 50_000, "max_iter": 300}


def train(rows: TrainingRows, out: Path, settings: FitSettings) -> None:
    """Write encoding.json, coefficients.npy, intercept.npy and model.json.

    Params: `C` (inverse strength of the penalty), `ngrams`, `min_df` (rows a term is in at least), `max_terms` for each
    text, `max_iter`.

    Raises:
        TrainingFailed: A parameter is unknown, or the texts have no words.
    """
    for name in settings.params:
        if name not in DEFAULTS:
            raise TrainingFailed(
                f"'linear-text' has no parameter '{name}'.",
                where="train.params",
                hint=did_you_mean(name, list(DEFAULTS)),
            )
    params = {**DEFAULTS, **settings.params}
    encoding = _encoding(rows, settings, params)
    model = LogisticRegression(C=params["C"], max_iter=params["max_iter"], random_state=settings.seed)
    with warnings.catch_warnings():
        # A fit that used up max_iter is a good model all the same; the gates judge it.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(encoding.rows(rows.columns, encoding.vectorizers()), rows.target, sample_weight=rows.weight)
    coefficients, intercept = _of_all_classes(model, settings)
    (out / ENCODING).write_bytes(msgspec.json.encode(encoding))
    np.save(out / COEFFICIENTS, coefficients.astype(np.float32), allow_pickle=False)
    np.save(out / INTERCEPT, intercept.astype(np.float32), allow_pickle=False)
    manifest = Manifest(
        format="linear-text",
        task=settings.task,
        features={name: feature.type for name, feature in settings.features.items()},
        classes=settings.classes,
        made_with={"scikit-learn": version("scikit-learn")},
    )
    write_manifest(out, manifest)


def _encoding(rows: TrainingRows, settings: FitSettings, params: dict[str, Any]) -> Encoding:
    words, levels, scales = {}, {}, {}
    for name, feature in settings.features.items():
        values = rows.columns[name]
        if feature.type == "text":
            words[name] = _words(texts(values).to_pylist(), name, params)
        elif feature.type == "category":
            levels[name] = common_levels(values, rows.weight)
        else:
            scales[name] = _scale(numbers(values, name))
    return Encoding(words, levels, scales)


def _words(values: list[str | None], name: str, params: dict[str, Any]) -> Words:
    vectorizer = TfidfVectorizer(
        ngram_range=(1, params["ngrams"]), min_df=params["min_df"], max_features=params["max_terms"]
    )
    try:
        vectorizer.fit([value or "" for value in values])
    except ValueError as error:
        raise TrainingFailed(
            f"Feature '{name}' has no words to learn from: {error}.",
            where="train",
            hint="Take it out of [schema.features], or look at what arrives there.",
        ) from error
    return Words(vectorizer.get_feature_names_out().tolist(), vectorizer.idf_.tolist(), params["ngrams"])


def _scale(values: Floats) -> Scale:
    known = values[np.isfinite(values)]
    if not len(known):
        return Scale(0.0, 1.0)
    return Scale(float(known.mean()), float(known.std()) or 1.0)


def _of_all_classes(model: LogisticRegression, settings: FitSettings) -> tuple[Floats, Floats]:
    """A class that is not among these rows gets a probability of practically 0."""
    if settings.task == "binary":
        return model.coef_, model.intercept_
    present = model.classes_.astype(np.intp)
    coefficients = np.zeros((len(settings.classes), model.coef_.shape[1]))
    intercept = np.full(len(settings.classes), -50.0)
    if len(present) == 2:
        coefficients[present[1]], intercept[present] = model.coef_[0], [0.0, model.intercept_[0]]
    else:
        coefficients[present], intercept[present] = model.coef_, model.intercept_
    return coefficients, intercept
