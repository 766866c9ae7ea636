"""The rows that judge: holdout examples whose truth is known, nobody trained on, each with the weight that makes them
stand for all holdout rows although some classes' truth comes sooner than others'.
"""

from datetime import datetime, timedelta

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from whorl.examples.answering import Answering, answering
from whorl.examples.asked import asked_weights, beside_asked, outnumber_others
from whorl.examples.maturity import mature_s
from whorl.examples.said import groups_of, numbers
from whorl.examples.weights import exploration, judging_weight, late_truth_weight, standing_for
from whorl.records import DatasetVersion
from whorl.spec import Spec
from whorl.stats.arrays import effective_rows
from whorl.storage.tables import FEATURE
from whorl.workspace import Workspace

Floats = npt.NDArray[np.float64]


class JudgedRows(msgspec.Struct, frozen=True):
    """Rows in order of time, with truth and weight (n,), and how many holdout rows could not judge, by why.

    `refusal`: why these rows cannot stand for the holdout, whatever their weights; empty where they can.
    """

    table: pa.Table
    truth: Floats
    classes: tuple[str, ...]
    weight: Floats
    group: npt.NDArray[np.object_]
    left_out: dict[str, int]
    notes: list[str]
    refusal: str = ""

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def features(self, spec: Spec) -> pa.Table:
        """Feature columns by their bare names, in the spec's order."""
        names = list(spec.features)
        return self.table.select([FEATURE + name for name in names]).rename_columns(names)

    def take(self, chosen: npt.NDArray[np.bool_]) -> "JudgedRows":
        """The rows where `chosen` (n,) is true."""
        return msgspec.structs.replace(
            self,
            table=self.table.filter(pa.array(chosen)),
            truth=self.truth[chosen],
            weight=self.weight[chosen],
            group=self.group[chosen],
        )


def judged_rows(ws: Workspace, as_of: datetime) -> JudgedRows:
    """Every row that may compare champion and challenger as of a time.

    Left out and counted: rows without truth, rows younger than the maturity lag, or so young that some class can hardly be known, golden rows, rows that were trained on
    (before they turned out to be of the holdout, or were young enough for `[evaluate] time_forward`), rows the champion
    was trained on elsewhere (`[champion] trained_through`), rows outside `[evaluate] window`.
    """
    examples = ws.examples(as_of)
    came = answering(examples, _judging(ws.spec, as_of))
    beside = beside_asked(ws.engine, ws.lake, examples.name, ws.spec, as_of)
    asked = _asked(ws, beside, as_of, refused=came is not None and bool(came.refusal))
    left_out = _look_at_each(ws, as_of, asked, beside)
    rows = _not_left_out(ws, asked, beside)
    late, notes = _late_truth(ws, rows, as_of)
    told = (late > 0) | np.isfinite(rows.table["stands_for"].to_numpy())
    if not told.all():
        left_out["too young for the truth of every class to be known"] = int((~told).sum())
    rows = _weighed(rows.take(told), late[told], came)
    return msgspec.structs.replace(rows, left_out=left_out, notes=[*notes, *rows.notes, *_notes(ws.spec)])


def _look_at_each(ws: Workspace, as_of: datetime, asked: str, beside: str) -> dict[str, int]:
    """Make the engine's table `holdout_rows`: those with a truth, `left_out` saying why one cannot judge, NULL where it can.

    Returns how many are left out, by why, and how many wait for their truth.
    """
    examples, judging, told = (
        ws.examples(as_of).name,
        _judging(ws.spec, as_of),
        "status IN ('known', 'defaulted')",
    )
    why = " ".join(f"WHEN {condition} THEN '{reason}'" for reason, condition in _reasons(ws, asked, beside))
    ws.engine.create(
        "holdout_rows",
        f"WITH looked_at AS (SELECT *, CASE {why} END AS left_out FROM {examples} WHERE {judging} AND {told})\n"
        f"SELECT * REPLACE (coalesce(left_out, {_outside_window(ws.spec)}) AS left_out) FROM looked_at",
    )
    counted = ws.engine.query(
        "SELECT left_out, count(*) AS n FROM holdout_rows WHERE left_out IS NOT NULL GROUP BY 1 UNION ALL\n"
        f"SELECT 'no truth yet', count(*) AS n FROM {examples} WHERE {judging} AND NOT {told} HAVING n > 0"
    )
    return {row["left_out"]: row["n"] for row in counted.to_pylist()}


def _reasons(ws: Workspace, asked: str, beside: str) -> list[tuple[str, str]]:
    """Why a row with a truth cannot judge, and the SQL condition over examples that says so; the first that holds counts."""
    spec, members = ws.spec, ws.lake.relation("members")
    reasons = [
        ("others were asked for it", f"id IN (SELECT id FROM {asked} WHERE weight = 0)"),
        (
            "people were asked for it",
            f"id IN (SELECT id FROM {beside} WHERE stands_for = 0) AND id NOT IN (SELECT id FROM {asked})",
        ),
        ("immature", f"age_days * 86400 < {mature_s(spec):.15g} AND id NOT IN (SELECT id FROM {asked})"),
        ("golden", f"id IN (SELECT id FROM {members} WHERE role = 'golden')"),
        ("trained on", f"id IN (SELECT id FROM {members} WHERE dataset = 'training' AND role <> 'open')"),
    ]
    if spec.champion.trained_through is not None:
        reasons.append(
            ("the champion was trained on it", f"time <= TIMESTAMPTZ '{spec.champion.trained_through}'")
        )
    return reasons


def _not_left_out(ws: Workspace, asked: str, beside: str) -> JudgedRows:
    """The rows of `holdout_rows` that judge. `stands_for`: what an asked row weighs, NULL of others; `beside`: how many another stands for."""
    found = ws.engine.query(
        f"SELECT h.*, {exploration(ws.spec)} AS exploration, a.weight AS stands_for, coalesce(b.stands_for, 1) AS beside\n"
        f"FROM holdout_rows h LEFT JOIN {asked} a USING (id) LEFT JOIN {beside} b USING (id) WHERE left_out IS NULL ORDER BY time, id"
    )
    return _with_truth(found, ws.spec)


def _weighed(rows: JudgedRows, late: Floats, came: Answering | None) -> JudgedRows:
    """The rows with the weight that makes them stand for all, by who was asked where anybody was, else by who answers.

    Args:
        late: (n,) weight by how late truth comes.
        came: Whose truth comes, where that is modelled.
    """
    stands_for = rows.table["stands_for"].to_numpy()
    late = late * numbers(rows.table["beside"])
    notes, refusal = ([], "") if came is None else (came.notes, came.refusal)
    by_asked = np.isfinite(stands_for)
    if by_asked.any():
        notes, refusal = (
            [*notes, f"{by_asked.sum():,} rows that people were asked for stand for those beside them."],
            "",
        )
    elif came is not None:
        late = late * came.weight_of(rows.table["id"])
    weight = standing_for(stands_for, judging_weight(late, rows.table), rows.table)
    return msgspec.structs.replace(rows, weight=weight, notes=notes, refusal=refusal)


def _asked(ws: Workspace, beside: str, as_of: datetime, *, refused: bool) -> str:
    """Table of the rows that people were asked for and of those they stand for; empty where labels that came otherwise judge."""
    examples = ws.examples(as_of).name
    weights = asked_weights(ws.engine, ws.lake, examples, ws.spec, as_of)
    if refused or outnumber_others(ws.engine, weights, beside, examples):
        return weights
    ws.engine.create("nobody_asked", "SELECT NULL::VARCHAR AS id, NULL::DOUBLE AS weight WHERE false")
    return "nobody_asked"


def _outside_window(spec: Spec) -> str:
    """Counted back from the youngest row that can judge, not from now: history taken in today judges too."""
    if not spec.evaluate.window.seconds:
        return "NULL"
    youngest = "max(time) FILTER (left_out IS NULL) OVER ()"
    return f"CASE WHEN time < {youngest} - INTERVAL {int(spec.evaluate.window.seconds)} SECOND THEN 'outside the window' END"


def fixed_rows(ws: Workspace, dataset: DatasetVersion, as_of: datetime) -> JudgedRows:
    """The rows of a dataset version with the labels it was made with, each counting once, and what was logged for them."""
    rows = pq.read_table(dataset.path)
    names = [FEATURE + name if name in ws.spec.features else name for name in rows.column_names]
    ws.engine.register("fixed_rows", rows.rename_columns(names))
    logged = "e.group_id, e.model_version, e.score, e.scores"
    return _with_truth(
        ws.engine.query(
            f"SELECT f.*, {logged} FROM fixed_rows f LEFT JOIN {ws.examples(as_of).name} e ON e.id = f.id "
            "ORDER BY f.time, f.id"
        ),
        ws.spec,
    )


def _with_truth(table: pa.Table, spec: Spec) -> JudgedRows:
    truth, classes = _truth(table, spec)
    return JudgedRows(table, truth, classes, np.ones(len(truth)), groups_of(table), {}, [])


def _judging(spec: Spec, as_of: datetime) -> str:
    if spec.evaluate.time_forward is None:
        return "split = 'holdout'"
    start = as_of - timedelta(days=spec.evaluate.time_forward.days)
    return f"(split = 'holdout' OR time > TIMESTAMPTZ '{start.isoformat()}')"


def _notes(spec: Spec) -> list[str]:
    if spec.evaluate.time_forward is None:
        return []
    return [
        f"Judged with a time-forward holdout (the last {spec.evaluate.time_forward}) beside the frozen one: weaker "
        "evidence, since these rows are trained on later and say nothing about groups never seen."
    ]


def _truth(table: pa.Table, spec: Spec) -> tuple[Floats, tuple[str, ...]]:
    labels = table["label"].to_pylist()
    if spec.task == "binary":
        return np.array(labels, dtype=np.float64), ("False", "True")
    if spec.task == "regression":
        return np.array(labels, dtype=np.float64), ()
    classes = tuple(sorted(set(labels)))
    place = {name: position for position, name in enumerate(classes)}
    return np.array([place[label] for label in labels], dtype=np.float64), classes


def _late_truth(ws: Workspace, rows: JudgedRows, as_of: datetime) -> tuple[Floats, list[str]]:
    """Weight (n,) of judged rows by how late truth comes, 0 where it is known of some classes only, and notes."""
    late = ws.examples(as_of).late_truth
    if not late.modelled or not len(rows):
        return rows.weight, []
    if late.delays is None:
        return rows.weight, [
            *late.notes,
            "Not one label came by itself: how late truth comes is not known.",
        ]
    weight = late_truth_weight(rows.table, late, ws.spec)
    told = weight[weight > 0]
    return weight, [
        *late.notes,
        f"Truth comes sooner for one class than for another: {len(told):,} judged rows are weighted by the chance that "
        f"their truth is known by now, and count as much as {effective_rows(told) if len(told) else 0:,.0f}.",
    ]
