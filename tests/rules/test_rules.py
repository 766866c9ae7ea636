"""What users may write in a rule, what it then means, and what is refused."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from whorl.errors import RuleError
from whorl.examples.columns import example_schema
from whorl.examples.rules import FUNCTIONS, WORDS, check_sql, names_truth
from whorl.spec import Spec, parse_spec
from whorl.storage.engine import Engine

SPEC = parse_spec("""
name = "fraud"
task = "binary"
[schema]
protected = ["age_band"]
[schema.features]
amount = "float"
count = "int"
shop = "category"
new = "bool"
"Price (EUR)" = "float"
""")
ROWS = [
    {
        "id": "a",
        "score": 0.05,
        "label": True,
        "f_amount": 150.0,
        "f_count": 0,
        "f_shop": "toys",
        "f_new": True,
    },
    {"id": "b", "score": 0.5, "label": False, "f_amount": -4.0, "f_count": 2, "f_shop": "7", "f_new": False},
    {"id": "c", "score": 0.95, "f_amount": 0.0, "f_count": 2**62, "f_shop": None, "g_age_band": "30s"},
    {"id": "d"},
]
WHEN = datetime(2026, 1, 4, 22, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory):
    engine = Engine(tmp_path_factory.mktemp("spill"), threads=1)
    rows = [{"time": WHEN, "status": "open", "scores": [("toys", 0.3)], **row} for row in ROWS]
    engine.register("examples", pa.Table.from_pylist(rows, schema=example_schema(SPEC)))
    yield engine
    engine.close()


def _found(engine: Engine, rule: str, spec: Spec = SPEC) -> str:
    sql = check_sql(rule, spec, "condition")
    return "".join(engine.query(f"SELECT id FROM examples WHERE {sql} ORDER BY id")["id"].to_pylist())


def _numbers(engine: Engine, rule: str) -> list[Any]:
    return engine.query(f"SELECT {check_sql(rule, SPEC, 'number')} AS n FROM examples ORDER BY id")[
        "n"
    ].to_pylist()


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        ("score < 0.1 and label", "a"),
        ("score between 0.4 and 0.7", "b"),
        ("p_true < 0.2", "a"),
        ("p_true = 0.5", "b"),
        ("not label", "b"),
        ("label is null", "cd"),
        ("label is not true", "bcd"),
        ("label = 1", "a"),
        ("shop in ('toys', 'food') or new is false", "ab"),
        ("shop not in ('toys')", "b"),
        ("shop like 't%' and amount > 1e2", "a"),
        ("\"Price (EUR)\" is null and age_band = '30s'", "c"),
        ("amount / count > 1", ""),
        ("amount / (count - 2) > 0 or amount // count < 0", "b"),
        ("amount % count = 0 or count // 0 is null and id = 'd'", "bcd"),
        ("count * 4 > 1", "bc"),
        ("cast(shop as int) = 7", "b"),
        ("shop::int > 1", "b"),
        ("try_cast(shop as double) is null", "acd"),
        ("sqrt(amount) > 0", "a"),
        ("ln(amount) is null", "bcd"),
        ("hour(time) = 22 and day_of_week(time) = 0 and id = 'a'", "a"),
        ("time > '2026-01-04' and month(time) = 1 and id = 'a'", "a"),
        ("date_diff('day', cast('2026-01-01' as timestamptz), time) = 3 and id = 'a'", "a"),
        ("case when new then amount else 0 end > 100", "a"),
        ("scores['toys'] > 0.2 and id <> 'd'", "abc"),
        ("regexp_matches(shop, '^t.y')", "a"),
        ("contains(upper(shop), 'OY') and starts_with(shop, 't') and ends_with(shop, 's')", "a"),
        ("greatest(score, 0.9) > 0.9 and abs(round(score, 1)) < 2", "c"),
        ("coalesce(label, true) and score > -.5 -- a comment", "ac"),
        ("null = 1", ""),
        ("-count + -count < 0 and abs(count) * count > 1", "bc"),
        ("9223372036854775807 + 1 > 0 and id = 'a'", "a"),
        ("case shop when 'toys' then true else false end", "a"),
        ("case when new then 9223372036854775807 else 1 end * 2 > 4 and if(new, 1, 0) = 1", "a"),
    ],
)
def test_a_rule_finds(engine: Engine, rule: str, found: str) -> None:
    assert _found(engine, rule) == found


@pytest.mark.parametrize(
    ("rule", "numbers"),
    [
        ("amount", [150.0, -4.0, 0.0, None]),
        ("abs(amount) * 2", [300.0, 8.0, 0.0, None]),
        ("amount / count", [None, -2.0, 0.0, None]),
        ("exp(amount * 10)", [None, pytest.approx(0), 1.0, None]),
        ("3", [3.0] * 4),
        ("cast(shop as int)", [None, 7.0, None, None]),
    ],
)
def test_a_severity_is_a_finite_number_or_null(engine: Engine, rule: str, numbers: list[Any]) -> None:
    assert _numbers(engine, rule) == numbers


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("amuont > 3", "Did you mean 'amount'"),
        ("f_amount > 3", "Did you mean 'amount'"),
        ("error > 3", "no 'error' in a binary task"),
        ("features.amount > 3", "has a dot"),
        ("(select 1) = 1", "subquery"),
        ("amount in (select 1)", "list of values"),
        ("exists(select 1)", "exists"),
        ("sum(amount) > 1", "sum"),
        ("count(*) > 1", "count"),
        ("row_number() over () = 1", "window"),
        ("score as s", "Unexpected token"),
        ("score > 1; drop table examples", "Unexpected token"),
        ("*", "star"),
        ("score > ?", "placeholder"),
        ("score > $1", "placeholder"),
        ("read_csv('/etc/passwd')", "readcsv"),
        ("getenv('HOME') = 'x'", "getenv"),
        ("current_setting('a') = 'x'", "current_setting"),
        ("now() > time", "now"),
        ("random() > 0.5", "not allowed"),
        ("list_transform([1], x -> x) is null", "not allowed"),
        ("scores[id] > 1", "brackets"),
        ("scores['a':'b'] > 1", "brackets"),
        ("[1, 2][1] > 1", "brackets"),
        ("cast(shop as json) is null", "cast to JSON"),
        ("cast(shop as int[]) is null", "not allowed"),
        ("'abc' > amount", "cannot be compared"),
        ("amount > '10'", "cannot be compared"),
        ("shop > 10", "Cannot compare"),
        ("label > 3", "cannot be compared"),
        ("label between 0 and 1", "cannot be compared"),
        ("label = 3", "A condition is true or false"),
        ("new in (0, 2)", "cannot be compared"),
        ("score between 'a' and 'b'", "cannot be compared"),
        ("time > 'yesterday'", "yesterday"),
        ("amount and label", "a condition is needed there"),
        ("not amount", "a condition is needed there"),
        ("case when amount then true end", "a condition is needed there"),
        ("amount", "a condition is needed"),
        ("null", "a condition is needed"),
        ("shop + 1 > 2", "No function matches"),
        ("abs('a') > 2", "explicit type casts"),
        ("abs(new) > 2", "explicit type casts"),
        ("score + 'a' > 2", "a number is needed there"),
        ("date_diff('day', time, '2026-01-01') > 2", "a time is needed there"),
        ("hour('noon') > 2", "explicit type casts"),
        ("@", "lacks an operand"),
        ("coalesce(score, 'a') > 1", "cannot be compared"),
        ("case when new then 1 else 'a' end = 1", "cannot be compared"),
        ("regexp_matches(shop, id)", "quoted text"),
        ("regexp_matches(shop, '(')", "missing"),
        ("date_diff('fortnight', time, time) > 1", "not a unit"),
        ("new is new", "IS takes"),
        ("", "not one SQL expression"),
        ("(" * 300 + "true" + ")" * 300, "nested"),
        ("not " * 400 + "new", "nested"),
        (" or ".join(["new"] * 500), "characters"),
        ("true or " * 200 + "new", "Split it"),
    ],
)
def test_a_rule_is_refused(rule: str, said: str) -> None:
    with pytest.raises(RuleError) as raised:
        check_sql(rule, SPEC, "condition")
    assert said in str(raised.value)


def test_a_refusal_tells_the_place() -> None:
    with pytest.raises(RuleError) as raised:
        check_sql("score > 0.1 and amuont > 3", SPEC, "condition")
    assert raised.value.where == "rule `score > 0.1 and amuont > 3` character 17"
    assert raised.value.facts["column"] == 17


@pytest.mark.parametrize("rule", ["label", "shop", "score > 1"])
def test_a_severity_is_no_text_or_condition(rule: str) -> None:
    with pytest.raises(RuleError, match="a number is needed"):
        check_sql(rule, SPEC, "number")


def test_words_that_depend_on_the_task() -> None:
    regression = parse_spec('name = "r"\ntask = "regression"')
    assert "abs(score - label)" in check_sql("error > 3", regression, "condition").lower()
    with pytest.raises(RuleError, match="p_true"):
        check_sql("p_true > 0.1", regression, "condition")
    multiclass = parse_spec('name = "m"\ntask = "multiclass"')
    assert "scores[label]" in check_sql("p_true < 0.1 and label = 'refund'", multiclass, "condition")
    with pytest.raises(RuleError, match="text"):
        check_sql("label", multiclass, "condition")


def test_the_page_lists_every_word_and_function() -> None:
    page = (Path(__file__).parents[2] / "docs/rules.md").read_text()
    for word, meaning in WORDS.items():
        assert f"| `{word}` | {meaning} |" in page
    listed = page.partition("## Functions")[2].partition("`date_diff('day'")[0]
    assert [part for part in listed.split("`") if part.strip()] == sorted(FUNCTIONS)


def test_every_listed_function_can_be_used(engine: Engine) -> None:
    calls = {
        "ceil": "ceil(score)", "coalesce": "coalesce(score, 1)", "contains": "contains(shop, 'x')",
        "date_diff": "date_diff('hour', time, time)", "day_of_week": "day_of_week(time)",
        "ends_with": "ends_with(shop, 'x')", "epoch": "epoch(time)", "greatest": "greatest(score, 1)",
        "hour": "hour(time)", "least": "least(score, 1)", "length": "length(shop)", "lower": "lower(shop)",
        "month": "month(time)", "nullif": "nullif(score, 1)", "regexp_matches": "regexp_matches(shop, 'x')",
        "starts_with": "starts_with(shop, 'x')", "upper": "upper(shop)",
    }  # fmt: skip
    for name in FUNCTIONS:
        assert _found(engine, f"{calls.get(name, f'{name}(score)')} is null or true") == "abcd"


def test_every_example_on_the_page_passes() -> None:
    spec = parse_spec(
        'name = "x"\ntask = "multiclass"\n[schema.features]\namount = "float"\nmerchant = "category"'
    )
    regression = parse_spec('name = "x"\ntask = "regression"')
    binary = parse_spec('name = "x"\ntask = "binary"')
    page = (Path(__file__).parents[2] / "docs/rules.md").read_text().partition("## Examples")[2]
    rules = [line.split("`")[1] for line in page.splitlines() if line.startswith("| `")]
    assert len(rules) >= 8
    for rule in rules:
        task = regression if "error" in rule else binary if rule.endswith("and label") else spec
        check_sql(rule, task, "condition")


@pytest.mark.parametrize(
    ("rule", "sees"),
    [
        ("score < 0.1 and label", True),
        ("p_true < 0.2", True),
        ("case when status = 'defaulted' then true else false end", True),
        ("delay_days > 3", True),
        ("label_source = 'expert'", True),
        ("score between 0.4 and 0.7", False),
        ("age_days > 30 and amount > 5", False),
        ("output = 'label'", False),
    ],
)
def test_what_names_the_truth_is_known(rule: str, sees: bool) -> None:
    assert names_truth(rule) is sees
