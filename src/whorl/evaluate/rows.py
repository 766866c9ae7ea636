"""The rows that judge: holdout examples whose truth is known, nobody trained on, each with the weight that makes them
stand for all holdout rows although some classes' truth comes sooner than others'.
"""

from datetime import datetime, timedelta

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from whorl.spec import Spec
from whorl.storage.tables import FEATURE
from whorl.workspace import Workspace

Floats = npt.NDArray[np.float64]


class JudgedRows(msgspec.Struct, frozen=True):
    """Rows in order of time, with truth and weight (n,), and how many holdout rows could not judge, by why."""

    table: pa.Table
    truth: Floats
    classes: tuple[str, ...]
    weight: Floats
    group: npt.NDArray[np.object_]
    left_out: dict[str, int]
    notes: list[str]

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

    Left out and counted: rows without truth, rows younger than the maturity lag, rows the champion was trained on
    elsewhere (`[champion] trained_through`), golden rows, rows outside `[evaluate] window`.
    """
    spec, examples = ws.spec, ws.examples(as_of)
    reasons = [
        ("no truth yet", "status NOT IN ('known', 'defaulted')"),
        ("immature", f"age_days < {spec.labels.lag.days}"),
        ("golden", f"id IN (SELECT id FROM {ws.lake.relation('members')} WHERE role = 'golden')"),
    ]
    if spec.evaluate.window is not None:
        reasons.append(("outside the window", f"age_days > {spec.evaluate.window.days}"))
    if spec.champion.trained_through is not None:
        reasons.append(
            ("the champion was trained on it", f"time <= TIMESTAMPTZ '{spec.champion.trained_through}'")
        )
    why = " ".join(f"WHEN {condition} THEN '{reason}'" for reason, condition in reasons)
    ws.engine.create(
        "holdout_rows",
        f"SELECT *, CASE {why} END AS left_out FROM {examples.name} WHERE {_judging(spec, as_of)}",
    )
    counted = ws.engine.query(
        "SELECT left_out, count(*) AS n FROM holdout_rows WHERE left_out IS NOT NULL GROUP BY 1"
    )
    rows = _with_truth(ws, "holdout_rows", "left_out IS NULL")
    weight, notes = late_truth_weight(ws, rows, examples.name)
    return msgspec.structs.replace(
        rows,
        weight=weight,
        left_out={row["left_out"]: row["n"] for row in counted.to_pylist()},
        notes=[*notes, *_notes(spec)],
    )


def rows_with_truth(ws: Workspace, as_of: datetime, condition: str) -> JudgedRows:
    """Examples with known truth that fulfil an SQL condition, each counting once."""
    return _with_truth(ws, ws.examples(as_of).name, f"status IN ('known', 'defaulted') AND ({condition})")


def _with_truth(ws: Workspace, relation: str, condition: str) -> JudgedRows:
    table = ws.engine.query(f"SELECT * FROM {relation} WHERE {condition} ORDER BY time, id")
    truth, classes = _truth(table, ws.spec)
    return JudgedRows(table, truth, classes, np.ones(len(truth)), _groups(table), {}, [])


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


def _groups(table: pa.Table) -> npt.NDArray[np.object_]:
    groups, ids = table["group_id"].to_pylist(), table["id"].to_pylist()
    return np.array([g if g is not None else i for g, i in zip(groups, ids, strict=True)], dtype=object)


def late_truth_weight(ws: Workspace, rows: JudgedRows, examples: str) -> tuple[Floats, list[str]]:
    """Weight (n,) of judged rows: 1, or with delay = 'survival' one over the chance that such a truth is known by now."""
    return rows.weight, []
