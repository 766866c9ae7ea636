"""Columns cut into a few values each, and conditions on them: a category, a flag, a range of numbers, or missing.

What slices of the data are made of; who looks for slices is `slice_search.py`.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from whorl.stats.arrays import Floats, Indices

BINS = 5
MOST_LEVELS = 30
Mask = npt.NDArray[np.bool_]


class Condition(msgspec.Struct, frozen=True):
    """Codes from `first` to `last` of the column at this place; `text` says it to people."""

    column: int
    first: int
    last: int
    text: str


class Column(msgspec.Struct, frozen=True):
    """One column as whole numbers.

    Args:
        name: What people call it.
        codes: (n,) from 0; the last code, where there is no condition on it, is everything rare.
        levels: How many codes there are.
        ranges: The conditions there are: (first code, last code, text).
    """

    name: str
    codes: Indices
    levels: int
    ranges: tuple[tuple[int, int, str], ...]

    def conditions(self, place: int) -> list[Condition]:
        """Every condition on it, when it stands at `place` among the columns."""
        return [Condition(place, *one) for one in self.ranges]


def cut(name: str, values: npt.NDArray[Any], *, least: int = 1) -> Column:
    """A column cut into a few values.

    Floats and integers are cut at quantiles into up to 5 bins, and every run of neighbouring bins is a condition; nan is
    `missing`. Other values are categories: the 30 most frequent of at least `least` rows are conditions, None is `missing`.

    >>> [text for *_, text in cut("age", np.array([20.0, 30, 40, np.nan])).ranges]
    ['age < 30', 'age < 40', '30 <= age < 40', 'age >= 30', 'age >= 40', 'age is missing']
    >>> [text for *_, text in cut("shop", np.array(["a", None, "a"], dtype=object)).ranges]
    ["shop = 'a'", 'shop is missing']
    """
    if values.dtype.kind in "iuf":
        return _cut_numbers(name, values.astype(np.float64))
    return _cut_categories(name, values.tolist(), least)


def holds(conditions: Sequence[Condition], columns: Sequence[Column]) -> Mask:
    """Rows (n,) where all of them hold."""
    kept = np.ones(len(columns[0].codes), dtype=np.bool_)
    for one in conditions:
        codes = columns[one.column].codes
        kept &= (codes >= one.first) & (codes <= one.last)
    return kept


def _cut_numbers(name: str, number: Floats) -> Column:
    known = number[np.isfinite(number)]
    inner = np.arange(1, BINS) / BINS
    edges = np.unique(np.quantile(known, inner, method="higher")) if len(known) else np.empty(0)
    edges = edges[edges > known.min()] if len(known) else edges
    bins, missing = len(edges) + 1, np.isnan(number)
    codes = np.where(missing, bins, np.searchsorted(edges, number, side="right"))
    ranges = [
        (first, last, _range(name, edges, first, last))
        for first in range(bins)
        for last in range(first, bins)
        if last - first + 1 < bins
    ]
    if missing.any():
        ranges.append((bins, bins, f"{name} is missing"))
    return Column(name, codes.astype(np.intp), bins + 1, tuple(ranges))


def _range(name: str, edges: Floats, first: int, last: int) -> str:
    if first == 0:
        return f"{name} < {edges[last]:.6g}"
    if last == len(edges):
        return f"{name} >= {edges[first - 1]:.6g}"
    return f"{edges[first - 1]:.6g} <= {name} < {edges[last]:.6g}"


def _cut_categories(name: str, values: list[Any], least: int) -> Column:
    counts: dict[Any, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    common = [value for value, n in counts.items() if n >= least]
    kept = sorted(common, key=lambda value: (-counts[value], str(value)))[:MOST_LEVELS]
    place = {value: code for code, value in enumerate(kept)}
    codes = np.fromiter((place.get(value, len(kept)) for value in values), dtype=np.intp, count=len(values))
    texts = [f"{name} is missing" if value is None else f"{name} = {value!r}" for value in kept]
    return Column(name, codes, len(kept) + 1, tuple((code, code, text) for code, text in enumerate(texts)))
