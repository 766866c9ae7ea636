"""What Delta's log says of a table's Parquet files: enough to leave out those that a question does not concern."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
from deltalake import DeltaTable

from whorl.records import Record

# Delta writes the times of its statistics in milliseconds, cut off.
_CUT_OFF_US = 1_000
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
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
    said = pa.table(delta.get_add_actions(flatten=True))
    names = [name.rpartition("/")[2] for name in said["path"].to_pylist()]
    place = {name: row for row, name in enumerate(names)}
    # As numbers: times and dates as objects would load pandas.
    newest = _numbers(said, "max.received_at")
    rows, days = _numbers(said, "num_records"), _numbers(said, "partition.day")
    nulls = {
        name.removeprefix(_NULLS): _numbers(said, name)
        for name in said.column_names
        if name.startswith(_NULLS)
    }
    since = None if after is None else (after - _EPOCH) // _MICROSECOND - _CUT_OFF_US
    files = []
    for uri in sorted(delta.file_uris()):
        row = place[uri.rpartition("/")[2]]
        latest, count = newest[row], rows[row] or 0
        if since is None or latest is None or latest > since:
            empty = tuple(name for name, missing in nulls.items() if count and missing[row] == count)
            day = _EPOCH.date() + timedelta(days=days[row] or 0)
            files.append(StoredFile(path=path(uri), day=day, rows=count, empty=empty))
    return files


def _numbers(said: pa.Table, name: str) -> list[int | None]:
    """A column as whole numbers: times in microseconds, dates in days, since 1970."""
    if name not in said.column_names:
        return [None] * said.num_rows
    column = said[name]
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", tz=column.type.tz))
    found: list[int | None] = column.cast(
        pa.int32() if pa.types.is_date32(column.type) else pa.int64()
    ).to_pylist()
    return found
