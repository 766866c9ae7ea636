"""How the lake's column types are called in DuckDB's SQL."""

from datetime import datetime

import pyarrow as pa

_NAMES = {
    pa.bool_(): "BOOLEAN",
    pa.int64(): "BIGINT",
    pa.float64(): "DOUBLE",
    pa.string(): "VARCHAR",
    pa.date32(): "DATE",
    pa.timestamp("us", tz="UTC"): "TIMESTAMPTZ",
}


def sql_type(kind: pa.DataType) -> str:
    """The SQL name of one of the lake's types (see `tables.py`); KeyError for any other.

    >>> sql_type(pa.map_(pa.string(), pa.float64()))
    'MAP(VARCHAR, DOUBLE)'
    """
    if pa.types.is_map(kind):
        return f"MAP({sql_type(kind.key_type)}, {sql_type(kind.item_type)})"
    if pa.types.is_list(kind):
        return f"{sql_type(kind.value_type)}[]"
    return _NAMES[kind]


def empty_relation(schema: pa.Schema) -> str:
    """SQL table expression with these columns and no rows."""
    columns = ", ".join(f"NULL::{sql_type(field.type)} AS {quoted(field.name)}" for field in schema)
    return f"(SELECT {columns} WHERE false)"


def quoted(name: str) -> str:
    """An identifier, whatever characters it has.

    >>> quoted('Amount "net"')
    '"Amount ""net\"""'
    """
    return '"' + name.replace('"', '""') + '"'


def instant_literal(when: datetime) -> str:
    """A time constant.

    >>> instant_literal(datetime.fromisoformat("2026-01-01T00:00Z"))
    "TIMESTAMPTZ '2026-01-01T00:00:00+00:00'"
    """
    return f"TIMESTAMPTZ '{when.isoformat()}'"


def text_literal(text: str) -> str:
    """A string constant.

    >>> text_literal("O'Neill")
    "'O''Neill'"
    """
    return "'" + text.replace("'", "''") + "'"


def file_literal(path: str) -> str:
    """A string constant of one file's path, for functions that take patterns.

    >>> file_literal("/data/what?/rows.parquet")
    "'/data/what[?]/rows.parquet'"
    """
    return text_literal(path.replace("*", "[*]").replace("?", "[?]"))
