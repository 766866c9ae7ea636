"""A wrong key or value is refused with its path and line, what was found, and what would be right; all of them at once."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whorl.errors import SpecError
from whorl.spec import load_spec, parse_spec

HEAD = 'name = "shop"\ntask = "binary"\n'


def refusals(text: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        parse_spec(HEAD + text)
    return caught.value.problems


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("[curate]\nbugdet = 5", "line 4: curate.bugdet", "no such key. Did you mean 'budget'?"),
        ("[curat]", "line 3: curat", "Did you mean 'curate'?"),
        ('[schema.features]\na = "float"\nb = "flot"', "line 5: schema.features.b",
         "'category', 'text' or a table { type, path }, found 'flot'. Did you mean 'float'?"),
        ('[schema.features]\n"Amount (EUR)" = "flot"', "line 4: schema.features.Amount (EUR)", "found 'flot'"),
        ('[schema.features]\na = { type = "float", paht = "x" }', "line 4: schema.features.a.paht", "'path'"),
        ('[schema.features]\na = { path = "x" }', "line 4: schema.features.a", "'type' is missing"),
        ('[labels]\nlag = "99999999999999d"', "line 4: labels.lag", "at most 100 years"),
        ('[labels]\nlag = "14 days"', "line 4: labels.lag", "such as '30s', '15m', '24h', '14d' or '2w'"),
        ("[labels]\nlag = 14", "line 4: labels.lag", "found 14. Did you mean '14d'?"),
        ('[labels.default_after]\nvalue = false\nafter = "30 d x"', "line 5: labels.default_after.after", "'30 d x'"),
        ('[labels]\ndefault_after = { value = false, after = "x" }', "line 4: labels.default_after.after", "'x'"),
        ("[labels]\non = [3]", "line 4: labels.on.0", "Expected text, found 3. Put it in quotes."),
        ('[labels]\non = [\n  "id",\n  3,\n]', "line 4: labels.on.1", "Expected text"),
        ('[schema]\nsegments = "b"', "line 4: schema.segments", 'Did you mean ["b"]?'),
        ("[schema]\nid = true", "line 4: schema.id", "Expected text, found true."),
        ("[curate]\nholdout_share = 2", "line 4: curate.holdout_share", "at least 0 and at most 0.9, found 2."),
        ("[curate]\nbudget = -1", "line 4: curate.budget", "a whole number at least 0, found -1."),
        ('[curate]\nbudget = "5"', "line 4: curate.budget", "Expected a whole number at least 0, found '5'."),
        ("[train]\nseed = 1.5", "line 4: train.seed", "Expected a whole number, found 1.5."),
        ('[train]\nallow_pickle = "yes"', "line 4: train.allow_pickle", "Expected true or false, found 'yes'."),
        ("[evaluate]\nlevel = 1", "line 4: evaluate.level", "above 0.5 and below 1, found 1."),
        ('[[evaluate.gates]]\ncheck = "better"\n[[evaluate.gates]]\ncheck = "beter"', "line 6: evaluate.gates.1.check",
         "Did you mean 'better'?"),
        ('[[curate.rules]]\nname = "a"', "line 3: curate.rules.0", "'when' is missing"),
        ("[champion]\ntrained_through = 2024-01-01", "line 4: champion.trained_through", "Put it in quotes."),
        ("curate = 3", "line 3: curate", "Expected a table { holdout_share"),
        ("automation = 3", "line 3: automation", "one of 'manual', 'semi', 'approval', 'full', found 3."),
    ],
)  # fmt: skip
def test_each_says_where_what_and_what_fits(text: str, place: str, words: str) -> None:
    (problem,) = refusals(text)
    assert place in problem
    assert words in problem


def test_all_are_told_at_once() -> None:
    found = refusals('[curate]\nbudget = "x"\nbugdet = 1\n[labels]\nlag = 3\n[schema.features]\na = "flot"')
    assert len(found) == 4
    assert [problem.split(":")[1].strip() for problem in found] == [
        "curate.budget", "curate.bugdet", "labels.lag", "schema.features.a"
    ]  # fmt: skip


def test_combinations_are_told_beside_wrong_values() -> None:
    found = refusals(
        '[schema]\nsegments = ["regin"]\n[schema.features]\nregion = "category"\n'
        '[curate]\ninitial = "many"\nstrategy = "mx"\n[evaluate]\nmetric = "logloss"'
    )
    assert [problem.split(":")[0] for problem in found] == [
        "flywheel.toml line 8", "flywheel.toml line 4", "flywheel.toml line 9", "flywheel.toml line 11"
    ]  # fmt: skip
    assert "Did you mean 'log_loss'?" in found[3]


@pytest.mark.parametrize(
    "text",
    [
        '[train]\ntrainer = 3\ncommand = ["fit"]',
        '[schema]\nsegments = ["b"]\n[schema.features]\nb = "catgory"',
        '[curate]\nholdout_share = 0\n[evaluate]\ntime_forward = "x"',
        '[[curate.rules]]\nname = "a"\n[[curate.rules]]\nname = "a"\nwhen = "score > 0"',
    ],
)
def test_nothing_is_said_of_what_stands_in_for_a_wrong_value(text: str) -> None:
    assert len(refusals(text)) == 1


def test_what_must_be_given() -> None:
    with pytest.raises(SpecError, match="2 problems"):
        parse_spec("")
    with pytest.raises(SpecError, match=r"'task' is missing.*one of 'binary'"):
        parse_spec('name = "shop"')
    with pytest.raises(
        SpecError, match=r"line 1: name: Expected text, found 'A b'\. The flywheel's name: lower case"
    ):
        parse_spec('name = "A b"\ntask = "binary"')


def test_what_is_no_toml_and_no_file(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"not TOML.*line 1"):
        parse_spec("name = x\n")
    with pytest.raises(SpecError, match=r"no such file\. Write one with `whorl init`"):
        load_spec(tmp_path / "flywheel.toml")
    (tmp_path / "latin.toml").write_bytes(b'name = "\xe9"')
    with pytest.raises(SpecError, match="not UTF-8"):
        load_spec(tmp_path / "latin.toml")


VALUES = st.one_of(
    st.integers(), st.booleans(), st.text(max_size=3), st.lists(st.integers(), max_size=2),
    st.dictionaries(st.sampled_from(["type", "value", "x"]), st.integers(), max_size=2),
)  # fmt: skip
KEYS = st.sampled_from(["on", "lag", "window", "default_after", "delay", "open_rows", "rounds", "x"])


@given(st.dictionaries(KEYS, VALUES, max_size=3))
def test_nothing_but_a_spec_error_comes_out(labels: dict[str, object]) -> None:
    from whorl.spec.reference import toml

    lines = [f"{key} = {toml(value)}" for key, value in labels.items() if not isinstance(value, str)]
    with suppress(SpecError):
        parse_spec(HEAD + "[labels]\n" + "\n".join(lines))
