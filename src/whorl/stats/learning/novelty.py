"""How unlike the reference a row looks, column by column: a cheap score for "we have not seen this before".

The mean over columns of -log(smoothed share of the reference that has this value or lies in this bin). It sees new
categories, values out of range and far tails, in any mix of columns and without tuning. It does
not see new combinations of ordinary values: for those, take a model.

Source: Goldstein & Dengel (2012), "Histogram-based Outlier Score (HBOS)", KI 2012 poster track; bins here are at
quantiles that get finer towards the tails, not of equal width, so that the score does not change with a column's unit.
"""

from collections.abc import Mapping
from math import log
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from whorl.stats.arrays import Floats

_LEVELS = (0.001, 0.005, 0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98, 0.995, 0.999)


class NumberSurprise(msgspec.Struct, frozen=True):
    """Bins below edge 0, between edges, up to the greatest value, above it, missing; the surprise of each in nats."""

    edges: tuple[float, ...]
    greatest: float
    surprise: tuple[float, ...]


class CategorySurprise(msgspec.Struct, frozen=True):
    """Surprise in nats of each value of the reference, and of any other."""

    surprise: dict[Any, float]
    unseen: float


class Novelty(msgspec.Struct, frozen=True):
    """What `fit` learnt of a reference: one table of surprise per column."""

    columns: dict[str, NumberSurprise | CategorySurprise]


def fit(reference: Mapping[str, npt.NDArray[Any]]) -> Novelty:
    """Learn what is ordinary.

    Args:
        reference: Columns (n,) of one length. Integer and float arrays are numbers (nan is missing); all others are
            categories of hashable values (None is one of them). Codes that are not quantities: pass as strings.

    Raises:
        ValueError: No columns, or no rows.
    """
    if not reference or not all(len(column) for column in reference.values()):
        raise ValueError("Novelty needs a reference with at least one column and one row.")
    return Novelty({name: _fit_column(column) for name, column in reference.items()})


def score(novelty: Novelty, rows: Mapping[str, npt.NDArray[Any]]) -> Floats:
    """Mean surprise (n,) in nats, at least 0; compare rows with each other, not with a fixed threshold.

    Raises:
        KeyError: A column of the reference is missing.

    >>> seen = fit({"amount": np.arange(1000.0), "country": np.array(["DE"] * 900 + ["FR"] * 100)})
    >>> score(seen, {"amount": np.array([500.0, 500.0, 9e9]), "country": np.array(["DE", "XX", "XX"])}).round(1).tolist()
    [0.8, 4.2, 6.9]
    """
    surprises = [_surprise(column, np.asarray(rows[name])) for name, column in novelty.columns.items()]
    mean: Floats = np.mean(surprises, axis=0)
    return mean


def _fit_column(column: npt.NDArray[Any]) -> NumberSurprise | CategorySurprise:
    if column.dtype.kind not in "iuf":
        values = column.tolist()
        counts: dict[Any, int] = {}
        for value in values:
            counts[value] = counts.get(value, 0) + 1
        # Laplace smoothing, with one place kept for what was never seen.
        total = len(values) + len(counts) + 1
        return CategorySurprise({value: log(total / (n + 1)) for value, n in counts.items()}, log(total))
    number = column.astype(np.float64)
    known = number[~np.isnan(number)]
    edges = np.unique(np.quantile(known, (0.0, *_LEVELS), method="lower")) if len(known) else np.empty(0)
    greatest = float(known.max()) if len(known) else float("-inf")
    bins = _bin(number, edges, greatest)
    counted = np.bincount(bins, minlength=len(edges) + 3) + 1
    surprise = np.log(counted.sum() / counted)
    return NumberSurprise(tuple(edges.tolist()), greatest, tuple(surprise.tolist()))


def _surprise(column: NumberSurprise | CategorySurprise, values: npt.NDArray[Any]) -> Floats:
    if isinstance(column, NumberSurprise):
        bins = _bin(values.astype(np.float64), np.array(column.edges), column.greatest)
        return np.array(column.surprise)[bins]
    known, unseen = column.surprise.get, column.unseen
    return np.fromiter(
        (known(value, unseen) for value in values.tolist()), dtype=np.float64, count=len(values)
    )


def _bin(number: Floats, edges: Floats, greatest: float) -> npt.NDArray[np.intp]:
    bins = np.searchsorted(edges, number, side="right")
    bins[number > greatest] = len(edges) + 1
    bins[np.isnan(number)] = len(edges) + 2
    return bins
