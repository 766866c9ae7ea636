"""A linear classifier on words: TF-IDF of 1 to n grams for each text, beside one column a level, number and missing number.

The files are `encoding.json` and plain `.npy` arrays (never pickles); they cannot run code. How it is trained is in
`train/trainers/linear_text.py`, which makes its rows with the same `Encoding`.

Source: Sparck Jones (1972), Journal of Documentation 28:11-21; smoothed idf and unit length as in scikit-learn.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import scipy.sparse as sp
from sklearn.feature_extraction.text import CountVectorizer

from whorl.errors import ModelError
from whorl.models.columns import codes, column, numbers, texts
from whorl.models.manifest import Manifest
from whorl.stats.arrays import Floats

ENCODING, COEFFICIENTS, INTERCEPT = "encoding.json", "coefficients.npy", "intercept.npy"


class Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One text feature: its terms, each one's idf, and the greatest number of words in a term."""

    terms: list[str]
    idf: list[float]
    ngrams: int


class Scale(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One number or bool: (value - mean) / spread; a missing one is at the mean, and says so in a column of its own."""

    mean: float
    spread: float


class Encoding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How rows become columns: texts, then levels, then numbers, each in the order given here."""

    words: dict[str, Words]
    levels: dict[str, list[str | None]]
    scales: dict[str, Scale]

    def vectorizers(self) -> dict[str, CountVectorizer]:
        """Counters of the known terms; made once, because each builds its index of terms."""
        return {
            name: CountVectorizer(vocabulary=words.terms, ngram_range=(1, words.ngrams))
            for name, words in self.words.items()
        }

    def rows(self, features: pa.Table, counters: Mapping[str, CountVectorizer]) -> sp.csr_array[Any]:
        """(n, columns) sparse, for training and answers alike. Raises ModelError for a column that is missing."""
        blocks = [
            _tf_idf(counters[name], texts(column(features, name)), words)
            for name, words in self.words.items()
        ]
        blocks += [
            _one_hot(codes(column(features, name), known), len(known)) for name, known in self.levels.items()
        ]
        blocks += [
            _scaled(numbers(column(features, name), name), scale) for name, scale in self.scales.items()
        ]
        return sp.csr_array(sp.hstack(blocks, format="csr"))

    @property
    def columns(self) -> int:
        """How many columns a row has."""
        return (
            sum(len(words.terms) for words in self.words.values())
            + sum(map(len, self.levels.values()))
            + 2 * len(self.scales)
        )


def load(folder: Path, manifest: Manifest, beside: Path | None = None) -> "LinearTextScorer":
    """The scorer of a folder; raises ModelError when a file is missing or broken, or they do not fit each other."""
    del beside
    try:
        encoding = msgspec.json.decode((folder / ENCODING).read_bytes(), type=Encoding)
        coefficients = np.load(folder / COEFFICIENTS, allow_pickle=False)
        intercept = np.load(folder / INTERCEPT, allow_pickle=False)
    except (OSError, ValueError, EOFError, msgspec.MsgspecError) as error:
        raise ModelError(
            f"The model cannot be read: {error}.",
            where=str(folder),
            hint="Restore the folder, or train again.",
        ) from error
    outputs = len(manifest.classes) if manifest.task == "multiclass" else 1
    if coefficients.shape != (outputs, encoding.columns) or intercept.shape != (outputs,):
        raise ModelError(
            f"{COEFFICIENTS} has shape {coefficients.shape}, {ENCODING} and the manifest need "
            f"{(outputs, encoding.columns)}.",
            where=str(folder),
            hint="The files are not of one training run. Restore the folder, or train again.",
        )
    return LinearTextScorer(encoding, coefficients, intercept)


class LinearTextScorer:
    """Probabilities: a sigmoid for two classes, a softmax for more."""

    def __init__(
        self, encoding: Encoding, coefficients: npt.NDArray[Any], intercept: npt.NDArray[Any]
    ) -> None:
        self._encoding = encoding
        self._counters = encoding.vectorizers()
        self._coefficients = coefficients.T.astype(np.float64)
        self._intercept = intercept.astype(np.float64)

    def scores(self, features: pa.Table) -> Floats:
        logits: Floats = self._encoding.rows(features, self._counters) @ self._coefficients + self._intercept
        if logits.shape[1] == 1:
            binary: Floats = 0.5 * (1 + np.tanh(logits[:, 0] / 2))
            return binary
        raised = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares: Floats = raised / raised.sum(axis=1, keepdims=True)
        return shares

    def row_scores(self, features: Mapping[str, Any]) -> Floats:
        names = (*self._encoding.words, *self._encoding.levels, *self._encoding.scales)
        return self.scores(pa.table({name: [features.get(name)] for name in names}))


def _tf_idf(counter: CountVectorizer, values: pa.ChunkedArray, words: Words) -> sp.csr_array[Any]:
    counts = sp.csr_array(counter.transform([text or "" for text in values.to_pylist()]), dtype=np.float64)
    weighted = sp.csr_array(counts.multiply(np.array(words.idf)[None, :]))
    length = np.sqrt(weighted.multiply(weighted).sum(axis=1))
    return sp.csr_array(weighted.multiply(1 / np.where(length > 0, length, 1.0)[:, None]))


def _one_hot(places: Floats, levels: int) -> sp.csr_array[Any]:
    known = np.flatnonzero(~np.isnan(places))
    return sp.csr_array(
        (np.ones(len(known)), (known, places[known].astype(np.intp))), shape=(len(places), levels)
    )


def _scaled(values: Floats, scale: Scale) -> sp.csr_array[Any]:
    missing = np.isnan(values)
    scaled = np.where(missing, 0.0, (values - scale.mean) / scale.spread)
    return sp.csr_array(np.column_stack([scaled, missing]))
