"""What is handed to those who are asked for holdout truths: the inputs of each row.

Blind unless it is asked for otherwise: whoever sees what the model answered agrees with it more often, and the accuracy that
these labels tell would be too good. The chance of having been asked is left out too: it is higher where the model doubts.
"""

from collections.abc import Sequence
from datetime import datetime

import pyarrow as pa

from whorl.storage.sql_types import quoted
from whorl.storage.tables import FEATURE
from whorl.workspace import Workspace

_ANSWERED = {"binary": "score", "multiclass": "scores"}


def sheet(ws: Workspace, ids: Sequence[str], as_of: datetime, *, with_prediction: bool = False) -> pa.Table:
    """The rows with these ids, in their order.

    out: id, time, each feature by its bare name, `messages`, as a JSON list, where any were sent; with `with_prediction` also `output` and
    `score` (binary) or `scores` (multiclass).
    """
    features = [f"e.{quoted(FEATURE + name)} AS {quoted(name)}" for name in ws.spec.features]
    answered = [f"e.{name}" for name in ("output", _ANSWERED[ws.spec.task])] if with_prediction else []
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


def _with_messages(rows: pa.Table, sent: pa.Table) -> pa.Table:
    said = dict(zip(sent["id"].to_pylist(), sent["messages"].to_pylist(), strict=True))
    found = [said.get(one) for one in rows["id"].to_pylist()]
    if not any(found):
        return rows
    return rows.append_column("messages", pa.array([_list(one) for one in found], pa.string()))


def _list(messages: list[str] | None) -> str | None:
    """Each is a JSON object already."""
    return None if messages is None else f"[{', '.join(messages)}]"
