"""What Delta's log says of a table's Parquet files: enough to leave out those that a question does not concern."""

from collections.abc import Callable
from datetime import date, datetime, timedelta

import pyarrow as pa
from deltalake import DeltaTable

from whorl.records import Record

# Delta writes the times of its statistics in milliseconds, cut off.
_CUT_OFF = timedelta(milliseconds=1)
_NULLS = "null_count."


class StoredFile(Record, frozen=True, kw_only=True):
    """A Parquet file; `empty`: columns without a value in it, as far as the log says so."""

    path: str
    day: date
    rows: int
    empty: tuple[str, ...]


def stored_files(delta: DeltaTable, path: Callable[[str], str], after: datetime | None) -> list[StoredFile]:
    """The table's files, by path.

    Args:
        path: Makes a path out of a URI.
        after: Files of which all rows were received by then are left out.
    """
    said = pa.table(delta.get_add_actions(flatten=True)).to_pylist()
    by_name = {row["path"].rpartition("/")[2]: row for row in said}
    files = []
    for uri in sorted(delta.file_uris()):
        row = by_name[uri.rpartition("/")[2]]
        newest = row.get("max.received_at")
        if after is None or newest is None or newest + _CUT_OFF > after:
            files.append(
                StoredFile(
                    path=path(uri), day=row["partition.day"], rows=row["num_records"] or 0, empty=_empty(row)
                )
            )
    return files


def _empty(row: dict[str, object]) -> tuple[str, ...]:
    if not row["num_records"]:
        return ()
    counted = (name for name in row if name.startswith(_NULLS))
    return tuple(name.removeprefix(_NULLS) for name in counted if row[name] == row["num_records"])
