"""Where does a loss concentrate? Every slice of one to three conditions is scored, level by level, and the worst are kept.

Nothing here is a claim: what was found by looking at all of them has to be shown on other rows (`slices.py`).

Source: Sagadeeva & Boehm (2021), "SliceLine", SIGMOD (levels, sums of parents as upper bounds); Chung et al. (2019), "Slice
Finder", ICDE (a slice has to be worse than what it is a part of).
"""

from collections.abc import Sequence
from heapq import heappush, heappushpop, nlargest
from itertools import combinations
from typing import NamedTuple

import numpy as np

from whorl.stats.arrays import Floats
from whorl.stats.slices.conditions import Column, Condition

Place = tuple[int, ...]


class Found(NamedTuple):
    """A slice's score, and its conditions."""

    score: float
    conditions: tuple[Condition, ...]


def worst_slices(
    columns: Sequence[Column],
    excess: Floats,
    *,
    least: int,
    deepest: int = 3,
    most: int = 200,
    floor: float = 2.0,
) -> tuple[list[Found], int]:
    """The slices of the highest scores, best first, and how many slices were counted.

    A slice's score is the sum of its rows' excess over the root of their number: a standard normal one, where excess does not
    depend on the columns. Slices that score no more than what they are a part of are left out.

    Args:
        columns: All of n rows.
        excess: (n,) of mean 0 and variance 1: how much worse than the mean each row fared.
        least: Fewer rows than this are no slice; nor is more than half of all.
        deepest: 1 to 3 conditions.
        most: How many are kept.
        floor: Lower scores are not looked at.
    """
    return _Search(columns, excess, least, most, floor).run(deepest)


class _Search:
    def __init__(
        self, columns: Sequence[Column], excess: Floats, least: int, most: int, floor: float
    ) -> None:
        self.columns, self.excess, self.least, self.most, self.floor = columns, excess, least, most, floor
        self.positive = np.maximum(excess, 0.0)
        self.greatest = max(float(self.positive.max(initial=0.0)), 1e-12)
        self.items = [column.conditions(place) for place, column in enumerate(columns)]
        self.spread = [_spread(column, items) for column, items in zip(columns, self.items, strict=True)]
        self.scores: dict[Place, Floats] = {}
        self.bounds: dict[Place, float] = {}
        self.heap: list[tuple[float, tuple[tuple[int, int], ...]]] = []
        self.counted = 0

    def run(self, deepest: int) -> tuple[list[Found], int]:
        used = [place for place, items in enumerate(self.items) if items]
        for place in used:
            self._look((place,), keep=True)
        for level in range(2, deepest + 1):
            tuples = combinations(used, level)
            for bound, places in sorted(((self._bound(places), places) for places in tuples), reverse=True):
                if bound >= self._threshold():
                    self._look(places, keep=level < deepest)
        found = [
            Found(score, tuple(self.items[place][item] for place, item in chosen))
            for score, chosen in nlargest(self.most, self.heap)
        ]
        return found, self.counted

    def _threshold(self) -> float:
        return self.heap[0][0] if len(self.heap) == self.most else self.floor

    def _bound(self, places: Place) -> float:
        """No slice of all these columns scores more: it is a part of a slice of fewer, with at most its positive excess."""
        parents = combinations(places, len(places) - 1)
        return min(self.bounds.get(parent, 0.0) for parent in parents)

    def _look(self, places: Place, *, keep: bool) -> None:
        rows, total = self._sums(places, None), self._sums(places, self.excess)
        slices = (rows >= self.least) & (rows <= len(self.excess) / 2)
        score = np.where(rows >= self.least, total / np.sqrt(np.maximum(rows, 1.0)), -np.inf)
        self.counted += int(slices.sum())
        self._offer(places, np.where(slices & (score > self._best_parent(places)), score, -np.inf))
        if keep:
            positive = np.where(rows >= self.least, self._sums(places, self.positive), 0.0)
            size = np.maximum(positive / self.greatest, self.least)
            self.scores[places], self.bounds[places] = (
                score,
                float((positive / np.sqrt(size)).max(initial=0.0)),
            )

    def _sums(self, places: Place, values: Floats | None) -> Floats:
        """Sum over the rows of every combination of conditions on these columns; without values, their number."""
        code = self.columns[places[0]].codes
        for place in places[1:]:
            code = code * self.columns[place].levels + self.columns[place].codes
        shape = [self.columns[place].levels for place in places]
        sums = np.bincount(code, values, minlength=int(np.prod(shape))).reshape(shape).astype(np.float64)
        for axis, place in enumerate(places):
            sums = np.moveaxis(np.tensordot(self.spread[place], sums, axes=(1, axis)), 0, axis)
        return sums

    def _best_parent(self, places: Place) -> Floats:
        best: Floats = np.full([len(self.items[place]) for place in places], self.floor)
        for left_out in range(len(places) if len(places) > 1 else 0):
            parent = places[:left_out] + places[left_out + 1 :]
            best = np.maximum(best, np.expand_dims(self.scores.get(parent, np.array(np.inf)), left_out))
        return best

    def _offer(self, places: Place, score: Floats) -> None:
        flat = score.ravel()
        good = np.flatnonzero(flat >= self._threshold())
        # More than `most` of one set of columns cannot all stay.
        good = good[np.argsort(-flat[good], kind="stable")][: self.most]
        for position in good.tolist():
            chosen = np.unravel_index(position, score.shape)
            entry = (float(flat[position]), tuple(zip(places, map(int, chosen), strict=True)))
            if len(self.heap) < self.most:
                heappush(self.heap, entry)
            else:
                heappushpop(self.heap, entry)


def _spread(column: Column, items: Sequence[Condition]) -> Floats:
    """(items, levels): 1 where a code satisfies a condition."""
    codes = np.arange(column.levels)
    first = np.array([item.first for item in items]).reshape(-1, 1)
    last = np.array([item.last for item in items]).reshape(-1, 1)
    return ((codes >= first) & (codes <= last)).astype(np.float64)
