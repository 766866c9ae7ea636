"""Hand a dataset version out: a Parquet, CSV or NDJSON file, or a table of the company's own database."""

from pathlib import Path

import pyarrow as pa
from sqlalchemy import Boolean, Column, DateTime, Double, MetaData, Table, Text, insert
from sqlalchemy.exc import SQLAlchemyError

from whorl.datasets.build import rows_of
from whorl.errors import SourceError
from whorl.storage.company_database import engine_of
from whorl.storage.row_file import BATCH, check_writable, write_rows
from whorl.workspace import Workspace


def export_file(ws: Workspace, ref: str, path: Path) -> int:
    """Write the rows to a file whose suffix names the format; returns how many. The file appears whole or not at all.

    Raises:
        SourceError: No such format or folder, or the file cannot be written.
    """
    check_writable(path)
    rows = rows_of(ws, ref)
    write_rows(rows, path)
    return int(rows.num_rows)


def export_table(ws: Workspace, ref: str, url: str, table_name: str) -> int:
    """Write the rows into a new table by one transaction; returns how many. An existing table is refused."""
    rows = rows_of(ws, ref)
    schema, _, name = table_name.rpartition(".")
    table = Table(name, MetaData(), *(_column(field) for field in rows.schema), schema=schema or None)
    engine = engine_of(url)
    try:
        with engine.begin() as connection:
            table.create(connection)
            for batch in rows.to_batches(max_chunksize=BATCH):
                connection.execute(insert(table), batch.to_pylist())
    except SQLAlchemyError as error:
        raise SourceError(
            f"The table could not be written: {getattr(error, 'orig', None) or error}.",
            where=table_name,
            hint="Whorl writes into a new table: drop the old one or choose another name.",
        ) from error
    finally:
        engine.dispose()
    return int(rows.num_rows)


def _column(field: pa.Field) -> Column[object]:
    kind = field.type
    if pa.types.is_boolean(kind):
        return Column(field.name, Boolean)
    if pa.types.is_floating(kind) or pa.types.is_integer(kind):
        return Column(field.name, Double)
    if pa.types.is_timestamp(kind):
        return Column(field.name, DateTime(timezone=True))
    return Column(field.name, Text)
