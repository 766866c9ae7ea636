"""Do these rows fit that table? Decided before anything is written: the lake's writer would truncate 7.9 to 7 in silence.

Only conversions that lose nothing are made. Three schemas meet here: of the rows, of the spec, and of what is stored.
"""

import pyarrow as pa

from whorl.errors import SchemaMismatch, did_you_mean
from whorl.storage.sql_types import sql_type


def fit_rows(table: str, rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """The rows with exactly the schema's columns and types, absent nullable columns as NULL.

    Raises SchemaMismatch for an unknown column, a value that would change, or NULL where a value is needed.
    """
    for name in rows.column_names:
        if name not in schema.names:
            raise SchemaMismatch(
                f"Table '{table}' has no column '{name}'.", where=table, hint=did_you_mean(name, schema.names)
            )
    columns = [
        _fit_column(table, rows[field.name], field)
        if field.name in rows.column_names
        else pa.chunked_array([pa.nulls(rows.num_rows, field.type)])
        for field in schema
    ]
    for field, column in zip(schema, columns, strict=True):
        if not field.nullable and column.null_count:
            raise SchemaMismatch(
                f"Column '{field.name}' is empty in {column.null_count} of {rows.num_rows} rows.",
                where=table,
                hint="Every row needs a value there.",
            )
    return pa.table(columns, schema=schema)


def fit_stored(table: str, stored: pa.Schema, wanted: pa.Schema, *, adding: bool = False) -> pa.Schema:
    """What the table is to look like: stored columns first, with the wanted type where that widens, then new ones.

    Args:
        adding: Rows are only added: a column that is stored wider (by a process of a newer spec) stays so.

    Raises SchemaMismatch when a stored column would have to lose values.
    """
    fields = [
        _fit_field(table, field, wanted.field(field.name), adding) if field.name in wanted.names else field
        for field in stored
    ]
    return pa.schema([*fields, *(field for field in wanted if field.name not in stored.names)])


def _fit_field(table: str, stored: pa.Field, wanted: pa.Field, adding: bool) -> pa.Field:
    if stored.type == wanted.type or _widens(stored.type, wanted.type):
        return wanted
    if adding and _widens(wanted.type, stored.type):
        return stored
    bare = wanted.name.removeprefix("f_")
    raise SchemaMismatch(
        f"Column '{wanted.name}' is stored as {sql_type(stored.type)}; "
        f"the spec now makes it {sql_type(wanted.type)}.",
        where=table,
        hint=f'Take the change back, or declare it under a new name with path = "{bare}"; '
        "a new task or label type needs a new flywheel.",
    )


def _widens(kind: pa.DataType, wanted: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) and wanted == pa.float64())


def _fit_column(table: str, column: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    if column.type == field.type:
        return column
    if not _may_become(column.type, field.type):
        raise SchemaMismatch(
            f"Column '{field.name}' is {column.type}; the table needs {field.type}.",
            where=table,
            hint="Change the values, or the feature's type in flywheel.toml.",
        )
    try:
        return column.cast(field.type)
    except pa.ArrowInvalid as error:
        raise SchemaMismatch(
            f"Column '{field.name}' holds a value that {field.type} cannot hold: {error}.",
            where=table,
            hint="Change the values, or the feature's type in flywheel.toml.",
        ) from None


def _may_become(kind: pa.DataType, wanted: pa.DataType) -> bool:
    is_text = pa.types.is_string(wanted)
    return bool(
        pa.types.is_null(kind)
        or (pa.types.is_integer(kind) and (pa.types.is_integer(wanted) or wanted == pa.float64()))
        or (pa.types.is_floating(kind) and wanted == pa.float64())
        or (is_text and (pa.types.is_large_string(kind) or pa.types.is_string_view(kind)))
        or (is_text and pa.types.is_dictionary(kind) and pa.types.is_string(kind.value_type))
        or (pa.types.is_timestamp(kind) and kind.tz is not None and pa.types.is_timestamp(wanted))
        or (pa.types.is_map(kind) and pa.types.is_map(wanted))
        or (pa.types.is_list(kind) and pa.types.is_list(wanted))
    )
