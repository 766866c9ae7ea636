"""What changed between two versions of a dataset: rows that came, went, or have another label now."""

import pyarrow as pa

from whorl.datasets.build import rows_of
from whorl.records import Record
from whorl.workspace import Workspace


class Difference(Record, frozen=True, kw_only=True):
    """Counts of rows by what happened to them, and up to 20 ids of each."""

    added: int
    removed: int
    relabelled: int
    unchanged: int
    examples: dict[str, list[str]]


def difference(ws: Workspace, old: str, new: str) -> Difference:
    """Compare two versions, named by id or `name@version`."""
    ws.engine.register("old_rows", _labelled(rows_of(ws, old)))
    ws.engine.register("new_rows", _labelled(rows_of(ws, new)))
    found = ws.engine.query(
        "SELECT coalesce(n.id, o.id) AS id, CASE WHEN o.id IS NULL THEN 'added' WHEN n.id IS NULL THEN 'removed' "
        "WHEN o.label IS DISTINCT FROM n.label THEN 'relabelled' ELSE 'unchanged' END AS what "
        "FROM old_rows o FULL JOIN new_rows n ON o.id = n.id AND o.role = n.role ORDER BY 1"
    )
    ids: dict[str, list[str]] = {"added": [], "removed": [], "relabelled": [], "unchanged": []}
    for row in found.to_pylist():
        ids[row["what"]].append(row["id"])
    return Difference(
        added=len(ids["added"]),
        removed=len(ids["removed"]),
        relabelled=len(ids["relabelled"]),
        unchanged=len(ids["unchanged"]),
        examples={what: found[:20] for what, found in ids.items() if what != "unchanged"},
    )


def _labelled(rows: pa.Table) -> pa.Table:
    return rows.select(["id", "role", "label"])
