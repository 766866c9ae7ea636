"""History for a replay, out of files or of SQL queries: read once, kept nowhere, mapped by the spec like any capture.

A replay stands or falls with the time at which each label became known. Labels that do not say are only taken where the
spec's lag says it for them. Refused records never stop a replay; they are counted in the history's notes.
"""

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from whorl.capture.bulk import Bulk, Rows
from whorl.capture.importers.files import read_file
from whorl.capture.importers.sql import read_query
from whorl.capture.mapping import Kind
from whorl.capture.values import Notes
from whorl.datasets.content_hash import content_hash
from whorl.errors import SourceError
from whorl.records import Refusal
from whorl.replay.history import History
from whorl.replay.replay import digest_of
from whorl.spec import Spec
from whorl.storage.tables import TIME, lake_schemas

Read = Callable[[Spec, str], History]
Progress = Callable[[float], None]

# Later than anything in the data: a row that was "received" then did not say its time.
UNSAID = datetime(9999, 1, 1, tzinfo=UTC)
SHOWN = 3


def read_files(data: Sequence[Path], labels: Path | None = None, progress: Progress = lambda _: None) -> Read:
    """Reads predictions, with the truth in them or in a file of its own.

    Args:
        progress: Told the share of the files that has been read, in [0, 1].

    Raises (when read):
        SourceError: A file cannot be read, holds no prediction, or does not say when labels became known.
    """
    paths: list[tuple[Path, Kind | None]] = [(path, None) for path in data]
    if labels is not None:
        paths.append((labels, "labels"))

    def read(spec: Spec, holdout_key: str) -> History:
        found, digest = _Found(spec), _digest([path for path, _ in paths])
        for number, (path, kind) in enumerate(paths):
            for rows, share in read_file(path, spec, holdout_key, lambda: UNSAID, found.notes, kind):
                found.add(rows, str(path))
                progress((number + share) / len(paths))
        return found.history(digest, ", ".join(str(path) for path, _ in paths))

    return read


def read_tables(predictions: pa.Table, labels: pa.Table | None = None) -> Read:
    """Reads Arrow tables of raw records: what a notebook holds.

    Raises (when read):
        SourceError: As `read_files`.
    """
    tables: list[tuple[Kind, pa.Table]] = [("predictions", predictions)]
    if labels is not None:
        tables.append(("labels", labels))

    def read(spec: Spec, holdout_key: str) -> History:
        found, bulk = _Found(spec), Bulk(spec, holdout_key)
        for kind, table in tables:
            found.add(
                bulk.rows(kind, table, UNSAID, found.notes, range(table.num_rows)), f"the table of {kind}"
            )
        return found.history(None, "the table of predictions")

    return read


def read_sql(url: str, query: str, labels_query: str | None = None) -> Read:
    """Reads predictions from a query, with the truth in them or in a second query.

    Raises (when read):
        SourceError: As `read_files`.
    """
    queries: list[tuple[str, Kind]] = [(query, "predictions")]
    if labels_query is not None:
        queries.append((labels_query, "labels"))

    def read(spec: Spec, holdout_key: str) -> History:
        found = _Found(spec)
        for text, kind in queries:
            for rows in read_query(url, text, spec, holdout_key, UNSAID, found.notes, kind):
                found.add(rows, f"the query of {kind}")
        return found.history(None, "the query of predictions")

    return read


class _Found:
    """What has been read so far."""

    def __init__(self, spec: Spec) -> None:
        self.spec, self.notes = spec, Notes()
        self._tables: dict[Kind, list[pa.Table]] = {"predictions": [], "labels": [], "feedback": []}
        self._refused: dict[str, list[Refusal]] = {}
        self._refusals: dict[str, int] = {}

    def add(self, rows: Rows, source: str) -> None:
        for kind, table in rows.tables.items():
            self._tables[kind].append(table)
        first = self._refused.setdefault(source, [])
        first += rows.refused[: SHOWN - len(first)]
        self._refusals[source] = self._refusals.get(source, 0) + len(rows.refused)

    def history(self, digest: str | None, where: str) -> History:
        predictions = self._timed(_one_row_an_id(self._table("predictions")))
        if not predictions.num_rows:
            raise SourceError(
                "There is no prediction in it.", where=where, hint=" ".join(self._refusal_lines()) or
                "Check [schema]: which columns are the id, the time and the features.",
            )  # fmt: skip
        labels = self._known(self._table("labels"), predictions, where)
        rows_digest = digest or _rows_digest(predictions, labels)
        return History.of(predictions, labels, rows_digest, [*self.notes.lines(), *self._refusal_lines()])

    def _table(self, kind: Kind) -> pa.Table:
        empty = lake_schemas(self.spec)[kind].empty_table()
        return pa.concat_tables([empty, *self._tables[kind]]).combine_chunks()

    def _timed(self, predictions: pa.Table) -> pa.Table:
        said = pc.not_equal(predictions["time"], pa.scalar(UNSAID, TIME))
        timed = predictions.filter(said)
        if timed.num_rows < predictions.num_rows:
            self.notes["{n} answer(s) belong to no prediction with a time, and were left out."] += (
                predictions.num_rows - timed.num_rows
            )
        return timed

    def _known(self, labels: pa.Table, predictions: pa.Table, where: str) -> pa.Table:
        """The labels, each with the time at which it became known."""
        unsaid = pc.equal(labels["time"], pa.scalar(UNSAID, TIME))
        n = int(pc.sum(unsaid).as_py() or 0)
        if not n:
            return labels
        lag = self.spec.labels.lag
        if lag.seconds > 0 and self.spec.labels.on == ["id"]:
            self.notes[f"{{n}} label(s) do not say when they became known: taken as known {lag} ([labels] lag) "
                       "after their prediction."] += n  # fmt: skip
            place = pc.index_in(labels["prediction_id"], value_set=predictions["id"].combine_chunks())
            due = pc.add(predictions["time"].take(place), pa.scalar(lag.span, pa.duration("us")))
            timed = _at(labels, pc.if_else(unsaid, due, labels["time"]))
            return timed.filter(pc.is_valid(timed["time"]))
        if n == labels.num_rows:
            raise SourceError(
                "No label says when it became known, which is what a replay is about.",
                where=where,
                hint="Name the column in [schema] label_time; or, where truth always comes after the same time, set "
                "[labels] lag to it.",
            )
        self.notes["{n} label(s) do not say when they became known, and were left out."] += n
        return labels.filter(pc.invert(unsaid))

    def _refusal_lines(self) -> list[str]:
        return [
            f"{self._refusals[source]:,} record(s) of {source} were refused: "
            + " ".join(f"line {one.index}: {one.message} {one.hint}".rstrip() for one in first)
            + (" ..." if self._refusals[source] > len(first) else "")
            for source, first in self._refused.items()
            if first
        ]


def _one_row_an_id(predictions: pa.Table) -> pa.Table:
    """Records of one id completed into one row: the first value of each column stays, in the order they were read."""
    seen = predictions["id"].combine_chunks().value_counts()
    repeated = seen.field("values").filter(pc.greater(seen.field("counts"), 1))
    if not len(repeated):
        return predictions
    again = pc.is_in(predictions["id"], value_set=repeated)
    whole: dict[str, dict[str, object]] = {}
    # A record with its own time says which split and which day it belongs to.
    for row in sorted(predictions.filter(again).to_pylist(), key=lambda row: row["time"] == UNSAID):
        kept = whole.setdefault(row["id"], row)
        kept.update({name: value for name, value in row.items() if kept[name] is None})
    completed = pa.Table.from_pylist(list(whole.values()), predictions.schema)
    return pa.concat_tables([predictions.filter(pc.invert(again)), completed])


def _at(labels: pa.Table, times: pa.ChunkedArray) -> pa.Table:
    columns = {"time": times.cast(TIME), "day": times.cast(pa.date32())}
    for name, values in columns.items():
        labels = labels.set_column(labels.schema.get_field_index(name), name, values)
    return labels


def _digest(paths: Sequence[Path]) -> str:
    try:
        return digest_of(*paths)
    except OSError as error:
        raise SourceError(f"The file cannot be read: {error.strerror}.", where=str(error.filename)) from error


def _rows_digest(*tables: pa.Table) -> str:
    """sha256 over the rows, whatever their order; how they are split into holdout and training is no part of it."""
    sha = hashlib.sha256()
    for table in tables:
        kept = table.drop_columns([name for name in ("split", "received_at") if name in table.column_names])
        sha.update(content_hash(kept, by=("id", "time")).encode())
    return sha.hexdigest()
