"""A model call that was traced has two names: the id that its answer brought, and its place in the trace.

Log records and evaluations know only the place, and exported annotations only the span. The lake's `spans` say which
prediction stands there; rows that name the place read as if they had named the prediction.
"""

from datetime import datetime

from whorl.storage.lake import Lake
from whorl.storage.sql_types import instant_literal, quoted
from whorl.storage.tables import TableName

# The names by place, as `capture/conventions/telemetry.py` makes them: with the trace, and where that is not known.
PLACES = "[trace_id || '-' || id, '-' || id]"


def by_one_name(lake: Lake, table: TableName, column: str, as_of: datetime) -> str:
    """SQL table expression of a lake table, where `column` holds ids of predictions by which each is known at `as_of`."""
    rows = lake.relation(table)
    if lake.version("spans") < 0:
        return rows
    name = quoted(column)
    return (
        f"(SELECT r.* REPLACE (coalesce(o.prediction_id, r.{name}) AS {name}) FROM {rows} r LEFT JOIN "
        f"(SELECT unnest({PLACES}) AS place, min(prediction_id) AS prediction_id FROM {lake.relation('spans')} "
        f"WHERE prediction_id IS NOT NULL AND received_at <= {instant_literal(as_of)} GROUP BY place) o "
        f"ON o.place = r.{name})"
    )
