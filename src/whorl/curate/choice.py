"""Which candidates a cycle takes: part by reason, part by what a model learns most from, part at random.

Of what is not drawn at random, `[curate] reason_share` goes to rows with a reason and the rest to the strategy; what one
cannot use goes on, and at last to chance. Strategies do not see the truth of the candidates, though it is known. Some
reasons do: which chance a row would have had without them is kept, so that training can undo what they bend.
"""

from datetime import datetime

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from msgspec import structs

from whorl.curate.draw import Draw, draw, reason_chances
from whorl.curate.pool import pool_of
from whorl.curate.reasons import Reason
from whorl.curate.strategies.strategy import strategy_chances
from whorl.stats.arrays import Floats, Indices
from whorl.storage.tables import FEATURE
from whorl.workspace import Workspace

ASKED = "asked"


class Choice(msgspec.Struct, frozen=True):
    """A draw among the candidates, which of them the strategy picked (n,), and which had been asked for (n,).

    `blind` (n,): the chance that all draws gave a row which do not see its truth, with the same pool.
    """

    drawn: Draw
    by_strategy: Floats
    asked: npt.NDArray[np.bool_]
    blind: Floats


def choose_with_asked(
    ws: Workspace,
    rows: pa.Table,
    reasons: list[Reason],
    as_of: datetime,
    asked: Floats,
    *,
    first: bool,
    random_share: float,
) -> Choice:
    """Every row that was asked for, by the chance (n,) that it was asked with, and a draw among the others (nan)."""
    free = np.flatnonzero(np.isnan(asked))
    if len(free) == len(asked):
        return choose_cases(ws, rows, reasons, as_of, first=first, random_share=random_share)
    of_free = [
        structs.replace(one, rows=one.rows[free], severity=one.severity[free])
        for one in reasons
        if one.rows[free].any()
    ]
    choice = choose_cases(
        ws, rows.take(pa.array(free)), of_free, as_of, first=first, random_share=random_share
    )
    probability, wanted, picks = asked.copy(), np.zeros(len(asked), dtype=np.bool_), np.zeros(len(asked))
    probability[free[choice.drawn.rows]] = choice.drawn.probability
    wanted[free[choice.drawn.rows]] = choice.drawn.wanted
    picks[free] = choice.by_strategy
    blind = asked.copy()
    blind[free] = choice.blind
    chosen = np.flatnonzero(~np.isnan(probability))
    drawn = Draw(chosen, probability[chosen], wanted[chosen], choice.drawn.at_random)
    return Choice(drawn, picks, ~np.isnan(asked), blind)


def choose_cases(
    ws: Workspace, rows: pa.Table, reasons: list[Reason], as_of: datetime, *, first: bool, random_share: float
) -> Choice:
    """Choose under the budget; the first dataset, and `strategy = "random"`, are drawn at random."""
    curate, seed = ws.spec.curate, f"{ws.spec.train.seed}/{as_of.isoformat()}"
    budget = (curate.initial if first else curate.budget) or None
    wanted, blind, picks = np.zeros(rows.num_rows), np.zeros(rows.num_rows), np.zeros(rows.num_rows)
    if not first and curate.strategy != "random":
        to_spend = rows.num_rows if budget is None else min(round(budget * (1 - random_share)), rows.num_rows)
        blind_reasons = [one for one in reasons if not one.sees_truth]
        size = _size(rows, blind_reasons, as_of, ws)
        wanted, blind = _by_reason(ws, rows, reasons, size, as_of, to_spend * curate.reason_share)
        if budget is not None and budget < rows.num_rows:
            left = int(to_spend - wanted.sum() - blind.sum() + 1e-9)
            picks = _picks(ws, rows, size, blind, left, seed)
        blind = np.maximum(blind, picks)
    drawn = draw(rows["draw_key"].to_numpy(), np.maximum(wanted, blind), budget=budget, seed=seed)
    asked = np.zeros(rows.num_rows, dtype=np.bool_)
    return Choice(drawn, picks, asked, 1 - (1 - blind) * (1 - drawn.at_random))


def primary(reasons: list[Reason], n: int) -> Indices:
    """The first reason (n,) that each row has, as a place in the list; -1 where none holds."""
    found = np.full(n, -1, dtype=np.intp)
    for position in reversed(range(len(reasons))):
        found[reasons[position].rows] = position
    return found


def _by_reason(
    ws: Workspace, rows: pa.Table, reasons: list[Reason], blind_size: Floats, as_of: datetime, budget: float
) -> tuple[Floats, Floats]:
    """Chances (n,) by the reasons that see the truth, and by the others; each stratum of either has the same share."""
    seeing = [one for one in reasons if one.sees_truth]
    blind = [one for one in reasons if not one.sees_truth]
    segment = _segment_of(rows, ws.spec.schema.segments)
    of_seeing, of_blind = (_strata(primary(some, rows.num_rows), segment) for some in (seeing, blind))
    held = [np.count_nonzero(np.bincount(strata[strata >= 0])) for strata in (of_seeing, of_blind)]
    share = held[0] / max(sum(held), 1)
    by_truth = reason_chances(of_seeing, _size(rows, seeing, as_of, ws), budget * share)
    return by_truth, reason_chances(of_blind, blind_size, budget - float(by_truth.sum()))


def _picks(ws: Workspace, rows: pa.Table, size: Floats, by_reason: Floats, budget: int, seed: str) -> Floats:
    """The strategy's chances (n,) among the rows that no reason has made certain."""
    free = np.flatnonzero(by_reason < 1)
    severity = np.where(size[free] > 0, size[free], 1.0)
    # Filtering copies runs of rows, taking copies row by row.
    pool = pool_of(
        ws, rows if len(free) == rows.num_rows else rows.filter(pa.array(by_reason < 1)), severity, seed
    )
    picks = np.zeros(rows.num_rows)
    picks[free] = strategy_chances(ws.spec.curate.strategy, pool, min(budget, len(free)), beside=ws.beside)
    return picks


def _size(rows: pa.Table, reasons: list[Reason], as_of: datetime, ws: Workspace) -> Floats:
    """Severity times recency (n,); 0 where no reason holds."""
    size = np.zeros(rows.num_rows)
    for reason in reasons:
        held = np.flatnonzero(reason.rows)
        severity = reason.severity[held]
        mean = float(severity.mean())
        # Severities of different reasons have different units: each counts relative to its own mean.
        size[held] = np.maximum(size[held], severity / mean if mean > 0 else 1.0)
    half_life = ws.spec.curate.half_life
    if half_life is not None:
        age_s = as_of.timestamp() - rows["time"].cast(pa.int64()).to_numpy() / 1e6
        size = size * 0.5 ** (np.maximum(age_s, 0) / half_life.seconds)
    return size


def _segment_of(rows: pa.Table, segments: list[str]) -> Indices:
    """A number (n,) for each value of the first segment; 0 for all where none is declared."""
    if not segments:
        return np.zeros(rows.num_rows, dtype=np.intp)
    values = rows[FEATURE + segments[0]].combine_chunks().dictionary_encode()
    number: Indices = values.indices.fill_null(len(values.dictionary)).to_numpy().astype(np.intp)
    return number


def _strata(reason: Indices, segment: Indices) -> Indices:
    """A number (n,) for each reason and segment that meet in a row; -1 where no reason holds."""
    return np.where(reason < 0, -1, reason * (segment.max(initial=0) + 1) + segment)
