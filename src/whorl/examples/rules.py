"""Rules that users write in SQL, checked before they are used: deny by default.

A rule is one expression over the words of `WORDS` and the spec's features, with the operators and functions listed
here. It is parsed, every node is looked up in the list, names are replaced by columns of `examples`, and the result is
bound to an empty table of those columns so that types are checked. What cannot be computed for a row (x / 0, a bad
cast) is NULL there; it never stops a query. The users' page is docs/rules.md.
"""

from collections.abc import Callable

import pyarrow as pa
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from whorl.errors import RuleError, did_you_mean
from whorl.examples.columns import example_schema
from whorl.examples.rule_types import Kind, TypesDoNotFit, check_types, typed_groups
from whorl.records import Task
from whorl.spec import Spec
from whorl.storage.sql_types import quoted
from whorl.storage.tables import FEATURE, PROTECTED

MAX_LENGTH = 2000
MAX_DEPTH = 60
MAX_NODES = 400

WORDS = {
    "id": "the prediction's id",
    "time": "when the prediction was made",
    "score": "P(positive) of a binary task, the predicted number of a regression",
    "scores": "one probability per class: scores['refund']",
    "output": "what the model answered, as text",
    "action": "what was done because of it",
    "propensity": "probability with which the action was taken",
    "label": "the truth; NULL while it is not known",
    "label_source": "who or what said so",
    "status": "known, defaulted, open, censored or expired",
    "age_days": "days from the prediction to now",
    "delay_days": "days from the prediction to its first label",
    "model_version": "the model that answered",
    "latency_ms": "how long the answer took",
    "cost_usd": "what the call cost",
    "p_true": "probability that the model gave to the true class",
    "error": "absolute error of a regression",
}

# What is known of a row only with its truth, or because of it.
TRUTH_WORDS = frozenset(("label", "label_source", "status", "delay_days", "p_true", "error"))

FUNCTIONS: dict[str, type[exp.Expr]] = {
    "abs": exp.Abs,
    "ceil": exp.Ceil,
    "coalesce": exp.Coalesce,
    "contains": exp.Contains,
    "date_diff": exp.DateDiff,
    "day_of_week": exp.DayOfWeek,
    "ends_with": exp.EndsWith,
    "epoch": exp.TimeToUnix,
    "exp": exp.Exp,
    "floor": exp.Floor,
    "greatest": exp.Greatest,
    "hour": exp.Hour,
    "least": exp.Least,
    "length": exp.Length,
    "ln": exp.Ln,
    "lower": exp.Lower,
    "month": exp.Month,
    "nullif": exp.Nullif,
    "regexp_matches": exp.RegexpLike,
    "round": exp.Round,
    "sqrt": exp.Sqrt,
    "starts_with": exp.StartsWith,
    "upper": exp.Upper,
}

_OPERATORS: tuple[type[exp.Expr], ...] = (
    exp.And, exp.Or, exp.Not, exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Is, exp.Between, exp.In,
    exp.Like, exp.ILike, exp.Add, exp.Sub, exp.Mul, exp.Div, exp.IntDiv, exp.Mod, exp.Neg, exp.Paren,
    exp.Case, exp.If, exp.Cast, exp.TryCast, exp.Bracket,
    exp.Column, exp.Identifier, exp.Literal, exp.Boolean, exp.Null, exp.DataType, exp.Var,
)  # fmt: skip
_ALLOWED = frozenset((*_OPERATORS, *FUNCTIONS.values()))
_CASTS = {
    exp.DType.BOOLEAN: "boolean",
    exp.DType.INT: "integer",
    exp.DType.BIGINT: "bigint",
    exp.DType.FLOAT: "float",
    exp.DType.DOUBLE: "double",
    exp.DType.TEXT: "text",
    exp.DType.VARCHAR: "text",
    exp.DType.DATE: "date",
    exp.DType.TIMESTAMP: "timestamp",
    exp.DType.TIMESTAMPTZ: "timestamptz",
}
# Their operands are numbers, computed in DOUBLE.
_ARITHMETIC = (exp.Add, exp.Sub, exp.Mul, exp.Div, exp.IntDiv, exp.Mod, exp.Neg, exp.Abs, exp.Round, exp.Exp)
_UNITS = ("SECOND", "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "YEAR")


def check_sql(expression: str, spec: Spec, kind: Kind) -> str:
    """SQL over the columns of `examples` that computes what a user's rule says.

    Args:
        expression: What the user wrote: `score < 0.1 and label`.
        kind: 'condition' gives BOOLEAN, false where the rule is NULL; 'number' gives DOUBLE, NULL where it cannot be
            computed or is not finite.

    Raises:
        RuleError: It is not allowed, names something unknown, or its types do not fit; with the place where known.

    >>> from whorl.spec import parse_spec
    >>> spec = parse_spec('name = "fraud"\\ntask = "binary"\\n[schema.features]\\namount = "float"')
    >>> check_sql("score < 0.1 and label and amount > 100", spec, "condition")
    'coalesce(TRY("score" < 0.1 AND "label" AND "f_amount" > 100), false)'
    """
    if len(expression) > MAX_LENGTH:
        raise _error(
            expression[:40] + "...", f"It has {len(expression)} characters; {MAX_LENGTH} are allowed."
        )
    try:
        tree = _parsed(expression)
        _allow(expression, tree)
        tree = tree.transform(_resolver(expression, spec))
        plain, groups = _sql(tree), typed_groups(tree)
        sql = _sql(tree.transform(_guard(example_schema(spec))))
    except RecursionError:
        raise _error(expression, "It is nested too deeply.", hint="Split it into several rules.") from None
    try:
        check_types(plain, sql, groups, example_schema(spec), kind)
    except TypesDoNotFit as problem:
        raise _error(expression, problem.message, hint=problem.hint) from None
    if kind == "condition":
        return f"coalesce(TRY({sql}), false)"
    number = f"TRY(CAST({sql} AS DOUBLE))"
    return f"CASE WHEN isfinite({number}) THEN {number} END"


def names_truth(expression: str) -> bool:
    """Whether a rule that `check_sql` allows goes by the truth of a row, so that it treats classes differently.

    >>> names_truth("score < 0.1 and label"), names_truth("score between 0.4 and 0.7")
    (True, False)
    """
    return any(column.name in TRUTH_WORDS for column in _parsed(expression).find_all(exp.Column))


def p_true(task: Task) -> str:
    """SQL over `examples`: the probability given to what turned out true; NULL where that cannot be said."""
    if task == "binary":
        return "CASE WHEN label THEN score WHEN NOT label THEN 1 - score END"
    if task == "multiclass":
        return "scores[label]"
    return "NULL::DOUBLE"


def _parsed(expression: str) -> exp.Expr:
    try:
        tree = sqlglot.parse_one(expression, read="duckdb", into=exp.Condition)
    except SqlglotError as error:
        details = getattr(error, "errors", None) or [{}]
        column = details[0].get("col")
        what = details[0].get("description") or "It is not one SQL expression"
        raise _error(expression, f"{what.rstrip('.')}.", column) from None
    except (ValueError, TypeError, AttributeError, IndexError, KeyError) as error:
        # The parser does not promise to refuse every malformed text in its own words.
        raise _error(expression, f"It is not one SQL expression ({type(error).__name__}).") from error
    return tree


def _allow(expression: str, tree: exp.Expr) -> None:
    for number, node in enumerate(tree.walk()):
        if number >= MAX_NODES or node.depth > MAX_DEPTH:
            raise _error(
                expression, "It is too long or nested too deeply.", hint="Split it into several rules."
            )
        if type(node) not in _ALLOWED:
            name = node.name if isinstance(node, exp.Anonymous) else type(node).__name__
            raise _error(
                expression,
                f"'{name.lower()}' is not allowed in a rule.",
                _column(node),
                hint=f"Functions: {', '.join(FUNCTIONS)}. See docs/rules.md.",
            )
        if node.error_messages():
            raise _error(expression, f"'{type(node).key}' lacks an operand.", _column(node))
        _allow_parts(expression, node)


def _allow_parts(expression: str, node: exp.Expr) -> None:
    """What the class of a node does not tell: casts, units, subscripts and lists."""
    if isinstance(node, exp.DataType) and (node.this not in _CASTS or node.expressions):
        known = ", ".join(dict.fromkeys(_CASTS.values()))
        raise _error(
            expression, f"A cast to {node.sql()} is not allowed.", _column(node), hint=f"Types: {known}."
        )
    if isinstance(node, exp.Var) and not (
        isinstance(node.parent, exp.DateDiff) and node.name.upper() in _UNITS
    ):
        raise _error(
            expression, f"'{node.name}' is not a unit.", _column(node), hint=f"Units: {', '.join(_UNITS)}."
        )
    if isinstance(node, exp.Bracket):
        index = node.expressions
        if not (
            isinstance(node.this, exp.Column)
            and node.this.name == "scores"
            and len(index) == 1
            and isinstance(index[0], exp.Literal)
            and index[0].is_string
        ):
            raise _error(expression, "Only scores['class'] takes brackets.", _column(node))
    if isinstance(node, exp.Is) and not isinstance(node.expression, (exp.Null, exp.Boolean)):
        raise _error(expression, "IS takes NULL, TRUE or FALSE.", _column(node), hint="Compare with =.")
    if isinstance(node, exp.RegexpLike) and not node.expression.is_string:
        raise _error(expression, "The pattern must be a quoted text.", _column(node))
    if isinstance(node, exp.In) and not node.expressions:
        raise _error(expression, "IN needs a list of values in parentheses.", _column(node))


def _guard(schema: pa.Schema) -> Callable[[exp.Expr], exp.Expr]:
    """NULL where DuckDB would fail, or answer with infinity or NaN, which sort above every number.

    TRY alone does not do it: the optimizer may compute a part that occurs twice, or a constant, outside of the TRY. So
    nothing in it can fail: arithmetic is done in DOUBLE, where nothing overflows, and casts are tried.
    """

    def guard(node: exp.Expr) -> exp.Expr:
        if type(node) is exp.Cast:
            return exp.TryCast(this=node.this, to=node.args["to"])
        if isinstance(node, _ARITHMETIC):
            node.set("this", _double(node.this, schema))
        if isinstance(node, exp.Binary) and isinstance(node, _ARITHMETIC):
            divides = isinstance(node, (exp.Div, exp.IntDiv, exp.Mod))
            right = _double(node.expression, schema)
            node.set(
                "expression", exp.Nullif(this=right, expression=exp.Literal.number(0)) if divides else right
            )
        if isinstance(node, (exp.Ln, exp.Sqrt)):
            bound = exp.GT if isinstance(node, exp.Ln) else exp.GTE
            inside = bound(this=exp.Paren(this=node.this.copy()), expression=exp.Literal.number(0))
            node.set("this", exp.Case(ifs=[exp.If(this=inside, true=node.this.copy())]))
        return node

    return guard


def _double(node: exp.Expr, schema: pa.Schema) -> exp.Expr:
    inner = node.unnest()
    if isinstance(inner, exp.Literal) and not inner.is_string:
        return node if "e" in inner.name.lower() else exp.Literal.number(f"{inner.name}e0")
    if isinstance(inner, (*_ARITHMETIC, exp.Nullif)) or (
        isinstance(inner, exp.Column) and schema.field(inner.name).type == pa.float64()
    ):
        return node.copy()
    return exp.cast(node.copy(), "double", dialect="duckdb")


def _sql(tree: exp.Expr) -> str:
    return tree.sql(dialect="duckdb", comments=False)


def _resolver(expression: str, spec: Spec) -> Callable[[exp.Expr], exp.Expr]:
    """Names as columns of `examples`: words stay, features and protected attributes get their prefix."""
    columns = {word: quoted(word) for word in WORDS if word not in ("p_true", "error")}
    if spec.task in ("binary", "multiclass"):
        columns["p_true"] = f"({p_true(spec.task)})"
    if spec.task == "regression":
        columns["error"] = "abs(score - label)"
    columns |= {name: quoted(FEATURE + name) for name in spec.features}
    columns |= {name: quoted(PROTECTED + name) for name in spec.protected}

    def resolve(node: exp.Expr) -> exp.Expr:
        if not isinstance(node, exp.Column):
            return node
        name = node.name
        if node.table:
            raise _error(
                expression,
                f"'{node.sql()}' has a dot.",
                _column(node),
                hint="Write the feature's name alone.",
            )
        if name not in columns:
            where = f" in a {spec.task} task" if name in WORDS else ""
            raise _error(
                expression,
                f"There is no '{name}'{where}.",
                _column(node),
                hint=did_you_mean(name, list(columns)),
            )
        return sqlglot.parse_one(columns[name], read="duckdb", into=exp.Condition)

    return resolve


def _column(node: exp.Expr) -> int | None:
    for part in node.walk():
        if "start" in part.meta:
            return int(part.meta["start"]) + 1
    return None


def _error(expression: str, message: str, column: int | None = None, *, hint: str = "") -> RuleError:
    place = f" character {column}" if column else ""
    return RuleError(message, where=f"rule `{expression}`{place}", hint=hint, column=column)
