"""Does choosing teach more than chance? Where it teaches less, its part of the budget shrinks, until it does again.

A cheap learner is fitted twice: on the first dataset with so many chosen rows, and with equally many random ones of the same
cycles; both are asked about the holdout. When the paired difference lies below 0 with its whole interval, the part that
is not random is halved, down to an eighth: enough to see it win again, which doubles it. The share in force is kept in the
cycle's `CaseSet`, from which the next cycle goes on.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from whorl.curate.pool import columns
from whorl.curate.strategies.embedding import Embedding
from whorl.records import CaseSet
from whorl.stats.arrays import Floats, Indices
from whorl.stats.estimate import Estimate, from_standard_error, student_quantile
from whorl.stats.hashed_uniform import hashed_uniform
from whorl.storage import dataset_versions
from whorl.storage.tables import FEATURE
from whorl.workspace import Workspace

LEAST_ROWS, MOST_ROWS = 50, 2000
LEAST_HOLDOUT, MOST_HOLDOUT = 100, 5000
SMALLEST_PART = 1 / 8
NOT_CHOSEN = ("initial", "random", "asked", "default")


class Guarded(msgspec.Struct, frozen=True):
    """The share of the budget that is drawn at random in this cycle, and what there is to say about it."""

    random_share: float
    notes: list[str]


def guarded_share(ws: Workspace, as_of: datetime, earlier: Sequence[str]) -> Guarded:
    """The random share after a look at what choosing has taught; `[curate] random_share` until there is enough to tell."""
    least = ws.spec.curate.random_share
    if not (ws.spec.curate.guard and earlier) or ws.spec.curate.strategy == "random":
        return Guarded(least, [])
    before = max(least, _share_of(ws, earlier[-1]) or least)
    lead = chosen_against_random(ws, as_of)
    if lead is None:
        return Guarded(before, [])
    share = shifted_share(before, least, lead)
    told = f"{lead.value:+.4f} ({lead.low:+.4f} to {lead.high:+.4f}) on {lead.n:,} holdout rows"
    if share > before:
        return Guarded(
            share,
            [f"Chosen rows taught less than random ones, {told}: {share:.0%} of the budget is random now."],
        )
    if share < before:
        return Guarded(
            share,
            [f"Chosen rows teach as much as random ones again, {told}: {share:.0%} of the budget is random."],
        )
    if share > least:
        return Guarded(
            share, [f"Chosen rows against random ones: {told}; {share:.0%} of the budget stays random."]
        )
    return Guarded(share, [])


def shifted_share(before: float, least: float, lead: Estimate) -> float:
    """The next random share: the part that is chosen is halved where it loses, doubled where it does not lag behind.

    >>> shifted_share(0.2, 0.2, Estimate(-0.03, -0.05, -0.01, 900)), shifted_share(0.6, 0.2, Estimate(0.01, -0.01, 0.03, 900))
    (0.6, 0.2)
    """
    part, whole = 1 - before, 1 - least
    if lead.high < 0:
        part = max(part / 2, whole * SMALLEST_PART)
    elif lead.value >= 0:
        part = min(part * 2, whole)
    return round(1 - part, 6)


def chosen_against_random(ws: Workspace, as_of: datetime) -> Estimate | None:
    """Accuracy (regression: less absolute error) on the holdout after chosen rows, less that after random ones.

    None where fewer than 50 of either kind, or 100 labelled holdout rows, are there.
    """
    trained = _trained(ws)
    if trained is None:
        return None
    reason = np.array(trained["reason"].to_pylist(), dtype=object)
    lots = hashed_uniform(trained["id"].to_pylist(), "guard")
    chosen, random, base = ~np.isin(reason, NOT_CHOSEN), reason == "random", reason == "initial"
    m = min(int(chosen.sum()), int(random.sum()), MOST_ROWS)
    if m < LEAST_ROWS:
        return None
    held = _holdout(ws, as_of)
    if held.num_rows < LEAST_HOLDOUT:
        return None
    texts = frozenset(FEATURE + name for name, feature in ws.spec.features.items() if feature.type == "text")
    embedding = Embedding(columns(trained, ws.spec), texts)
    places, asked = embedding.places(columns(trained, ws.spec)), embedding.places(columns(held, ws.spec))
    sides = [
        np.concatenate([_some(base, lots, MOST_ROWS), _some(side, lots, m)]) for side in (chosen, random)
    ]
    told = [
        _loss(ws, places[rows], trained["label"].take(pa.array(rows)), asked, held["label"]) for rows in sides
    ]
    gain = told[1] - told[0]
    error = float(gain.std(ddof=1) / np.sqrt(len(gain)))
    return from_standard_error(
        float(gain.mean()), error, len(gain), quantile=student_quantile(0.95, len(gain))
    )


def _some(mask: npt.NDArray[np.bool_], lots: Floats, most: int) -> Indices:
    rows = np.flatnonzero(mask)
    first: Indices = rows[np.argsort(lots[rows], kind="stable")[:most]]
    return first


def _loss(
    ws: Workspace, places: Floats, label: pa.ChunkedArray, asked: Floats, truth: pa.ChunkedArray
) -> Floats:
    """1 where wrong (m,), or the absolute error."""
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

    if ws.spec.task == "regression":
        fitted = ExtraTreesRegressor(50, min_samples_leaf=2, random_state=0).fit(places, label.to_numpy())
        error: Floats = np.abs(fitted.predict(asked) - truth.to_numpy())
        return error
    names = np.array([str(value) for value in label.to_pylist()])
    model = ExtraTreesClassifier(50, min_samples_leaf=2, random_state=0).fit(places, names)
    wrong: Floats = (model.predict(asked) != np.array([str(value) for value in truth.to_pylist()])).astype(
        np.float64
    )
    return wrong


def _trained(ws: Workspace) -> pa.Table | None:
    """Labelled rows of the last training dataset, as examples; None where there is none with these features."""
    made = [one for one, _ in dataset_versions.versions(ws.ledger, ws.name) if one.name == "training"]
    if not made or not Path(made[-1].path).exists():
        return None
    rows = pq.read_table(made[-1].path).filter(pc.field("role") == "labelled")
    if set(ws.spec.features) - set(rows.column_names):
        return None
    return rows.rename_columns(
        [FEATURE + name if name in ws.spec.features else name for name in rows.column_names]
    )


def _holdout(ws: Workspace, as_of: datetime) -> pa.Table:
    features = "".join(f', "{FEATURE}{name}"' for name in ws.spec.features)
    return ws.engine.query(
        f"SELECT id, label{features} FROM {ws.examples(as_of).name} WHERE split = 'holdout' "
        f"AND status IN ('known', 'defaulted') ORDER BY hash(id), id LIMIT {MOST_HOLDOUT}"
    )


def _share_of(ws: Workspace, cycle_id: str) -> float | None:
    """The random share that a cycle drew with."""
    step = next((one.result for one in ws.journal.done(cycle_id) if one.name == "curate"), None)
    return None if step is None else msgspec.convert(step, CaseSet).random_share
