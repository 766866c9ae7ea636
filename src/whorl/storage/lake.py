"""The lake: one flywheel's captured and chosen rows as Delta tables, partitioned by day.

Appends happen exactly once: each names an application and its batch number, which Delta records in the same commit as
the rows. Columns and types come from the spec (`tables.py`); what does not fit is refused before a byte is written
(`fit.py`). Delta is read here for its list of files only: rows are read by the engine, as SQL over `relation`.
Any Delta reader (Spark, Trino, Polars, DuckDB) can read the same folders.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, SchemaMismatchError, TableNotFoundError

from whorl.errors import StorageError
from whorl.spec import Spec
from whorl.storage.fit import fit_rows, fit_stored
from whorl.storage.on_disk import sync_commits, sync_table
from whorl.storage.sql_types import empty_relation, file_literal, quoted, sql_type
from whorl.storage.stored_files import StoredFile, stored_files
from whorl.storage.tables import TABLES, TableName, lake_schemas

ATTEMPTS = 8
# Characters in a path that the Delta or the Parquet reader takes for something else.
UNREADABLE = "[]%\\="
# Files that compaction replaced are kept this long, for readers that listed them before.
RETENTION = timedelta(days=1)
# An append makes a file a day: so many of so few rows are better made less often.
MANY_DAYS, FEW_ROWS = 16, 1_000
# Files are merged up to this size: merging holds one of them in memory.
FILE_BYTES = 64 << 20
_CONFIGURATION = {
    "delta.deletedFileRetentionDuration": "interval 1 days",
    "delta.logRetentionDuration": "interval 1 days",
}


class Lake:
    """One flywheel's tables.

    Args:
        root: Directory, or an object-store URI (`s3://...`), under which each flywheel has its folder.
        flywheel: Its name.
        spec: Decides columns and types.
        ledger_uuid: Part of every application id, so that another ledger's batch numbers are never taken for ours.
        storage_options: Credentials and settings of the object store, as `deltalake` takes them. DuckDB must then be
            able to read the URIs as well.
    """

    def __init__(
        self,
        root: str | Path,
        flywheel: str,
        spec: Spec,
        ledger_uuid: str,
        storage_options: dict[str, str] | None = None,
    ) -> None:
        self.location = f"{str(root).rstrip('/')}/{flywheel}"
        self._local = "://" not in self.location
        self._schemas = lake_schemas(spec)
        self._ledger_uuid = ledger_uuid
        self._storage_options = storage_options
        self._wide_enough: set[TableName] = set()
        # Versions up to which this handle has seen to it that they are on the disk.
        self._synced: dict[TableName, int] = {}
        # That this handle has added since it last maintained the tables.
        self.new_files = 0
        # Tables whose last append brought few rows each to many days.
        self.scattered: set[TableName] = set()
        if self._local and any(character in self.location for character in UNREADABLE):
            raise StorageError(
                f"The path has one of the characters {' '.join(UNREADABLE)}, which table readers misread.",
                where=self.location,
                hint="Put the workspace into another directory.",
            )

    def append(self, table: TableName, rows: pa.Table, app: str, version: int) -> bool:
        """Append rows once, however often it is called with the same `app` and `version`.

        Args:
            rows: Columns of the table, in any order; nullable ones may be left out.
            app: Who writes, such as `inbox/predictions/0`; its versions only grow.
            version: Number of this batch; at or below the last one written, nothing happens.

        Returns:
            Whether rows were written by this call.

        Raises:
            SchemaMismatch: Rows do not fit; nothing was written.
            StorageError: The table cannot be written.
        """
        rows = fit_rows(table, rows, self._schemas[table])
        name = self._transaction(app)
        with self._translated(table):
            for _ in range(ATTEMPTS):
                # The write goes on from this very handle: a commit of the same batch after it is a conflict.
                delta = self._open(table) or self._create(table)
                written = delta.transaction_version(name)
                if written is not None and written >= version:
                    return False
                try:
                    self._write(table, delta, rows, Transaction(name, version))
                except (CommitFailedError, SchemaMismatchError):
                    continue  # Another writer was first: look again at what is there.
                self._note(table, rows)
                return True
        raise self._lost(table)

    def appended(self, table: TableName, app: str) -> int:
        """The number of the last batch of an application; -1 when it has appended none."""
        with self._translated(table):
            delta = self._open(table)
            written = None if delta is None else delta.transaction_version(self._transaction(app))
            return -1 if written is None else int(written)

    def sync(self, table: TableName) -> None:
        """Return when everything appended so far outlives a power cut. An object store sees to that by itself.

        Raises:
            StorageError: The disk failed.
        """
        if not self._local:
            return
        with self._translated(table):
            path, since = Path(self._at(table)), self._synced.get(table)
            upto = None if since is None else sync_commits(path, since)
            if upto is None and (delta := self._open(table)) is not None:
                upto = int(delta.version())
                sync_table(path, [Path(file) for file in self._files(delta)], upto)
            if upto is not None:
                self._synced[table] = upto

    def must_widen(self, table: TableName) -> bool:
        """Whether the spec gives a stored column a wider type; columns never become narrower again."""
        if table in self._wide_enough:
            return False
        with self._translated(table):
            delta = self._open(table)
            if delta is None or self._wider(table, delta) is not None:
                return delta is not None
        self._wide_enough.add(table)
        return False

    def widen(self, table: TableName) -> None:
        """Rewrite a table with the spec's wider types. Appends by others would win over it again and again.

        Raises:
            StorageError: The table cannot be written.
        """
        with self._translated(table):
            for _ in range(ATTEMPTS):
                delta = self._open(table)
                wider = None if delta is None else self._wider(table, delta)
                if delta is None or wider is None:
                    return
                try:
                    _widen(delta, wider)
                except CommitFailedError:
                    continue
                return
        raise self._lost(table)

    def version(self, table: TableName) -> int:
        """The table's Delta version; -1 when nothing was written yet."""
        with self._translated(table):
            delta = self._open(table)
            return -1 if delta is None else int(delta.version())

    def identity(self, table: TableName) -> str:
        """A name that another table at this place would not have; empty when nothing was written yet."""
        with self._translated(table):
            delta = self._open(table)
            return "" if delta is None else str(delta.metadata().id)

    def files(self, table: TableName) -> list[str]:
        """Paths (or URIs) of the Parquet files that hold the current rows, sorted."""
        with self._translated(table):
            delta = self._open(table)
            return [] if delta is None else self._files(delta)

    def relation(
        self, table: TableName, after: datetime | None = None, days: tuple[date, date] | None = None
    ) -> str:
        """SQL table expression of the current rows, with the spec's columns and types.

        A table that is empty, or older than some of the spec's columns, reads as if it had them. The files are those of
        this moment: what is appended later is not seen. Raises SchemaMismatch when values would be lost.

        Args:
            after: Files all of whose rows were received by then are left out.
            days: Files of days before the first and after the last of these are left out.
        """
        files = self.stored_files(table, after)
        if days is not None:
            files = [file for file in files if days[0] <= file.day <= days[1]]
        return self.relation_of(table, files)

    def parts(self, table: TableName, after: datetime | None, rows: int) -> Iterator[str]:
        """As `relation`, some files at a time, which together hold `rows` rows or a little more."""
        part: list[StoredFile] = []
        for file in self.stored_files(table, after):
            part.append(file)
            if sum(one.rows for one in part) >= rows:
                yield self.relation_of(table, part)
                part = []
        if part:
            yield self.relation_of(table, part)

    def stored_files(self, table: TableName, after: datetime | None = None) -> list[StoredFile]:
        """The Parquet files that hold the current rows, and what Delta's log says of each, sorted by path."""
        with self._translated(table):
            delta = self._open(table)
            return [] if delta is None else stored_files(delta, self._path, after)

    def relation_of(self, table: TableName, files: Sequence[StoredFile]) -> str:
        """As `relation`, of some of the files."""
        schema = self._schemas[table]
        with self._translated(table):
            delta = self._open(table)
            if delta is None or not files:
                return empty_relation(schema)
            stored = _arrow_schema(delta)
        fit_stored(table, stored, schema)
        empty = set.intersection(*(set(file.empty) for file in files))
        columns = ", ".join(_column(field, stored, field.name in empty) for field in schema)
        listed = ", ".join(file_literal(file.path) for file in files)
        return (
            f"(SELECT {columns} FROM read_parquet([{listed}], union_by_name = true, "
            "hive_partitioning = true, hive_types = {'day': DATE}))"
        )

    def maintain(self, keep: timedelta = RETENTION) -> dict[TableName, int]:
        """Merge small files, remove what nobody reads any more, shorten the logs; safe beside readers and appends.

        Args:
            keep: Files replaced longer ago than this are removed, by the machine's clock.

        Returns:
            Files merged away, by table.
        """
        merged: dict[TableName, int] = {}
        self.new_files = 0
        for table in TABLES:
            with self._translated(table):
                delta = self._open(table)
                if delta is None:
                    continue
                merged[table] = _merge(delta)
                hours = int(keep.total_seconds() // 3600)
                delta.vacuum(retention_hours=hours, dry_run=False, enforce_retention_duration=False)
                delta.create_checkpoint()
                self.sync(table)
                delta.cleanup_metadata()
        return merged

    def _transaction(self, app: str) -> str:
        return f"{self._ledger_uuid}/{app}"

    def _at(self, table: TableName) -> str:
        return f"{self.location}/{table}"

    def _open(self, table: TableName) -> DeltaTable | None:
        try:
            return DeltaTable(self._at(table), storage_options=self._storage_options)
        except TableNotFoundError:
            return None

    def _create(self, table: TableName) -> DeltaTable:
        return DeltaTable.create(
            self._at(table),
            self._schemas[table],
            mode="ignore",
            partition_by=["day"],
            configuration=_CONFIGURATION,
            storage_options=self._storage_options,
        )

    def _write(self, table: TableName, delta: DeltaTable, rows: pa.Table, transaction: Transaction) -> None:
        if (wider := self._wider(table, delta)) is not None:
            _widen(delta, wider)
        stored = _arrow_schema(delta)
        whole = fit_stored(table, stored, self._schemas[table], adding=True)
        write_deltalake(
            delta,
            fit_rows(table, rows, whole),
            mode="append",
            schema_mode="merge" if len(whole) > len(stored) else None,
            commit_properties=CommitProperties(app_transactions=[transaction]),
        )

    def _note(self, table: TableName, rows: pa.Table) -> None:
        days = len(pc.unique(rows["day"]))
        self.new_files += days
        if days > MANY_DAYS and rows.num_rows < days * FEW_ROWS:
            self.scattered.add(table)
        else:
            self.scattered.discard(table)

    def _wider(self, table: TableName, delta: DeltaTable) -> pa.Schema | None:
        """The stored columns with the types that the spec widens; None when it widens none."""
        stored = _arrow_schema(delta)
        whole = fit_stored(table, stored, self._schemas[table], adding=True)
        wider = pa.schema([whole.field(name) for name in stored.names])
        return wider if wider.types != stored.types else None

    def _lost(self, table: TableName) -> StorageError:
        return StorageError(
            f"{ATTEMPTS} attempts to write lost against other writers.",
            where=self._at(table),
            hint="Try again.",
        )

    def _files(self, delta: DeltaTable) -> list[str]:
        return [self._path(uri) for uri in sorted(delta.file_uris())]

    def _path(self, uri: str) -> str:
        # Local paths come percent-encoded.
        return unquote(uri.removeprefix("file://")) if self._local else uri

    @contextmanager
    def _translated(self, table: TableName) -> Iterator[None]:
        try:
            yield
        except (DeltaError, OSError) as error:
            raise StorageError(
                f"The table cannot be read or written: {error}.",
                where=self._at(table),
                hint="Look at the disk's space and rights, then try again.",
            ) from error


def _widen(delta: DeltaTable, schema: pa.Schema) -> None:
    """Rewrite the table with wider column types, in one commit; Delta cannot change a type in place."""
    batches = delta.to_pyarrow_dataset().scanner(columns=schema.names).to_reader()
    wide = pa.RecordBatchReader.from_batches(schema, (batch.cast(schema) for batch in batches))
    write_deltalake(delta, wide, mode="overwrite", schema_mode="overwrite")


def _merge(delta: DeltaTable) -> int:
    """Merge a table's small files; returns how many. Other writers go on, and at worst it is tried again."""
    for _ in range(ATTEMPTS):
        try:
            done = delta.optimize.compact(target_size=FILE_BYTES, max_concurrent_tasks=1)
        except CommitFailedError:
            delta.update_incremental()
            continue
        return int(done["numFilesRemoved"])
    return 0


def _arrow_schema(delta: DeltaTable) -> pa.Schema:
    """The stored columns; lists and maps as pyarrow names them, so that equal types compare equal."""
    return pa.schema([_plain(field) for field in pa.schema(delta.schema().to_arrow())])


def _plain(field: pa.Field) -> pa.Field:
    kind = field.type
    if pa.types.is_map(kind):
        kind = pa.map_(kind.key_type, kind.item_type)
    elif pa.types.is_list(kind):
        kind = pa.list_(kind.value_type)
    return pa.field(field.name, kind, nullable=field.nullable)


def _column(field: pa.Field, stored: pa.Schema, empty: bool) -> str:
    name, kind = quoted(field.name), sql_type(field.type)
    if field.name not in stored.names or empty:
        return f"NULL::{kind} AS {name}"
    return name if stored.field(field.name).type == field.type else f"{name}::{kind} AS {name}"
