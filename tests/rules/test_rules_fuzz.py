"""Whatever is written as a rule: it is refused as a rule, or gives SQL that runs on any row."""

from collections.abc import Iterator

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from whorl.errors import RuleError
from whorl.examples.columns import example_schema
from whorl.examples.rules import FUNCTIONS, check_sql
from whorl.spec import parse_spec
from whorl.storage.engine import Engine

SPEC = parse_spec(
    'name = "f"\ntask = "binary"\n[schema.features]\n'
    'amount = "float"\ncount = "int"\nshop = "category"\nnew = "bool"'
)
NUMBERS = [None, 0, -1, 2**63 - 1, -(2**63)]
FLOATS = [None, 0.0, -1.5, 1e308, float("inf"), float("nan")]
TEXTS = [None, "", "abc", "7", "%"]

names = st.sampled_from(
    ["score", "amount", "count", "shop", "new", "label", "time", "p_true", "scores['a']", "id"]
)
constants = st.sampled_from(
    ["0", "1", "-1", "1e308", "9223372036854775807", "''", "'a'", "'7'", "true", "null"]
)
leaves = names | constants
binary = st.sampled_from(["+", "-", "*", "/", "//", "%", "=", "<>", "<", ">=", "and", "or", "like"])
functions = st.sampled_from([*FUNCTIONS, "sum", "random", "getenv"])
types = st.sampled_from(["int", "bigint", "double", "text", "date", "timestamptz", "boolean", "json"])


def _grow(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("({} {} {})".format, inner, binary, inner),
        st.builds("{}({})".format, functions, st.lists(inner, min_size=1, max_size=3).map(", ".join)),
        st.builds("cast({} as {})".format, inner, types),
        st.builds("(not {})".format, inner),
        st.builds("(- {})".format, inner),
        st.builds("({} between {} and {})".format, inner, inner, inner),
        st.builds("({} in ({}, {}))".format, inner, inner, inner),
        st.builds("({} is null)".format, inner),
        st.builds("case when {} then {} else {} end".format, inner, inner, inner),
    )


expressions = st.recursive(leaves, _grow, max_leaves=8)
# Texts of SQL's own pieces, and of anything at all.
pieces = st.lists(
    st.sampled_from(
        [*"()[]{},;.:*?$'\"\\@#~^|&!<>=+-/%", "--", "/*", "*/", "select", "from", "case", "when", "end", "is", "in",
         "null", "not", "between", "and", "or", "as", "over", "filter", "distinct", "interval", "->", "::", "union",
         "with", "lambda", "score", "shop", "amount", "1", "'a'", "abs(", "cast(", "\n", "\x00", "é"]
    ),
    max_size=12,
).map(" ".join)  # fmt: skip


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = Engine(tmp_path_factory.mktemp("spill"), threads=1)
    rows = [
        {"id": "x", "score": f, "f_amount": f, "f_count": n, "f_shop": t, "label": n == 0, "f_new": None}
        for f in FLOATS
        for n in NUMBERS
        for t in TEXTS
    ]
    engine.register("examples", pa.Table.from_pylist(rows, schema=example_schema(SPEC)))
    yield engine
    engine.close()


def _refused_or_runs(engine: Engine, rule: str) -> bool:
    ran = False
    for kind, wanted in (("condition", pa.bool_()), ("number", pa.float64())):
        try:
            sql = check_sql(rule, SPEC, kind)
        except RuleError:
            continue
        values = engine.query(f"SELECT {sql} AS value FROM examples")["value"]
        assert values.type == wanted
        if kind == "condition":
            assert values.null_count == 0
        ran = True
    return ran


@settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(rule=expressions)
def test_expressions(engine: Engine, rule: str) -> None:
    _refused_or_runs(engine, rule)


@settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(rule=pieces | st.text(max_size=40))
def test_rubbish(engine: Engine, rule: str) -> None:
    _refused_or_runs(engine, rule)


def test_the_check_notices_sql_that_cannot_run(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _refused_or_runs(engine, "amount > count")
    monkeypatch.setitem(globals(), "check_sql", lambda rule, *_: rule)
    with pytest.raises(Exception, match="Division by zero"):
        _refused_or_runs(engine, "f_count // 0")
