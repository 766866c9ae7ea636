"""Whether the types in a rule fit together, asked of DuckDB by binding it to an empty table of example columns.

DuckDB alone would let `'abc' > amount` pass and fail at the first row: operands that are compared must be alike, and
those of `and`, `or`, `not` and `when` must be conditions, of arithmetic numbers. Nothing is executed but casts of constants.
"""

from collections.abc import Iterator
from typing import Literal

import duckdb
import pyarrow as pa
from sqlglot import exp

from whorl.storage.sql_types import empty_relation

Kind = Literal["condition", "number"]
Family = str
Need = Literal["alike", "ordered", "condition", "number", "time"]
_EQUATED = (exp.EQ, exp.NEQ, exp.Nullif)
_ORDERED = (exp.GT, exp.GTE, exp.LT, exp.LTE)
_ON_NUMBERS = (
    exp.Add, exp.Sub, exp.Mul, exp.Div, exp.IntDiv, exp.Mod, exp.Neg,
    exp.Abs, exp.Ceil, exp.Exp, exp.Floor, exp.Ln, exp.Round, exp.Sqrt,
)  # fmt: skip
_ON_TIMES = (exp.DateDiff, exp.DayOfWeek, exp.Hour, exp.Month, exp.TimeToUnix)


class Group:
    """Operands, as SQL, whose types must be alike, or of one family."""

    def __init__(self, need: Need, *operands: exp.Expr | None) -> None:
        self.need = need
        self.operands = [
            operand.unnest().sql(dialect="duckdb", comments=False) for operand in operands if operand
        ]


class TypesDoNotFit(Exception):
    """Says what does not fit; `rules.py` adds the rule and the place."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


def typed_groups(tree: exp.Expr) -> list[Group]:
    """Every group in a rule whose columns are resolved."""
    return [group for node in tree.walk() for group in _groups_of(node)]


def _groups_of(node: exp.Expr) -> Iterator[Group]:
    if isinstance(node, _EQUATED):
        yield Group("alike", node.this, node.expression)
    elif isinstance(node, _ORDERED):
        yield Group("ordered", node.this, node.expression)
    elif isinstance(node, exp.Between):
        yield Group("ordered", node.this, node.args["low"], node.args["high"])
    elif isinstance(node, (exp.Greatest, exp.Least)):
        yield Group("ordered", node.this, *node.expressions)
    elif isinstance(node, (exp.In, exp.Coalesce)):
        yield Group("alike", node.this, *node.expressions)
    elif isinstance(node, exp.Case):
        yield Group("alike", *(branch.args["true"] for branch in node.args["ifs"]), node.args.get("default"))
        if node.this:
            yield Group("alike", node.this, *(branch.this for branch in node.args["ifs"]))
    elif isinstance(node, (exp.And, exp.Or)):
        yield Group("condition", node.this, node.expression)
    elif isinstance(node, exp.Not) or (isinstance(node, exp.If) and not _is_value(node)):
        yield Group("condition", node.this)
    elif isinstance(node, _ON_NUMBERS):
        yield Group("number", node.this, node.args.get("expression"))
    elif isinstance(node, _ON_TIMES):
        yield Group("time", node.this, node.args.get("expression"))
    if isinstance(node, exp.If) and not isinstance(node.parent, exp.Case):
        yield Group("alike", node.args["true"], node.args.get("false"))


def _is_value(branch: exp.If) -> bool:
    """`case x when 1 then ...`: what stands after `when` is compared with x."""
    return isinstance(branch.parent, exp.Case) and branch.parent.this is not None


def check_types(plain: str, sql: str, groups: list[Group], schema: pa.Schema, kind: Kind) -> None:
    """Bind a rule to columns.

    Args:
        plain: The rule over those columns, as it was written; `sql`: as it will run.
        groups: The operands of the first, from `typed_groups`.
        kind: What it must give.

    Raises:
        TypesDoNotFit: DuckDB refuses it, operands do not fit together, or it gives something else.
    """
    operands = list(dict.fromkeys([plain, sql, *(operand for group in groups for operand in group.operands)]))
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
            if group.need in ("alike", "ordered"):
                _check_alike(known, connection, ordered=group.need == "ordered")
            else:
                _check_all(known, group.need)
    except duckdb.Error as error:
        message = str(error).partition("\n")[0]
        raise TypesDoNotFit(message.partition("Error: ")[2] or message) from None
    finally:
        connection.close()
    if families[plain] != kind:
        raise TypesDoNotFit(f"This gives {families[plain]}; a {kind} is needed.")


def _check_all(families: dict[str, Family], need: Need) -> None:
    for operand, family in families.items():
        if family != need:
            raise TypesDoNotFit(f"{operand} is {family}; a {need} is needed there.")


def _check_alike(
    families: dict[str, Family], connection: duckdb.DuckDBPyConnection, *, ordered: bool
) -> None:
    found = set(families.values())
    if found == {"number", "condition"} and not ordered and not any(map(_beyond_0_and_1, families)):
        # A flag may be asked as 0 or 1.
        return
    if found == {"time", "text"}:
        for operand, family in families.items():
            if family == "text" and operand.startswith("'"):
                connection.execute(f"SELECT CAST({operand} AS TIMESTAMPTZ) IS NULL").fetchall()
    elif len(found) > 1:
        listed = ", ".join(f"{operand} is {family}" for operand, family in families.items())
        hint = "Quote texts only, or cast one side." if "text" in found else "A condition is true or false."
        raise TypesDoNotFit(f"These cannot be compared: {listed}.", hint)


def _beyond_0_and_1(operand: str) -> bool:
    """Whether it is a number written out that no flag can be."""
    try:
        return float(operand) not in (0.0, 1.0)
    except ValueError:
        return False


def _family(operand: str, kind: str) -> Family:
    if operand == "NULL" or kind == '"NULL"':
        return "null"
    if kind == "BOOLEAN":
        return "condition"
    if kind == "VARCHAR":
        return "text"
    if kind == "DATE" or kind.startswith("TIMESTAMP"):
        return "time"
    if kind.endswith("INT") or kind.startswith("DECIMAL") or kind in ("INTEGER", "FLOAT", "DOUBLE", "BIGNUM"):
        return "number"
    return kind
