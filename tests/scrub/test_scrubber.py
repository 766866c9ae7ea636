"""Whatever shape a record comes in, what [capture] names is done to it; a table is treated like its rows."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from whorl.capture.scrub.scrubber import Scrubber, scrubber_of
from whorl.errors import RecordError, SpecError
from whorl.spec import parse_spec

HEAD = """name = "help"
task = "generation"
[schema]
id = "call.id"
time = "at"
group = "user.mail"
messages = "chat"
output = "answer"
[schema.keys]
order = "order_no"
[schema.features]
amount = "float"
city = "category"
[train]
trainer = "external"
[capture]
"""
KEY = b"0123456789abcdef0123456789abcdef"
MAIL, CARD = "ann@example.org", "4111 1111 1111 1111"


def scrubber(capture: str) -> Scrubber:
    return Scrubber(parse_spec(HEAD + capture), KEY)


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        ({"a": {"b": 1, "c": 2}}, {"a": {"c": 2}}),
        ({"a.b": 1, "c": 2}, {"c": 2}),
        ({"a": [{"b": 1}, {"c": 2}]}, {"a": [{}, {"c": 2}]}),
        ({"extra": {"a": {"b": 1}}, "id": 1}, {"extra": {"a": {}}, "id": 1}),
        ({"a": '{"b": 1, "c": 2}'}, {"a": '{"c":2}'}),
        ({"a": "{'b': 1}"}, {"a": None}),
        ({"a": None}, {"a": None}),
    ],
)
def test_a_dropped_path_is_gone_in_every_shape(raw: dict[str, Any], kept: dict[str, Any]) -> None:
    assert scrubber('drop = ["a.b"]').record(raw) == kept


def test_a_hash_is_the_same_wherever_the_value_lies() -> None:
    door = scrubber('hash = ["user.mail", "city", "order_no"]')
    own = door.record({"user": {"mail": MAIL}, "city": "Rome", "order_no": 17})
    native = door.record({"group": MAIL, "features": {"city": "Rome"}, "keys": {"order": "17"}})
    assert own is not None
    assert native is not None
    assert own["user"]["mail"] == native["group"] != MAIL
    assert own["city"] == native["features"]["city"]
    assert own["order_no"] == native["keys"]["order"]


def test_another_key_gives_another_hash() -> None:
    spec = parse_spec(HEAD + 'hash = ["city"]')
    assert Scrubber(spec, KEY).record({"city": "Rome"}) != Scrubber(spec, KEY[::-1]).record({"city": "Rome"})


@pytest.mark.parametrize(
    "raw",
    [
        {"chat": [{"role": "user", "content": f"I am {MAIL}"}]},
        {"chat": [{"role": "user", "content": [{"type": "text", "text": f"I am {MAIL}"}]}]},
        {"messages": [{"role": "user", "content": f"I am {MAIL}"}]},
        {"chat": json.dumps([{"role": "user", "content": f"I am {MAIL}"}])},
        {"chat": f"[not json {MAIL}"},
        {"chat": [{"role": "assistant", "tool_calls": [{"function": {"arguments": json.dumps({"to": MAIL})}}]}]},
        {"chat": [{"role": "user", "content": None, MAIL: 1}]},
        {"chat": f"I am {MAIL}".encode()},
    ],
)  # fmt: skip
def test_redaction_reaches_everything_below(raw: dict[str, Any]) -> None:
    for capture in ('redact = ["chat"]', 'redact = ["*"]'):
        kept = scrubber(capture).record(raw)
        assert MAIL not in str(kept)
        assert "<EMAIL>" in str(kept)


def test_everywhere_spares_names_and_numbers_that_are_some() -> None:
    raw = {
        "call": {"id": MAIL},
        "user": {"mail": MAIL},
        "order_no": MAIL,
        "at": "2026-01-01",
        "amount": "12.5",
    }
    assert scrubber('redact = ["*"]').record(raw) == raw
    dirty = {
        "amount": MAIL,
        "call": {"id": {"mail": MAIL}},
        "note": 4111111111111111,
        "n": Decimal(4111111111111111),
        "x": 4111111111111111.0,
        "y": np.float64(4111111111111111),
        "z": [4111111111111111.5, 1e300, float("nan"), float("-inf"), True],
    }
    kept = scrubber('redact = ["*"]').record(dirty)
    assert str(kept) == str({
        "amount": "<EMAIL>", "call": {"id": {"mail": "<EMAIL>"}}, "note": "<CARD>", "n": "<CARD>", "x": "<CARD>", "y": "<CARD>",
        "z": dirty["z"],
    })  # fmt: skip


@pytest.mark.parametrize("kind", [pa.float64(), pa.int64(), pa.uint64(), pa.decimal128(20, 1)])
@pytest.mark.parametrize("nested", [False, True])
def test_a_column_of_numbers_may_hold_a_card(kind: pa.DataType, nested: bool) -> None:
    column = pa.array([4111111111111111, None, 5], pa.int64()).cast(kind)
    table = pa.table({"x": pa.StructArray.from_arrays([column], ["y"]) if nested else column})
    kept, _ = scrubber('redact = ["*"]').table(table)
    found = [row["x"]["y"] if nested else row["x"] for row in kept.to_pylist()]
    assert (found[0], found[1], float(found[2])) == ("<CARD>", None, 5.0)


def test_a_column_of_numbers_without_a_card_stays_as_it_is() -> None:
    table = pa.table({"x": [1e300, float("nan"), 0.5, None], "y": [float("nan"), float("inf"), None, -1.0]})
    assert str(scrubber('redact = ["*"]').table(table)[0].to_pylist()) == str(table.to_pylist())


@pytest.mark.parametrize("where", ["a", "extra", "features", "keys", "protected", "chat", "messages"])
@pytest.mark.parametrize("rest", ["NaN", "-Infinity", '"a\tb"', '"\\ud83d"', "1" * 40, '"é"'])
def test_json_in_a_cell_is_read_as_loosely_as_it_is_written(where: str, rest: str) -> None:
    door = scrubber('drop = ["a.card", "card", "chat.card"]')
    kept = door.record({where: f'{{"card": "4111", "x": {rest}}}'})
    assert kept is not None
    assert json.loads(kept[where]) == pytest.approx({"x": json.loads(rest, strict=False)}, nan_ok=True)
    kept[where].encode()


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        ({"extra": '{"card": 4111'}, {"extra": None}),
        ({"features": '[{"card": 4111'}, {"features": None}),
        ({"extra": {"a": '{"card": 4111'}}, {"extra": {"a": None}}),
        ({"messages": '[{"card": 4111'}, {"messages": None}),
        ({"extra": "no onions", "features": "x"}, {"extra": "no onions", "features": "x"}),
    ],
)
def test_what_looks_like_json_and_cannot_be_read_may_hide_something(
    raw: dict[str, Any], kept: dict[str, Any]
) -> None:
    assert scrubber('drop = ["a.card", "card", "chat.card"]').record(raw) == kept


def test_what_cannot_be_hashed_is_refused_without_a_word_of_it() -> None:
    with pytest.raises(RecordError, match="not Unicode"):
        scrubber('hash = ["a"]').record({"a": ["\ud83d"]})


def test_texts_are_cut_after_they_are_redacted() -> None:
    door = scrubber('redact = ["answer"]\ntruncate = { answer = 12, note = 3 }')
    assert door.record({"answer": f"{CARD} is mine", "note": "abcdef", "other": "abcdef"}) == {
        "answer": "<CARD> is mi", "note": "abc", "other": "abcdef"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "kind", "kept"),
    [
        ({"ok": True}, "predictions", True),
        ({"ok": "Yes"}, "predictions", True),
        ({"ok": 1}, "labels", True),
        ({"extra": {"ok": True}}, "predictions", True),
        ({"ok": False}, "predictions", False),
        ({"ok": "maybe"}, "labels", False),
        ({"ok": {"yes": 1}}, "predictions", False),
        ({}, "predictions", False),
        ({"ok": None}, "predictions", False),
        ({}, "labels", True),
    ],
)
def test_without_consent_nothing_is_kept(raw: dict[str, Any], kind: Any, kept: bool) -> None:
    door = scrubber('consent = "ok"')
    assert (door.record(raw, kind) is not None) is kept
    assert door.table(pa.Table.from_pylist([raw or {"x": 1}]), kind)[1].tolist() == [kept]


@pytest.mark.parametrize("raw", [f"I am {MAIL}", [MAIL], 4111111111111111])
def test_what_is_no_object_is_refused_without_a_word_of_it(raw: Any) -> None:
    with pytest.raises(RecordError) as caught:
        scrubber('redact = ["*"]').record(raw)
    assert "expected an object" in str(caught.value)
    assert str(raw) not in str(caught.value)


def test_what_is_nested_too_deeply_is_refused() -> None:
    raw: dict[str, Any] = {}
    for _ in range(5000):
        raw = {"a": raw}
    with pytest.raises(RecordError, match="nested too deeply"):
        scrubber('redact = ["*"]').record(raw)


ROWS = [
    {"call": {"id": "1"}, "card": CARD, "note": f"mail {MAIL}", "city": "Rome", "n": 4111111111111111, "x": None,
     "chat": [{"role": "user", "content": MAIL}], "user": {"mail": MAIL, "age": 3}},
    {"call": {"id": "2"}, "card": None, "note": "nothing", "city": None, "n": 7, "x": None, "chat": None, "user": None},
    {"call": {"id": "3"}, "card": "x", "note": None, "city": "Rome", "n": None, "x": None,
     "chat": [{"role": "user", "content": "hello"}], "user": {"mail": None, "age": None}},
]  # fmt: skip
CAPTURES = [
    'drop = ["card", "user.age"]',
    'hash = ["user.mail", "city", "card"]',
    'redact = ["*"]',
    'redact = ["note", "chat"]\ntruncate = { note = 4 }',
    'drop = ["chat.content"]\nhash = ["user.mail"]\nredact = ["note"]',
    'drop = ["card", "x", "note"]\nredact = ["user"]',
]


@pytest.mark.parametrize("capture", CAPTURES)
@pytest.mark.parametrize("dictionary", [False, True])
def test_a_table_is_treated_like_its_rows(capture: str, dictionary: bool) -> None:
    door, table = scrubber(capture), pa.Table.from_pylist(ROWS)
    if dictionary:
        place = table.schema.get_field_index("note")
        table = table.set_column(place, "note", table["note"].dictionary_encode())
    kept, mask = door.table(table)
    assert mask.all()
    assert _bare(kept.to_pylist()) == _bare([door.record(row) for row in ROWS])


def test_a_table_of_which_nothing_is_left_keeps_its_rows() -> None:
    kept, mask = scrubber('drop = ["note"]').table(pa.table({"note": ["a", "b"]}))
    assert (kept.num_rows, mask.tolist()) == (2, [True, True])


def test_nothing_is_asked_for_nothing_is_done() -> None:
    assert scrubber_of(parse_spec(HEAD)) is None


def test_a_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = parse_spec(HEAD + 'hash = ["city"]')
    monkeypatch.setenv("WHORL_HASH_KEY", KEY.decode())
    made = scrubber_of(spec)
    assert made is not None
    assert made.record({"city": "Rome"}) == Scrubber(spec, KEY).record({"city": "Rome"})
    for short in ("", "short"):
        monkeypatch.setenv("WHORL_HASH_KEY", short)
        with pytest.raises(SpecError, match="at least 16 bytes"):
            scrubber_of(spec)


def test_a_key_file_is_its_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "hash.key"
    file.write_bytes(KEY + b"\n")
    spec = parse_spec(HEAD + f'hash = ["city"]\nhash_key_file = "{file}"')
    file.chmod(0o600)
    made = scrubber_of(spec)
    assert made is not None
    assert made.record({"city": "Rome"}) == Scrubber(spec, KEY).record({"city": "Rome"})
    for mode in (0o640, 0o604, 0o644):
        file.chmod(mode)
        with pytest.raises(SpecError, match="chmod 600") as caught:
            scrubber_of(spec)
        assert KEY.decode() not in str(caught.value)
    file.unlink()
    with pytest.raises(SpecError, match="cannot be read"):
        scrubber_of(spec)


def _bare(value: Any) -> Any:
    """Without what is null: a table has every column in every row."""
    if isinstance(value, dict):
        return {key: bare for key, one in value.items() if (bare := _bare(one)) not in (None, {})}
    return (
        [_bare(one) for one in value]
        if isinstance(value, list)
        else str(value)
        if value is not None
        else None
    )
