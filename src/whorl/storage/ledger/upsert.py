"""Insert or keep, insert or replace: the statements whose words differ between the databases."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Insert, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert_or_keep(conn: Connection, table: Table, row: Mapping[str, Any]) -> bool:
    """Insert unless a row with the same key is there; True when it was inserted."""
    return _count(conn, _insert(conn, table, row).on_conflict_do_nothing()) == 1


def insert_or_replace(conn: Connection, table: Table, row: Mapping[str, Any]) -> None:
    """Insert, or overwrite the other columns of the row with the same primary key."""
    statement = _insert(conn, table, row)
    key = [column.name for column in table.primary_key]
    changed = {name: statement.excluded[name] for name in row if name not in key}
    conn.execute(statement.on_conflict_do_update(index_elements=key, set_=changed))


def _count(conn: Connection, statement: Insert) -> int:
    """Rows that were inserted; unasked, SQLAlchemy lets psycopg forget their number."""
    return conn.execute(statement, execution_options={"preserve_rowcount": True}).rowcount


def _insert(conn: Connection, table: Table, row: Mapping[str, Any]) -> sqlite.Insert | postgresql.Insert:
    insert = sqlite.insert if conn.dialect.name == "sqlite" else postgresql.insert
    return insert(table).values(dict(row))
