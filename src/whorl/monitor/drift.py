"""Which features are distributed otherwise than before? A diagnosis: it says where to look, and by itself starts nothing.

One query counts every feature's levels on both sides: categories by value, numbers in bins between quantiles, missing as a level
of its own. What the levels are is decided by the rows of both sides together, as `stats/change/two_samples.py`, which judges the
counts, asks. With many rows the smallest difference is significant, so that a feature has drifted only if it is both: significant,
with the share of false discoveries among all features held, and large, in the share of rows that lie elsewhere.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from whorl.records import Record
from whorl.spec.knobs import FeatureType
from whorl.stats.change.two_samples import difference
from whorl.stats.intervals.benjamini_hochberg import benjamini_hochberg
from whorl.storage.engine import Engine
from whorl.storage.sql_types import quoted, text_literal
from whorl.storage.steps import Steps

NUMBERS: tuple[FeatureType, ...] = ("float", "int")
COMPARED: tuple[FeatureType, ...] = (*NUMBERS, "bool", "category")
# Bins of a number: fewer where the smaller side has not this many rows for each.
MOST_BINS, ROWS_PER_BIN = 20, 10
# Quantiles of about so many rows set the bins: which bins they are matters little.
BINS_FROM = 20_000
# Of a category; rarer ones are counted together with those about as rare.
MOST_LEVELS = 200
# DuckDB groups by at most 64 sets at once.
MOST_GROUPED = 60
MISSING, RARER = "missing", "rarer values"


class Level(NamedTuple):
    """A value of a category or the number of a bin, None where it is missing, and its rows on each side."""

    level: str | None
    before: int
    now: int


class Moved(Record, frozen=True, kw_only=True):
    """A level, and its share of the rows of each side."""

    level: str
    before: float
    now: float


class FeatureDrift(Record, frozen=True, kw_only=True):
    """One feature's difference between the two sides.

    `moved_share`: share of the rows that lie on other levels (total variation). `p_value`: adjusted for the number of
    features. All three figures are None where a side has no rows. `moved`: the levels that moved most.
    """

    feature: str
    reference_rows: int
    current_rows: int
    moved_share: float | None
    p_value: float | None
    drifted: bool
    moved: list[Moved]


def drift(
    engine: Engine, rows: str, features: Mapping[str, FeatureType], *, current: str, fdr: float, floor: float
) -> list[FeatureDrift]:
    """Each feature's difference, in the order given; free text is not compared.

    Args:
        rows: Table expression with an `id` and the columns named in `features`.
        features: Type of each column.
        current: SQL condition that tells current rows from those of the reference.
        fdr: Share of the features said to have drifted that may be false discoveries, on average.
        floor: Least share of rows that must have moved.
    """
    compared = {name: kind for name, kind in features.items() if kind in COMPARED}
    if not compared:
        return []
    edges = _edges(engine, rows, [name for name, kind in compared.items() if kind in NUMBERS], current)
    counts = _counted(engine, rows, list(compared), edges, current)
    found = [difference(*_sides(counts[name])) for name in compared]
    adjusted = benjamini_hochberg([one.p_value for one in found])
    return [
        FeatureDrift(
            feature=name,
            reference_rows=sum(before for _, before, _ in counts[name]),
            current_rows=sum(now for _, _, now in counts[name]),
            moved_share=_known(one.total_variation),
            p_value=_known(p),
            drifted=bool(p <= fdr and one.total_variation >= floor),
            moved=_moved(counts[name], edges.get(name)),
        )
        for name, one, p in zip(compared, found, adjusted, strict=True)
    ]


def _edges(engine: Engine, rows: str, numbers: Sequence[str], current: str) -> dict[str, list[float]]:
    """The upper ends of all bins but the last, of each number; none where there is no number."""
    if not numbers:
        return {}
    sides = f"SELECT count(*) AS n, count(*) FILTER ({current}) AS now FROM {rows}"
    n, now = engine.query(sides).to_pylist()[0].values()
    bins = min(MOST_BINS, max(2, min(now, n - now) // ROWS_PER_BIN))
    shares = [place / bins for place in range(1, bins)]
    quantiles = ", ".join(
        f"list_sort(list_distinct(quantile_disc({quoted(name)}::DOUBLE, {shares}) FILTER (isfinite({quoted(name)}::DOUBLE)))) "
        f"AS {quoted(name)}"
        for name in numbers
    )
    # By the id's hash: the same rows each time, whatever the order and the number of threads.
    sampled = f"hash(id) <= {(2**64 - 1) * BINS_FROM // max(n, BINS_FROM)}"
    row = engine.query(f"SELECT {quantiles} FROM {rows} WHERE {sampled}").to_pylist()[0]
    return {name: found or [] for name, found in row.items()}


def _counted(
    engine: Engine, rows: str, names: Sequence[str], edges: Mapping[str, list[float]], current: str
) -> dict[str, list[Level]]:
    """The levels of each feature; all features in one pass, or so many as DuckDB groups at once."""
    counts: dict[str, list[Level]] = {name: [] for name in names}
    for first in range(0, len(names), MOST_GROUPED):
        batch = names[first : first + MOST_GROUPED]
        found = engine.query(_counts(rows, batch, edges, current).sql())
        places = {_grouping(place, len(batch)): name for place, name in enumerate(batch)}
        for feature, *level in zip(*(found[name].to_pylist() for name in found.column_names), strict=True):
            counts[places[feature]].append(Level(*level))
    return counts


def _counts(rows: str, names: Sequence[str], edges: Mapping[str, list[float]], current: str) -> Steps:
    """Steps to `counts`: `feature` (see `_grouping`), `level` (NULL: missing), and rows `before` and `now`; the bin of a number."""
    levels = [_binned(name, edges[name]) if name in edges else f"{quoted(name)}::VARCHAR" for name in names]
    columns = [f"level_{place}" for place in range(len(names))]
    listed = ", ".join(columns)
    return (
        Steps()
        .add(
            "levels",
            f"SELECT ({current}) AS is_current,\n  "
            + ",\n  ".join(f"{level} AS {column}" for level, column in zip(levels, columns, strict=True))
            + f"\nFROM {rows}",
            "each row's level of each feature",
            inline=True,
        )
        .add(
            "grouped",
            f"SELECT grouping({listed}) AS feature, coalesce({listed}) AS level,\n"
            "  count(*) FILTER (NOT is_current) AS before, count(*) FILTER (is_current) AS now\n"
            f"FROM levels GROUP BY GROUPING SETS ({', '.join(f'({column})' for column in columns)})",
            "all features in one pass; the columns that a set leaves out are NULL",
        )
        .add(
            "ranked",
            "SELECT *, row_number() OVER (PARTITION BY feature ORDER BY before + now DESC, hash(level)) AS place FROM grouped",
            "among equally frequent ones by chance: names in the order of their time, as of invoices, would take sides",
        )
        .add(
            "counts",
            f"SELECT feature, CASE WHEN place <= {MOST_LEVELS} OR level IS NULL THEN level\n"
            f"  ELSE {text_literal(RARER)} || ' (under ' || (2 ** (1 + floor(log2(before + now))))::BIGINT || ' rows each)' END AS level,\n"
            "  sum(before)::BIGINT AS before, sum(now)::BIGINT AS now\nFROM ranked GROUP BY ALL ORDER BY feature, level",
            "what is rare is counted with what is about as rare: new values stand apart from old ones",
        )
    )


def _grouping(place: int, columns: int) -> int:
    """DuckDB's `grouping` of the set that holds this column only: a bit is set for each column that is left out."""
    return (1 << columns) - 1 - (1 << (columns - 1 - place))


def _binned(name: str, edges: Sequence[float]) -> str:
    column = f"{quoted(name)}::DOUBLE"
    chain = " ".join(f"WHEN {column} <= {edge!r} THEN '{place}'" for place, edge in enumerate(edges))
    return f"CASE WHEN {column} IS NULL OR isnan({column}) THEN NULL {chain} ELSE '{len(edges)}' END"


def _sides(counts: Sequence[Level]) -> tuple[list[int], list[int]]:
    return [before for _, before, _ in counts], [now for _, _, now in counts]


def _moved(counts: Sequence[Level], edges: Sequence[float] | None, most: int = 3) -> list[Moved]:
    totals = [max(sum(side), 1) for side in _sides(counts)]
    shares = [(level, before / totals[0], now / totals[1]) for level, before, now in counts]
    largest = sorted(shares, key=lambda one: -abs(one[2] - one[1]))[:most]
    return [
        Moved(level=_said(level, edges), before=before, now=now)
        for level, before, now in largest
        if before != now
    ]


def _said(level: str | None, edges: Sequence[float] | None) -> str:
    if level is None:
        return MISSING
    if edges is None:
        return str(level)
    place = int(level)
    if not edges:
        return "any number"
    if place == 0:
        return f"up to {edges[0]:.6g}"
    return f"over {edges[-1]:.6g}" if place == len(edges) else f"{edges[place - 1]:.6g} to {edges[place]:.6g}"


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
