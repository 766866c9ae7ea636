"""What is handed to those who are asked for truths: the inputs of each row.

Blind unless it is asked for otherwise: whoever sees what the model answered agrees with it more often, and the accuracy that
these labels tell would be too good. The chance of having been asked is left out too: it is higher where the model doubts.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
import pyarrow as pa

from whorl.storage.sql_types import quoted
from whorl.storage.tables import FEATURE
from whorl.workspace import Workspace

_ANSWERED = {"binary": ["score"], "regression": ["score"], "multiclass": ["scores"]}


def sheet(ws: Workspace, ids: Sequence[str], as_of: datetime, *, with_prediction: bool = False) -> pa.Table:
    """The rows with these ids, in their order.

    out: id, time, each feature by its bare name, `messages`, as a JSON list, where any were sent; with `with_prediction` also `output` and
    `score` (binary, regression) or `scores` (multiclass).
    """
    features = [f"e.{quoted(FEATURE + name)} AS {quoted(name)}" for name in ws.spec.features]
    said = ["output", *_ANSWERED.get(ws.spec.task, [])] if with_prediction else []
    answered = [f"e.{name}" for name in said]
    examples = ws.examples(as_of)
    ws.engine.register("sheet_ids", pa.table({"id": pa.array(ids, pa.string()), "place": range(len(ids))}))
    try:
        rows = ws.engine.query(
            f"SELECT {', '.join(['e.id', 'e.time', *features, *answered])}\n"
            f"FROM {examples.name} e JOIN sheet_ids s ON s.id = e.id ORDER BY s.place"
        )
    finally:
        ws.engine.drop("sheet_ids")
    return _with_messages(rows, examples.messages())


def with_inputs(
    ws: Workspace, rows: pa.Table, as_of: datetime, *, with_prediction: bool = False
) -> list[dict[str, Any]]:
    """Rows that were asked for, each with `inputs` by name and `prediction`: None while whoever answers is not to see it.

    in: rows(id, ...)
    """
    handed = sheet(ws, rows["id"].to_pylist(), as_of, with_prediction=with_prediction)
    by_id = {one["id"]: one for one in handed.to_pylist(maps_as_pydicts="strict")}
    names = [*ws.spec.features, *(["messages"] if "messages" in handed.column_names else [])]
    found = []
    for row in rows.to_pylist():
        told = by_id.get(row["id"], {})
        said = [told[name] for name in ("score", "scores", "output") if told.get(name) is not None]
        row["inputs"] = {name: told.get(name) for name in names}
        if row["inputs"].get("messages"):
            row["inputs"]["messages"] = msgspec.json.decode(row["inputs"]["messages"])
        row["prediction"] = said[0] if said else None
        found.append(row)
    return found


def _with_messages(rows: pa.Table, sent: pa.Table) -> pa.Table:
    said = dict(zip(sent["id"].to_pylist(), sent["messages"].to_pylist(), strict=True))
    found = [said.get(one) for one in rows["id"].to_pylist()]
    if not any(found):
        return rows
    return rows.append_column("messages", pa.array([_list(one) for one in found], pa.string()))


def _list(messages: list[str] | None) -> str | None:
    """Each is a JSON object already."""
    return None if messages is None else f"[{', '.join(messages)}]"
