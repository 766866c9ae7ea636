"""Which features moved, and whether recent values of one mislead whoever answers: it broke, or does not mean what it meant.

A feature that broke may leave no recent row that is like an earlier one, so that nothing can be compared among rows alike. What
answered is asked instead, row by row: what would it have lost with earlier values of the feature? It is asked by a model of its
logged answers, for it may not be here. Other values of a feature that still tells something make answers worse, not better.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from whorl.monitor.insights.compared import Compared, Tested, p_above, share_of
from whorl.monitor.insights.probe import answers_like
from whorl.stats.arrays import Floats, Indices
from whorl.stats.change.shift_parts import Part
from whorl.stats.linear import mean_linear, variance
from whorl.stats.slices.conditions import Column, cut

MOST_FEATURES, MOST_NAMED = 5, 3
DRAWS = 10
Losses = Callable[[Floats, Floats], Floats]
"""(truth (n,), answers) -> what each row loses (n,)."""


class Moved(NamedTuple):
    """A feature, the share of its values that moved between bins, where most came, and p of "it did not move", of all features."""

    name: str
    share: float
    text: str
    p: float


def moved_features(both: Compared, kept: Indices, level: float) -> list[Moved]:
    """Features that moved between the periods, those that moved most first: the shares of their bins, Bonferroni over all."""
    features = list(dict.fromkeys(both.grid.features))
    each = [min(_moves(both, kept, name), key=lambda one: one.p) for name in features]
    found = [one._replace(p=min(1.0, one.p * len(features))) for one in each]
    return sorted((one for one in found if one.p <= 1 - level), key=lambda one: -one.share)


def moved_text(moved: list[Moved]) -> str:
    """What moved most, for people."""
    if not moved:
        return "no single feature moved"
    more = f" and {len(moved) - MOST_NAMED} more" if len(moved) > MOST_NAMED else ""
    return "moved most: " + ", ".join(one.text for one in moved[:MOST_NAMED]) + more


def broken_feature(both: Compared, losses: Losses, level: float) -> tuple[Tested, list[str]]:
    """Of the features that moved most, those with whose earlier values less would be lost, and their names.

    p: for each the larger of "it did not move" and "no less would be lost", Bonferroni over those that were tried.
    """
    rows, kept = both.rows, np.flatnonzero(both.kept)
    none = np.zeros(len(rows), bool)
    moved = moved_features(both, kept, level)
    tried = moved[:MOST_FEATURES]
    if not tried:
        return Tested("broken_feature", "no feature moved", 0.0, 1.0, 0.0, none), []
    undone = _Undone(both, losses)
    gains = [undone.gain([one.name]) for one in tried]
    p = [
        min(1.0, max(one.p, p_above(gain, both.group) * len(tried)))
        for one, gain in zip(tried, gains, strict=True)
    ]
    broken = [place for place, one in enumerate(p) if one <= 1 - level]
    if not broken:
        best = int(np.argmin(p))
        effect = f"no less would be lost with earlier values of a feature; {moved_text(moved)}"
        return Tested("broken_feature", effect, gains[best].value, p[best], share_of(both, gains[best].value), none), []  # fmt: skip
    names = [tried[place].name for place in broken]
    gain = undone.gain(names)
    chosen = none.copy()
    chosen[kept] = both.recent[kept] & (gain.terms[kept] > 0)
    part = gain.value * rows.weight[both.recent & both.kept].sum() / rows.weight[both.recent].sum()
    effect = f"with earlier values of {', '.join(map(repr, names))} {gain.value:.3g} less would be lost; {moved_text([tried[place] for place in broken])}"
    return Tested("broken_feature", effect, gain.value, min(p), share_of(both, part), chosen), names


def _moves(both: Compared, kept: Indices, name: str) -> list[Moved]:
    """How a feature moved; a text in each of its directions."""
    cuts = [one for one in both.columns if one.name == name]
    directions = [place for place, feature in enumerate(both.grid.features) if feature == name]
    cuts = cuts or [cut(name, both.grid.values[:, place]) for place in directions]
    return [
        _move(both, kept, one, len(cuts), repr(name) if one not in both.columns else None) for one in cuts
    ]


def _move(both: Compared, kept: Indices, column: Column, among: int, text: str | None) -> Moved:
    """By the shares of its bins, with the variance that they have if both periods are alike."""
    recent, weight, bins = both.recent[kept], both.rows.weight[kept], column.codes[kept]
    late, early, p = np.zeros(column.levels), np.zeros(column.levels), 1.0
    for level in np.unique(bins):
        hit = (bins == level).astype(np.float64)
        late[level], early[level] = (
            np.average(hit, weights=np.where(side, weight, 0.0)) for side in (recent, ~recent)
        )
        over = weight * (hit - np.average(hit, weights=weight))
        terms = np.where(recent, over / weight[recent].sum(), -over / weight[~recent].sum())
        spread = variance(terms, both.group[kept])
        if spread > 1e-20:
            p = min(p, 2 * float(ndtr(-abs(late[level] - early[level]) / np.sqrt(spread))))
    most = int(np.argmax(late - early))
    rare = f"rare values of {column.name}"
    where = next((words for first, last, words in column.ranges if first == last == most), rare)
    said = text or f"{where} ({late[most]:.0%} of recent rows, {early[most]:.0%} before)"
    return Moved(
        column.name, float(np.abs(late - early).sum() / 2), said, min(1.0, p * column.levels * among)
    )


class _Undone:
    """What would be lost with earlier values: of a number rank for rank, so that rows keep their order; of others at random."""

    def __init__(self, both: Compared, losses: Losses) -> None:
        self.both, self.losses, rows = both, losses, both.rows
        self.late = np.flatnonzero(both.kept & both.recent)
        self.early = np.flatnonzero(both.kept & ~both.recent)
        version = np.array(rows.table["model_version"].to_pylist(), dtype=object).astype(str)
        names, counts = np.unique(version[self.late], return_counts=True)
        # Of one version only: what another one answers differently is no matter of features.
        same = both.kept & (version == names[np.argmax(counts)])
        self.answers = answers_like(both.grid, rows.said, same, numbers=not rows.classes)
        self.values = both.grid.values[self.late]
        self.plain = losses(rows.truth[self.late], self.answers(self.values))

    def gain(self, features: list[str]) -> Part:
        """How much less recent rows would lose on average."""
        random = np.random.default_rng(0)
        truth, weight = self.both.rows.truth[self.late], self.both.rows.weight[self.late]
        # The mean answer, not the mean loss: a value that is gone is not known, which is no reason to guess one.
        undone = np.mean([self.answers(self._earlier(features, random)) for _ in range(DRAWS)], axis=0)
        mean = mean_linear(self.plain - self.losses(truth, undone), weight)
        terms = np.zeros(len(self.both.rows))
        terms[self.late] = mean.terms
        return Part(mean.value, terms)

    def _earlier(self, features: list[str], random: np.random.Generator) -> Floats:
        grid, values = self.both.grid, self.values.copy()
        chance = self.both.rows.weight[self.early]
        for name in features:
            places = [place for place, feature in enumerate(grid.features) if feature == name]
            drawn = grid.values[random.choice(self.early, len(values), p=chance / chance.sum())][:, places]
            if len(places) == 1 and places[0] not in grid.categories:
                drawn = _in_order_of(values[:, places[0]], drawn[:, 0], random)[:, None]
            values[:, places] = drawn
        return values


def _in_order_of(values: Floats, drawn: Floats, random: np.random.Generator) -> Floats:
    """Drawn values (n,) put in the order of others (n,), ties at random; where those are missing any of them.

    >>> _in_order_of(np.array([30.0, 10.0, 20.0]), np.array([1.0, 3.0, 2.0]), np.random.default_rng(0)).tolist()
    [3.0, 1.0, 2.0]
    """
    given, known = drawn.copy(), np.isfinite(values)
    order = np.flatnonzero(known)[np.lexsort((random.random(int(known.sum())), values[known]))]
    given[order] = np.sort(drawn[known])
    return given
