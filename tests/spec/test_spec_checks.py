"""Combinations that cannot be meant are refused, each at the key to change; the same without the fault is taken."""

import pytest

from whorl.errors import SpecError
from whorl.spec import parse_spec

BINARY = 'name = "shop"\ntask = "binary"\n'
AMOUNT = '[schema.features]\namount = "float"\n'


def refusal(text: str) -> str:
    with pytest.raises(SpecError) as caught:
        parse_spec(text)
    (problem,) = caught.value.problems
    return problem


CASES: list[tuple[str, str, str]] = [
    ('[schema.features]\nscore = "float"', "schema.features.score", 'event_score = { type = "float", path = "score" }'),
    ('[schema]\nprotected = ["amount"]\n' + AMOUNT, "schema.protected", "protected and a feature"),
    ('[schema]\nlabel = "amount"\n' + AMOUNT, "schema.features.amount", "told the answer"),
    ('[schema]\nlabel = "y"\n[schema.features]\na = { type = "int", path = "y" }', "schema.features.a", "told the answer"),
    ('[schema]\nsegments = ["amout"]\n' + AMOUNT, "schema.segments.0", "Did you mean 'amount'?"),
    ('[schema]\ncensored = ["blocked"]', "schema.censored", "does not say where the action is"),
    ('[labels]\non = ["order"]', "labels.on.0", "'order' is not a key. Known: id."),
    ('[schema.keys]\norder = "order_no"\n[labels]\non = ["id", "order"]', "labels.on", "unique by itself"),
    ('[labels]\nlag = "30d"\nwindow = "7d"', "labels.window", "shorter than the lag"),
    ('[labels]\nwindow = "7d"\ndefault_after = { value = false, after = "30d" }', "labels.default_after.after",
     "after the window (7d) has closed"),
    ('[labels]\ndefault_after = { value = "no", after = "30d" }', "labels.default_after.value", "true or false"),
    ('[labels]\ndelay = "survival"\nlag = "7d"', "labels.lag", "leave the lag out"),
    ('[labels]\ndelay = "survival"\nhorizon = "term"\n' + AMOUNT, "labels.horizon", "'term' is not a feature"),
    ('[labels]\ndelay = "none"\nhorizon = "amount"\n' + AMOUNT, "labels.horizon", "delays are modelled"),
    ('[labels]\ndelay = "survival"\nhorizon = "grade"\n[schema.features]\ngrade = "category"', "labels.horizon",
     "of type category; days are a float or an int"),
    ('[schema]\nsegments = ["amount"]\n' + AMOUNT, "schema.segments.0", "of type float"),
    ('[release]\nvia = "external"\nwebhook = "ftp:x"', "release.webhook", "found 'ftp:x'"),
    ('[monitor]\nwebhook = "https://"', "monitor.webhook", "such as https://host/path"),
    ('[[curate.rules]]\nname = "a"\nwhen = "label"\n[[curate.rules]]\nname = "a"\nwhen = "not label"',
     "curate.rules.1.name", "Two rules are called 'a'"),
    ('[train]\ntrainer = "lightgmb"', "train.trainer", "Did you mean 'lightgbm'?"),
    ('[train]\ntrainer = "command"', "train.command", "needs command"),
    ('[train]\ncommand = ["make"]', "train.command", "trainer is 'lightgbm'"),
    ('[train]\nrecency = "power"\nhalf_life = "7d"', "train.recency", "Take one of the two out"),
    ('[train]\ntrusted = ["amout"]\n' + AMOUNT, "train.trusted.0", "Did you mean 'amount'?"),
    ('[train]\ntrainer = "linear-text"\n' + AMOUNT, "train.trainer", "needs a feature of type"),
    ('[schema.features]\nbody = "text"', "train.trainer", 'Use "linear-text"'),
    ('[evaluate]\nmetric = "ouc"', "evaluate.metric", "Did you mean 'auc'?"),
    ('[monitor]\nmetric = "mae"', "monitor.metric", "does not measure a binary task"),
    ('[[evaluate.gates]]\ncheck = "better"\nmetric = "rmse"', "evaluate.gates.0.metric", "does not measure a binary"),
    ('[[evaluate.gates]]\ncheck = "minimum"', "evaluate.gates.0.value", "needs a value"),
    ('[[evaluate.gates]]\ncheck = "cost"', "evaluate.gates.0.value", "needs a value"),
    ('[[evaluate.gates]]\ncheck = "latency"', "evaluate.gates.0.value", "needs a value"),
    ('[[evaluate.gates]]\ncheck = "golden"', "evaluate.gates.0.dataset", "golden"),
    ('[[evaluate.gates]]\ncheck = "function"', "evaluate.gates.0.function", "package.module:function"),
    ('[[evaluate.gates]]\ncheck = "better"\nmargin = -0.1', "evaluate.gates.0.margin", "use a number from 0"),
    ('[release]\nvia = "external"', "release.webhook", "needs the URL"),
    ('[release]\nstages = ["canary:0.05", "full"]', "release.stages.0", "found 'canary:0.05'"),
    ('[champion]\ntrained_through = "last week"', "champion.trained_through", "ISO 8601"),
    ('automation = "full"\n[train]\ntrainer = "external"\n[evaluate]\ngates = []\n[release]\nvia = "external"\n'
     'webhook = "https://shop.example/hook"', "evaluate.gates", "declare a gate"),
    ('[capture]\ndrop = ["id"]', "capture.drop.0", "the id"),
    ('[schema]\nid = "user.no"\n[capture]\nhash = ["user"]', "capture.hash.0", "(inside 'user') is the id"),
    ('[capture]\nhash = ["time"]', "capture.hash.0", "the order of things"),
    ('[schema]\nlabel = "y"\n[capture]\nredact = ["y"]', "capture.redact.0", "trained and judged"),
    ('[capture]\nhash = ["amount"]\n' + AMOUNT, "capture.hash.0", "reckons with it as float"),
    ('[capture]\ndrop = ["features.amount"]\n' + AMOUNT, "capture.drop.0", "Take it out of [schema.features]"),
    ('[train]\ntrainer = "external"\n[capture]\ndrop = ["body"]\n[schema.features]\nbody = "text"', "capture.drop.0", "Hash it, or take it out"),
    ('[schema]\ngroup = "user"\n[capture]\ntruncate = { user = 3 }', "capture.truncate.user", "told apart"),
    ('[schema]\naction = "did"\ncensored = ["no"]\n[capture]\nhash = ["did"]', "capture.hash.0", "censored compares it"),
    ('[schema]\nmessages = "chat"\n[capture]\ndrop = ["chat"]', "capture.drop.0", "Redact it"),
    ('[schema.keys]\norder = "no"\n[capture]\nredact = ["no"]', "capture.redact.0", "Hash it"),
    ('[capture]\ndrop = ["note"]\nredact = ["note"]', "capture.redact.0", "dropped already"),
    ('[capture]\nhash = ["note"]\nhash_key_file = "hash.key"', "capture.hash_key_file", "no absolute path"),
    ('[capture]\nredact_with = "presidio"', "capture.redact_with", "Nothing is redacted"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "place", "words"), CASES)
def test_a_contradiction(text: str, place: str, words: str) -> None:
    problem = refusal(BINARY + text)
    assert f": {place}: " in problem
    assert words in problem


@pytest.mark.parametrize(
    ("task", "text", "place"),
    [
        ("regression", '[labels]\ndelay = "survival"', "labels.delay"),
        (
            "regression",
            '[labels]\ndefault_after = { value = "none", after = "9d" }',
            "labels.default_after.value",
        ),
        ("regression", '[[evaluate.gates]]\ncheck = "calibrated"', "evaluate.gates.0.check"),
        ("regression", '[train]\ntrainer = "linear-text"\n[schema.features]\nt = "text"', "train.trainer"),
        ("generation", '[train]\ntrainer = "lightgbm"', "train.trainer"),
        ("multiclass", '[evaluate]\nmetric = "rmse"', "evaluate.metric"),
    ],
)
def test_what_a_task_does_not_allow(task: str, text: str, place: str) -> None:
    assert f": {place}: " in refusal(f'name = "shop"\ntask = "{task}"\n{text}')


@pytest.mark.parametrize(
    "text",
    [
        '[schema]\naction = "done"\ncensored = ["blocked"]',
        '[schema.keys]\norder = "order_no"\n[labels]\non = ["order"]',
        '[labels]\nwindow = "90d"\ndefault_after = { value = false, after = "30d" }',
        '[labels]\ndelay = "survival"\nhorizon = "amount"\n' + AMOUNT,
        '[train]\ntrainer = "shop.train:fit"',
        '[train]\ntrainer = "linear-text"\n[schema.features]\nbody = "text"',
        '[train]\ntrainer = "command"\ncommand = ["make", "{dataset}", "{model}"]',
        '[schema.features]\nbody = "text"\namount = "float"',
        '[evaluate]\nmetric = "shop.money:saved"',
        '[[evaluate.gates]]\ncheck = "minimum"\nvalue = 0.5',
        '[[evaluate.gates]]\ncheck = "golden"\n[curate.golden]',
        '[[evaluate.gates]]\ncheck = "golden"\ndataset = "golden"',
        '[champion]\ntrained_through = "2024-01-01"',
        '[release]\nvia = "external"\nwebhook = "https://shop.example/hook"',
    ],
)
def test_what_goes_well_together(text: str) -> None:
    parse_spec(BINARY + text)
