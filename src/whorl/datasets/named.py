"""Datasets with a purpose of their own: edge cases (every case of a reason) and golden rows (what must never go wrong).

Golden rows are fixed when the set is made and never trained on from then; rows that were trained on before cannot become
golden.
"""

from datetime import datetime

import pyarrow as pa

from whorl.datasets.build import TRAINING, member_rows, publish
from whorl.errors import NotFound, StateError
from whorl.examples.rules import check_sql
from whorl.records import DatasetVersion
from whorl.storage import dataset_versions
from whorl.workspace import Workspace


def make_edge_set(ws: Workspace, reason: str, as_of: datetime, *, name: str | None = None) -> DatasetVersion:
    """All cases so far that have a reason, as the next version of `edge-<reason>`. Raises NotFound when there are none."""
    found = ws.engine.query(
        "SELECT id, 'edge' AS role, ? AS reason, 1.0::DOUBLE AS probability "
        f"FROM {ws.lake.relation('cases')} WHERE list_contains(reasons, ?) OR reason = ? GROUP BY id ORDER BY id",
        [reason, reason, reason],
    )
    if not found.num_rows:
        known = ws.engine.query(f"SELECT DISTINCT reason FROM {ws.lake.relation('cases')} ORDER BY 1")[
            "reason"
        ].to_pylist()
        raise NotFound(
            f"No case has the reason '{reason}'.",
            where=ws.name,
            hint=f"Reasons so far: {', '.join(known) or 'none'}.",
        )
    return _make(ws, name or f"edge-{reason}", found, as_of)


def make_golden_set(
    ws: Workspace, name: str, as_of: datetime, *, where: str | None = None, ids: list[str] | None = None
) -> DatasetVersion:
    """Fix labelled rows as the golden set `name`: those of a rule's condition, or by id.

    Raises:
        RuleError: The condition is not allowed.
        StateError: The set exists, or every row of it was trained on already.
    """
    if name == TRAINING or any(d.name == name for d, _ in dataset_versions.versions(ws.ledger, ws.name)):
        raise StateError(
            f"There is a dataset '{name}' already.",
            where=ws.name,
            hint="A golden set is fixed; choose another name.",
        )
    condition = check_sql(where, ws.spec, "condition") if where else "list_contains(?, id)"
    found = ws.engine.query(
        "SELECT id, 'golden' AS role, 'golden' AS reason, 1.0::DOUBLE AS probability "
        f"FROM {ws.examples(as_of).name} WHERE status IN ('known', 'defaulted') AND ({condition}) "
        f"AND id NOT IN (SELECT id FROM {ws.lake.relation('members')} WHERE dataset = '{TRAINING}') ORDER BY id",
        None if where else [ids or []],
    )
    if not found.num_rows:
        raise StateError(
            "No labelled row is left for this golden set: none fits, or all were trained on.",
            where=name, hint="Golden rows are chosen before they are trained on; widen the condition.",
        )  # fmt: skip
    return _make(ws, name, found, as_of)


def declared_golden_set(ws: Workspace, as_of: datetime) -> DatasetVersion | None:
    """Fix the rows of `[curate.golden]` from the holdout, once there are any; None when there is nothing to do."""
    declared = ws.spec.curate.golden
    if declared is None or any(
        d.name == declared.name for d, _ in dataset_versions.versions(ws.ledger, ws.name)
    ):
        return None
    condition = check_sql(declared.when, ws.spec, "condition")
    found = ws.engine.query(
        "SELECT id, 'golden' AS role, 'golden' AS reason, 1.0::DOUBLE AS probability "
        f"FROM {ws.examples(as_of).name} WHERE split = 'holdout' AND status IN ('known', 'defaulted') AND ({condition}) "
        f"ORDER BY md5(id || '{ws.spec.train.seed}'), id LIMIT {declared.rows}"
    )
    return _make(ws, declared.name, found, as_of) if found.num_rows else None


def _make(ws: Workspace, name: str, chosen: pa.Table, as_of: datetime) -> DatasetVersion:
    version = dataset_versions.next_version(ws.ledger, ws.name, name)
    rows = member_rows(ws, chosen, name, version, as_of, None)
    ws.lake.append("members", rows, app=f"members/{name}", version=version)
    return publish(ws, name, version, as_of)
