"""Does choosing teach more than chance? Where it teaches less, its part of the budget shrinks, until it does again.

A cheap learner is fitted twice: on the first dataset with so many chosen rows, and with equally many of the random share;
both are asked about the holdout. When the paired difference lies below 0 with its whole interval, in which the luck of the
rows that were drawn has its part (`stats/learning/taught_difference.py`), the part that is not random is halved, down to an eighth:
enough to see it win again, which doubles it. A look is taken each time that there are twice as many rows to compare, and
all looks of a flywheel's life share one error budget (`stats/intervals/error_budget.py`). The share in force is kept in the cycle's
`CaseSet`, from which the next cycle goes on.
"""

from collections.abc import Sequence
from datetime import datetime
from math import log2
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from whorl.curate.pool import columns
from whorl.curate.strategies.embedding import Embedding
from whorl.examples.maturity import mature_s
from whorl.examples.weights import exploration, judging_weight, late_truth_weight
from whorl.records import CaseSet
from whorl.stats.arrays import Floats, Indices, codes
from whorl.stats.intervals.error_budget import level_at
from whorl.stats.intervals.estimate import Estimate
from whorl.stats.learning.taught_difference import taught_difference
from whorl.stats.sampling.hashed_uniform import hashed_uniform
from whorl.storage import dataset_versions
from whorl.storage.tables import FEATURE
from whorl.workspace import Workspace

LEAST_ROWS, MOST_ROWS = 50, 1000
LEAST_HOLDOUT, MOST_HOLDOUT = 100, 2000
TREES = 25
SMALLEST_PART = 1 / 8
BASE, CHOSEN, RANDOM = "base", "chosen", "random"


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
    look = due_look(_drawn(ws, earlier), _drawn(ws, earlier[:-1]))
    lead = chosen_against_random(ws, as_of, level=level_at(look)) if look else None
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


def due_look(rows: int, before: int) -> int:
    """Which look is due, 1, 2, ...: the first at 50 rows of either kind, another at twice as many; 0: none.

    Args:
        rows: Chosen rows or random ones so far, whichever are fewer; `before`: those of them before the last cycle.

    >>> [due_look(*rows) for rows in ((40, 20), (60, 40), (90, 60), (260, 90))]
    [0, 1, 0, 3]
    """
    now, then = (int(log2(max(one / LEAST_ROWS, 0.5))) + (one >= LEAST_ROWS) for one in (rows, before))
    return now if now > then else 0


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


def chosen_against_random(ws: Workspace, as_of: datetime, *, level: float) -> Estimate | None:
    """Brier score (regression: absolute error) on the holdout after random rows, less that after chosen ones.

    Rows weigh as they do in the dataset. The latest 1,000 of either kind take part. None where fewer than 50 of either, or
    100 labelled holdout rows, are there.
    """
    trained = _trained(ws)
    if trained is None:
        return None
    kind = trained["kind"].to_numpy(zero_copy_only=False)
    chosen, random = (_latest(trained, kind == one, MOST_ROWS) for one in (CHOSEN, RANDOM))
    m = min(len(chosen), len(random))
    if m < LEAST_ROWS:
        return None
    held, weight = _holdout(ws, as_of)
    if held.num_rows < LEAST_HOLDOUT:
        return None
    learner = _Learner(ws, trained, held, _latest(trained, kind == BASE, MOST_ROWS))
    return taught_difference(
        learner.losses,
        chosen[:m],
        random[:m],
        level=level,
        weight=weight,
        group=codes(np.array(held["unit"].to_pylist(), dtype=object)),
        seed=ws.spec.train.seed,
    )


class _Learner:
    """Randomised trees on the first dataset and some rows more, and what they lose on the holdout."""

    def __init__(self, ws: Workspace, trained: pa.Table, held: pa.Table, base: Indices) -> None:
        texts = frozenset(FEATURE + name for name, one in ws.spec.features.items() if one.type == "text")
        embedding = Embedding(columns(trained, ws.spec), texts)
        self._places, self._asked = (embedding.places(columns(rows, ws.spec)) for rows in (trained, held))
        self._weight, self._base = trained["weight"].to_numpy(), base
        self._regression = ws.spec.task == "regression"
        label, truth = (rows["label"].combine_chunks() for rows in (trained, held))
        if self._regression:
            self._label, self._truth = label.to_numpy(), truth.to_numpy()
        else:
            names = {name: place for place, name in enumerate(pc.unique(label).to_pylist())}
            self._label = np.array([names[name] for name in label.to_pylist()])
            self._truth = np.array([names.get(name, -1) for name in truth.to_pylist()])
            self._classes = len(names)

    def losses(self, rows: Indices) -> Floats:
        """Brier score (m,) of each holdout row, or the absolute error; all of it where its class was never seen."""
        from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

        rows = np.concatenate([self._base, rows])
        kind = ExtraTreesRegressor if self._regression else ExtraTreesClassifier
        model = kind(TREES, min_samples_leaf=2, random_state=0)
        model.fit(self._places[rows], self._label[rows], sample_weight=self._weight[rows])
        if self._regression:
            error: Floats = np.abs(model.predict(self._asked) - self._truth)
            return error
        said = np.zeros((len(self._truth), self._classes + 1))
        said[:, model.classes_] = model.predict_proba(self._asked)
        true = np.take_along_axis(said, self._truth[:, None], axis=1)[:, 0]
        loss: Floats = (np.square(said).sum(axis=1) - 2 * true + 1) / 2
        return loss


def _latest(trained: pa.Table, mask: npt.NDArray[np.bool_], most: int) -> Indices:
    """The rows of the latest cycles, at most so many, in an order that goes by chance alone."""
    rows = np.flatnonzero(mask)
    lots = hashed_uniform(trained["id"].take(pa.array(rows)).to_pylist(), "guard")
    rows = rows[np.argsort(lots, kind="stable")]
    cycle = trained["cycle_as_of"].cast(pa.int64()).to_numpy()[rows]
    latest: Indices = rows[np.argsort(-cycle, kind="stable")[:most]]
    return latest


def _drawn(ws: Workspace, cycles: Sequence[str]) -> int:
    """How many rows these cycles chose, or drew at random, whichever are fewer."""
    counts = ws.engine.query(
        f"SELECT count(*) FILTER (kind = '{CHOSEN}') AS chosen, count(*) FILTER (kind = '{RANDOM}') AS random "
        f"FROM ({_kinds(ws)}) WHERE list_contains(?, cycle_id)",
        [list(cycles)],
    ).to_pylist()[0]
    return int(min(counts["chosen"], counts["random"]))


def _kinds(ws: Workspace) -> str:
    """SQL: id, cycle, and how each case came: by choice, by chance, or before or beside both."""
    return (
        f"SELECT id, cycle_id, as_of, CASE WHEN reason IN ('initial', 'asked') THEN '{BASE}' "
        f"WHEN policy = 'random' OR reason = 'random' THEN '{RANDOM}' ELSE '{CHOSEN}' END AS kind FROM {ws.lake.relation('cases')}"
    )


def _trained(ws: Workspace) -> pa.Table | None:
    """Labelled rows of the last training dataset, as examples; None where there is none with these features."""
    made = [one for one, _ in dataset_versions.versions(ws.ledger, ws.name) if one.name == "training"]
    if not made or not Path(made[-1].path).exists():
        return None
    rows = pq.read_table(made[-1].path).filter(pc.field("role") == "labelled")
    if set(ws.spec.features) - set(rows.column_names):
        return None
    ws.engine.register("guarded_rows", rows)
    renamed = "".join(f', r."{name}" AS "{FEATURE}{name}"' for name in ws.spec.features)
    return ws.engine.query(
        f"SELECT r.id, r.label, r.weight, k.kind, k.as_of AS cycle_as_of{renamed} FROM guarded_rows r "
        f"JOIN (SELECT id, arg_max(kind, as_of) AS kind, max(as_of) AS as_of FROM ({_kinds(ws)}) GROUP BY id) k USING (id) "
        "ORDER BY r.id"
    )


def _holdout(ws: Workspace, as_of: datetime) -> tuple[pa.Table, Floats]:
    """Some labelled rows of the holdout, old enough to judge: those of whole groups, by chance; and the weight of each (n,)."""
    features = "".join(f', "{FEATURE}{name}"' for name in ws.spec.features)
    examples = ws.examples(as_of).name
    rows = ws.engine.query(
        f"SELECT id, label, age_days, coalesce(group_id, id) AS unit, {exploration(ws.spec)}::DOUBLE AS exploration{features} "
        f"FROM {examples} WHERE split = 'holdout' AND status IN ('known', 'defaulted') "
        f"AND age_days * 86400 >= {mature_s(ws.spec):.15g} ORDER BY hash(unit), unit, id LIMIT {MOST_HOLDOUT}"
    )
    late = ws.examples(as_of).late_truth
    weight = judging_weight(late_truth_weight(rows, late, ws.spec), rows)
    return rows.filter(pa.array(weight > 0)), weight[weight > 0]


def _share_of(ws: Workspace, cycle_id: str) -> float | None:
    """The random share that a cycle drew with."""
    step = next((one.result for one in ws.journal.done(cycle_id) if one.name == "curate"), None)
    return None if step is None else msgspec.convert(step, CaseSet).random_share
