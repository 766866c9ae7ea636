"""Whether the types in a rule fit together, asked of DuckDB by binding it to an empty table of example columns.

DuckDB alone would let `'abc' > amount` pass and fail at the first row: operands that are compared must be alike, and
those of `and`, `or`, `not` and `when` must be conditions. Nothing is executed but casts of constants.
"""

from typing import Literal

import duckdb
import pyarrow as pa
from sqlglot import exp

from whorl.storage.sql_types import empty_relation

Kind = Literal["condition", "number"]
Family = str
_COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE)


class Group:
    """Operands, as SQL, whose types must be alike, or boolean."""

    def __init__(self, need: Literal["alike", "boolean"], *operands: exp.Expr) -> None:
        self.need = need
        self.operands = [operand.sql(dialect="duckdb", comments=False) for operand in operands]


class TypesDoNotFit(Exception):
    """Says what does not fit; `rules.py` adds the rule and the place."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


def typed_groups(tree: exp.Expr) -> list[Group]:
    """Every group in a rule whose columns are resolved."""
    found = []
    for node in tree.walk():
        if isinstance(node, _COMPARISONS):
            found.append(Group("alike", node.this, node.expression))
        elif isinstance(node, exp.Between):
            found.append(Group("alike", node.this, node.args["low"], node.args["high"]))
        elif isinstance(node, exp.In):
            found.append(Group("alike", node.this, *node.expressions))
        elif isinstance(node, (exp.And, exp.Or)):
            found.append(Group("boolean", node.this, node.expression))
        elif isinstance(node, (exp.Not, exp.If)):
            found.append(Group("boolean", node.this))
    return found


def check_types(sql: str, groups: list[Group], schema: pa.Schema, kind: Kind) -> None:
    """Bind a rule to columns.

    Args:
        sql: The rule over those columns.
        groups: Its operands, from `typed_groups`.
        kind: What it must give.

    Raises:
        TypesDoNotFit: DuckDB refuses it, operands do not fit together, or it gives something else.
    """
    operands = list(dict.fromkeys([sql, *(operand for group in groups for operand in group.operands)]))
    connection = duckdb.connect(":memory:")
    try:
        described = connection.sql(
            f"DESCRIBE SELECT {', '.join(operands)} FROM {empty_relation(schema)}"
        ).fetchall()
        families = {
            operand: _family(operand, str(row[1])) for operand, row in zip(operands, described, strict=True)
        }
        for group in groups:
            known = {operand: families[operand] for operand in group.operands if families[operand] != "null"}
            _check_boolean(known) if group.need == "boolean" else _check_alike(known, connection)
    except duckdb.Error as error:
        message = str(error).partition("\n")[0]
        raise TypesDoNotFit(message.partition("Error: ")[2] or message) from None
    finally:
        connection.close()
    if families[sql] != ("boolean" if kind == "condition" else "number"):
        wanted = "a condition (true or false)" if kind == "condition" else "a number"
        raise TypesDoNotFit(f"This gives {families[sql]}; {wanted} is needed.")


def _check_boolean(families: dict[str, Family]) -> None:
    for operand, family in families.items():
        if family != "boolean":
            raise TypesDoNotFit(f"{operand} is {family}; a condition is needed there.")


def _check_alike(families: dict[str, Family], connection: duckdb.DuckDBPyConnection) -> None:
    found = set(families.values())
    if found <= {"number", "boolean"}:
        return
    if found == {"time", "text"}:
        for operand, family in families.items():
            if family == "text" and operand.startswith("'"):
                connection.execute(f"SELECT CAST({operand} AS TIMESTAMPTZ) IS NULL").fetchall()
    elif len(found) > 1:
        listed = ", ".join(f"{operand} is {family}" for operand, family in families.items())
        raise TypesDoNotFit(f"These cannot be compared: {listed}.", "Quote texts only, or cast one side.")


def _family(operand: str, kind: str) -> Family:
    if operand == "NULL" or kind == '"NULL"':
        return "null"
    if kind == "BOOLEAN":
        return "boolean"
    if kind == "VARCHAR":
        return "text"
    if kind == "DATE" or kind.startswith("TIMESTAMP"):
        return "time"
    if kind.endswith("INT") or kind.startswith("DECIMAL") or kind in ("INTEGER", "FLOAT", "DOUBLE", "BIGNUM"):
        return "number"
    return kind
