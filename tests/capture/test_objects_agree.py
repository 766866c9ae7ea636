"""Many records of a body give the very rows, refusals and notes by columns that they give one by one."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from whorl.capture import bulk as module
from whorl.capture import object_columns
from whorl.capture.bulk import Rows, WaitingBulk
from whorl.capture.mapping import Kind
from whorl.capture.values import Notes
from whorl.client.encode import LOGGED_AT
from whorl.spec import Spec, parse_spec

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BODY = """
[schema]
time = "when"
group = "user.id"
label = "truth.value"
label_time = "truth_at"
score = "answer.p"
keys = { order = "order_no" }
protected = ["age"]
[schema.features]
f = "float"
i = "int"
b = "bool"
c = "category"
t = { type = "text", path = "inner.t" }
"""
HEADS = {
    "binary": 'name="f"\ntask="binary"',
    "multiclass": 'name="f"\ntask="multiclass"',
    "regression": 'name="f"\ntask="regression"',
    "generation": 'name="f"\ntask="generation"',
}
TAILS = {"generation": '[train]\ntrainer="external"'}
SPECS = {task: parse_spec(head + BODY + TAILS.get(task, "")) for task, head in HEADS.items()}
TEXTS = [
    "", " ", "1", "1.0", "-3", "5.00", "007", "1e3", "1e999", "true", "FALSE", "nan", "NA", "inf", "bad", "a\x00b", "é", "\U00010000",
    "x" * 600, "2025-01-31", "2024-02-29", "2025-02-30", "2025-12-01 10:00:00.123", "2025-12-01T10:00:00+02:00",
    "2025-12-01T10:00:00.123456789Z", "20251201", "1764547200", "2030-01-01T00:00:00Z", '{"a": 1}', "[]", "line\nline", '"',
]  # fmt: skip
# As they stand in a body: some forms cannot be written by an encoder.
TOKENS = [
    "null", "true", "false", "0", "-0", "1", "-1", "1.0", "-0.0", "0.5", "1E5", "1e-7", "9007199254740993", "9007199254740993.0",
    "1764547200", "1764547200000", "1764547200.5", "9223372036854775807", "9223372036854775808", "18446744073709551616",
    "123456789012345678901234567890", "1e308", "[]", "[1, 2.5]", "{}", '{"t": "x"}', '{"t": null, "z": 1}', '{"id": 7}',
    '{"id": "u1", "more": null}', '{"value": true, "by": "x"}', '{"value": 1, "timestamp": "2025-12-01T00:00:00Z"}',
    '{"value": "bad"}', '{"value": null}', '{"p": 0.25}', '{"p": 2, "q": {"r": [null]}}', '{"p": 123456789012345678901234567890}',
    '{"q": 123456789012345678901234567890}', '{"a": 1, "a": 2}', '{"t": {"u": 1}}', '"\\u00e9\\n\\u0000"', '"\\ud83d\\ude00"',
    '[{"role": "user", "content": "hi"}]', '[{"id": "a", "position": 1}]', '{"yes": 0.4, "no": 0.6}', '{"a": {"b": {"c": 1}}}',
]  # fmt: skip
NAMES = [
    "id", "when", "user", "user.id", "truth", "truth.value", "truth_at", "label_source", "order_no", "age", "f", "i", "b", "c",
    "inner", "inner.t", "features", "answer", "score", "scores", "output", "action", "propensity", "latency_ms", "input_tokens",
    "items", "messages", "content", "trace_id", "extra", "more", "other", "prediction_id", "keys", "value", "session",
    LOGGED_AT, "when",
]  # fmt: skip
values = st.one_of(
    st.sampled_from(TOKENS),
    st.sampled_from(TEXTS).map(json.dumps),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.integers(-(2**66), 2**66).map(str),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=4).map(json.dumps),
)
# What each place holds in a body as it should be, in the forms that mean something.
NUMBERS, WORDS = ["0.5", "1", "null", "2.5"], ['"a"', '"b"', "null"]
FITTING: dict[str, list[str]] = {
    "user": ['{"id": "u1"}', '{"id": 7}', '{"id": "u2", "more": [1, null]}', "{}"],
    "truth": ['{"value": true}', '{"value": 0, "by": "x"}', '{"value": null, "by": "x"}', '{"by": {"c": null}}'],
    "truth_at": ['"2025-12-02T00:00:00Z"', '"2025-12-02"', "1764547200", "null"],
    "label_source": WORDS, "order_no": ['"o1"', "17"], "age": ['"old"', '"young"'], "f": NUMBERS, "i": ["1", "2", "null"],
    "b": ["true", "false"], "c": [*WORDS, "1"], "inner": ['{"t": "x"}', '{"t": null, "z": 1}', '{"t": "y", "z": {"t": 1}}'],
    "features": ['{"f": 1.5}', '{"f": 2, "more": 3}', '{"i": 1, "b": false}'], "answer": ['{"p": 0.25}', '{"p": 1, "q": "r"}'],
    "output": WORDS, "action": WORDS, "propensity": ["0.5", "1"], "latency_ms": NUMBERS, "input_tokens": ["1", "2"],
    "trace_id": WORDS, LOGGED_AT: ['"2025-12-03T00:00:00Z"', '"2025-12-03T00:00:00"', "null"],
    "when": ['"2025-12-01T10:00:00Z"', "null", "1764547200"], "session": ['"s"'], "extra": ['{"more": 1}', '{"deep": {"x": [1.0, 1]}}', "3"],
}  # fmt: skip
ANY = [*WORDS, "1", "1.0", "true", '{"x": null}', "[1]"]


@st.composite
def bodies(draw: st.DrawFn) -> list[bytes]:
    """Records as they stand in a body; some have a key twice, some are no objects."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=8))
    plans = {
        name: st.sampled_from(draw(st.sampled_from([FITTING.get(name, ANY)] * 9 + [ANY]))) for name in names
    }
    plain, wild = draw(st.integers(0, 9)) > 0, draw(st.integers(0, 3)) == 0
    lines, labelled = [], draw(st.booleans())
    for number in range(draw(st.integers(1, 8))):
        parts = (
            [f'"id": "id{number}", "when": "2025-12-01T10:00:0{number}Z", "time": 1764547200']
            if plain
            else []
        )
        parts += ['"truth": {"value": true}'] if plain and labelled else []
        for name in names:
            how = draw(st.integers(0, 9))
            if how:
                parts.append(f"{json.dumps(name)}: {draw(values if wild and how == 1 else plans[name])}")
        odd = wild and draw(st.integers(0, 20)) == 0
        lines.append((draw(values) if odd else "{" + ", ".join(parts) + "}").encode())
    return lines


def _rows(bulk: WaitingBulk, kind: Kind, raws: list[Any], monkeypatch: pytest.MonkeyPatch, many: int) -> Any:
    notes = Notes()
    monkeypatch.setattr(module, "MANY", many)
    found: Rows = bulk.rows_of(kind, list(enumerate(raws)), NOW, notes)
    tables = {name: sorted(repr(row) for row in table.to_pylist()) for name, table in found.tables.items()}
    return tables, found.accepted, sorted(found.refused, key=lambda r: r.index), notes


def _compare(spec: Spec, kind: Kind, lines: list[bytes], *, native: bool = False) -> None:
    bulk, raws = WaitingBulk(spec, native=native), []
    for line in lines:
        try:
            raws.append(msgspec.json.decode(line))
        except msgspec.DecodeError:
            continue
    with pytest.MonkeyPatch.context() as patch:
        assert _rows(bulk, kind, raws, patch, 0) == _rows(bulk, kind, raws, patch, 10**9)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    lines=bodies(),
    task=st.sampled_from(sorted(SPECS)),
    kind=st.sampled_from(["predictions", "predictions", "labels"]),
    native=st.sampled_from([False, False, False, True]),
)
def test_any_small_body(lines: list[bytes], task: str, kind: Kind, native: bool) -> None:
    _compare(SPECS[task], kind, lines, native=native)


def test_plain_records_never_leave_the_fast_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    bulk = WaitingBulk(SPECS["binary"])
    monkeypatch.setattr(bulk._mapper, "read", None)
    raws = [
        {
            "id": f"t{n}", "when": "2025-12-01T10:00:00Z", "user": {"id": n}, "f": n if n % 2 else n / 4, "i": n, "b": True,
            "c": "a", "inner": {"t": "x"}, "answer": {"p": 0.5}, "truth": {"value": True, "by": "ann"}, "more": {"x": [n, None]},
        }
        for n in range(module.MANY)
    ]  # fmt: skip
    found = bulk.rows_of("predictions", list(enumerate(raws)), NOW, Notes())
    assert (found.accepted, found.tables["labels"].num_rows, found.refused) == (len(raws), len(raws), [])
    last = found.tables["predictions"].to_pylist()[-1]
    assert (last["group_id"], last["extra"]) == (
        str(len(raws) - 1),
        f'{{"more":{{"x":[{len(raws) - 1},null]}}}}',
    )


def test_one_odd_row_costs_what_it_costs_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    bulk = WaitingBulk(SPECS["binary"])
    mapped: list[Any] = []
    one_by_one = bulk._mapper.read
    monkeypatch.setattr(bulk._mapper, "read", lambda *args: mapped.append(args[1]) or one_by_one(*args))
    raws = [{"id": f"t{n}", "when": "2025-12-01T10:00:00Z", "f": 0.5} for n in range(module.MANY)]
    raws[7]["f"] = "much"
    found = bulk.rows_of("predictions", list(enumerate(raws)), NOW, Notes())
    assert [refusal.index for refusal in found.refused] == [7]
    assert mapped == [raws[7]]


def test_the_comparison_sees_a_column_that_changes_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_columns, "EXACT", 2.0**70)
    lines = [
        b'{"id": "a", "when": "2025-12-01T10:00:00Z", "c": 9007199254740993}',
        b'{"id": "b", "when": "2025-12-01T10:00:00Z", "c": 0.5}',
    ]
    with pytest.raises(AssertionError):
        _compare(SPECS["binary"], "predictions", lines)


def test_rows_survive_being_sealed() -> None:
    from whorl.capture.sealed import pack_rows

    raws = [{"id": f"t{n}", "when": "2025-12-01T10:00:00Z", "order_no": n} for n in range(module.MANY)]
    table = (
        WaitingBulk(SPECS["binary"])
        .rows_of("predictions", list(enumerate(raws)), NOW, Notes())
        .tables["predictions"]
    )
    assert pa.ipc.open_stream(pack_rows(table)).read_all().equals(table)
