"""Runs SQL with DuckDB, in this process and out of core.

One engine a workspace. Every call has a cursor of its own, so calls from several threads do not meet; tables made here
are temporary (they live in memory, spill to `temp_dir`, and are gone with the engine) and seen by every call. The
session's time zone is UTC. SQL comes from the product; what users write is checked first, in `examples/rules.py`.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from whorl.errors import StorageError, WhorlError
from whorl.storage.sql_types import quoted, text_literal
from whorl.storage.steps import Steps, step_at, to_spark, up_to_each_step

__all__ = ["Engine", "Steps", "to_spark"]

MEMORY_LIMIT = "60%"
# Of a file that is written: so many rows are left out together where a condition allows.
ROW_GROUP_ROWS = 49_152
# A query that fails so does not fail for a file that it reads.
_NOT_FOR_A_FILE = (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException,
                   duckdb.OutOfMemoryException, duckdb.InterruptException)  # fmt: skip
_LINE = re.compile(r"^LINE (\d+):", re.MULTILINE)


class Engine:
    """DuckDB with bounds.

    Args:
        temp_dir: Where it spills what does not fit into memory.
        threads: None: one a core.
        memory_limit: Share of this machine's memory (`60%`) or a size (`4GB`).
        allowed: Directories that SQL may read and write; none given: SQL is not shut in. The list cannot change later.
    """

    def __init__(
        self,
        temp_dir: Path,
        threads: int | None = None,
        memory_limit: str | None = None,
        allowed: Sequence[Path] = (),
    ) -> None:
        self._connection = duckdb.connect(":memory:")
        self._named: set[str] = set()
        # Asked when a query may have failed for a file that it read: an error to raise in place of the engine's.
        self.explain: Callable[[], WhorlError | None] = lambda: None
        # GLOBAL: a plain SET would not reach the cursors.
        settings = [
            "SET GLOBAL TimeZone = 'UTC'",
            f"SET GLOBAL temp_directory = {text_literal(str(temp_dir))}",
            f"SET GLOBAL memory_limit = {text_literal(memory_limit or MEMORY_LIMIT)}",
            "SET GLOBAL autoinstall_known_extensions = false",
            "SET GLOBAL allow_community_extensions = false",
            "SET GLOBAL python_enable_replacements = false",
        ]
        if threads:
            settings.append(f"SET GLOBAL threads = {threads}")
        if allowed:
            listed = ", ".join(text_literal(str(path)) for path in (*allowed, temp_dir))
            # In this order: each makes the one before it final.
            settings += [
                f"SET GLOBAL allowed_directories = [{listed}]",
                "SET GLOBAL enable_external_access = false",
                "SET GLOBAL lock_configuration = true",
            ]
        for setting in settings:
            self._connection.execute(setting)

    def query(self, sql: str, params: Sequence[Any] | None = None) -> pa.Table:
        """The rows of a SELECT; `?` in it are `params`. Raises StorageError that names the step."""
        with self._cursor(sql) as cursor:
            return cursor.sql(sql, params=params or None).to_arrow_table()

    def create(self, name: str, sql: str) -> None:
        """Keep the rows of a SELECT as a temporary table; replaces one of that name."""
        head = f"CREATE OR REPLACE TABLE {quoted(name)} AS "
        with self._cursor(sql) as cursor:
            cursor.execute(head + sql)

    def write(self, path: Path, sql: str) -> int:
        """Write the rows of a SELECT, in their order, to a Parquet file; returns how many there are."""
        options = f"FORMAT parquet, COMPRESSION lz4, ROW_GROUP_SIZE {ROW_GROUP_ROWS}"
        with self._cursor(sql) as cursor:
            written = cursor.execute(f"COPY ({sql}) TO {text_literal(str(path))} ({options})").fetchall()
        return int(written[0][0])

    def name(self, name: str, sql: str) -> None:
        """Give a SELECT a name that later queries can use; it is computed when they do."""
        with self._cursor(sql) as cursor:
            cursor.execute(f"CREATE OR REPLACE VIEW {quoted(name)} AS {sql}")
        self._named.add(name)

    def register(self, name: str, rows: pa.Table) -> None:
        """Keep Arrow rows as a temporary table; replaces one of that name."""
        with self._cursor(name) as cursor:
            cursor.register("incoming_rows", rows)
            cursor.execute(f"CREATE OR REPLACE TABLE {quoted(name)} AS SELECT * FROM incoming_rows")

    def drop(self, name: str) -> None:
        """Forget a temporary table, or a named SELECT; nothing happens when there is none."""
        with self._cursor(name) as cursor:
            cursor.execute(f"DROP {'VIEW' if name in self._named else 'TABLE'} IF EXISTS {quoted(name)}")
        self._named.discard(name)

    def close(self) -> None:
        """Forget everything; nothing can be asked afterwards."""
        self._connection.close()

    @contextmanager
    def _cursor(self, sql: str) -> Iterator[duckdb.DuckDBPyConnection]:
        try:
            cursor = self._connection.cursor()
        except duckdb.Error as error:
            raise StorageError("The engine is closed.", hint="Open the workspace again.") from error
        try:
            yield cursor
        except duckdb.Error as error:
            if not isinstance(error, _NOT_FOR_A_FILE) and (explained := self.explain()):
                raise explained from error
            message = str(error)
            step = _failed_step(cursor, sql, message)
            raise StorageError(
                message.partition("\n")[0], where=f"step '{step}'" if step else "", detail=message
            ) from error
        finally:
            cursor.close()


def _failed_step(cursor: duckdb.DuckDBPyConnection, sql: str, message: str) -> str:
    """Name of the step that an error came from: by its line, else the first step that does not bind."""
    line = _LINE.search(message)
    if line:
        return step_at(sql, int(line[1]))
    for name, query in up_to_each_step(sql):
        try:
            cursor.execute(f"EXPLAIN {query}")
        except duckdb.Error:
            return name
    return ""
