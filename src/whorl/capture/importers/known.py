"""Which records are in the lake already: by what they say, not by where they were read.

Exports of other tools overlap, and grow from run to run. A label, a signal or a step is known by its id. A prediction is
known when each field that it brings is there under its id: one that completes another is new, and comes once.
"""

import pyarrow as pa
import pyarrow.compute as pc

from whorl.capture.mapping import Kind
from whorl.storage.sql_types import quoted
from whorl.workspace import Workspace

_INCOMING = "incoming_records"
# Every row has these, or they are no content of their own.
_NOT_CONTENT = ("id", "time", "received_at", "day", "split", "group_id", "extra")


def unknown(ws: Workspace, kind: Kind, rows: pa.Table) -> pa.Table:
    """The rows that the lake lacks, each once. Nobody else may look meanwhile, until they are appended."""
    content = (
        [name for name in rows.column_names if name not in _NOT_CONTENT] if kind == "predictions" else []
    )
    key = "id, trace_id" if kind == "spans" else "id"
    asked = {name: rows[name] for name in key.split(", ")}
    asked |= {"place": pa.array(range(rows.num_rows), pa.int64())}
    asked |= {name: pc.is_valid(rows[name]) for name in content}
    ws.engine.register(_INCOMING, pa.table(asked))
    try:
        places = ws.engine.query(_query(ws, kind, key, content, _days(rows)))["place"]
    finally:
        ws.engine.drop(_INCOMING)
    return rows if len(places) == rows.num_rows else rows.take(places)


def _query(ws: Workspace, kind: Kind, key: str, content: list[str], days: str) -> str:
    there = "".join(f", bool_or({quoted(name)} IS NOT NULL) AS {quoted(name)}" for name in content)
    fresh = "".join(f" OR {_new(name, key)}" for name in content)
    return f"""
        WITH there AS (
            SELECT {key}, true AS known{there} FROM {ws.lake.relation(kind)}
            WHERE id IN (SELECT id FROM {_INCOMING}){days} GROUP BY {key}
        )
        SELECT place FROM {_INCOMING} AS i LEFT JOIN there AS t USING ({key})
        QUALIFY (t.known IS NULL AND row_number() OVER (PARTITION BY {key} ORDER BY place) = 1){fresh}
        ORDER BY place
    """


def _new(name: str, key: str) -> str:
    """SQL: the row brings this field, and neither the lake nor a row before it does."""
    before = (
        f"bool_or(i.{quoted(name)}) OVER (PARTITION BY {key} ORDER BY place "
        "ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
    )
    return f"(i.{quoted(name)} AND NOT coalesce(t.{quoted(name)}, false) AND NOT coalesce({before}, false))"


def _days(rows: pa.Table) -> str:
    """SQL: only the days of these rows are looked into. A record without a time may lie on any day."""
    if pc.any(pc.equal(rows["time"], rows["received_at"])).as_py():
        return ""
    ends = pc.min_max(rows["day"]).as_py()
    return f" AND day BETWEEN DATE '{ends['min']}' AND DATE '{ends['max']}'"
