"""What [capture] asks for by a tool's own names is done before its fields get ours, and what it asks for by ours after."""

import json
from typing import Any

import pytest

from whorl.capture.bulk import Bulk
from whorl.capture.importers.chunks import Chunk
from whorl.capture.importers.tool_rows import ToolRows
from whorl.capture.scrub.keyed_hash import KeyedHash
from whorl.capture.values import Notes
from whorl.clock import SimulatedClock
from whorl.spec import parse_spec

HEAD = 'name = "f"\ntask = "generation"\n[train]\ntrainer = "external"\n[capture]\n'
KEY = "0123456789abcdef0123"
WHO = "ann-secret"
HASH = KeyedHash(KEY.encode()).of(WHO)
ASKED = [{"role": "user", "content": f"I am {WHO}, who asks a long question"}]
TENSORZERO = {
    "id": "0191ca2b-6e4d-7e23-8b4b-0d5e4b6f1a11",
    "input": json.dumps({"system": "s", "messages": [{"role": "user", "content": WHO}]}),
    "output": json.dumps([{"type": "text", "text": "an answer"}]),
    "variant_name": "v",
    "episode_id": "e",
    "tags": json.dumps({"user_id": WHO}),
}
NVIDIA = {
    "timestamp": 1767225600,
    "request": {"user": WHO, "model": "m", "messages": ASKED},
    "response": {"id": "x", "choices": [{"message": {"role": "assistant", "content": "an answer"}}]},
}
LANGFUSE = {
    "id": "t1",
    "timestamp": "2026-01-01T00:00:00Z",
    "userId": WHO,
    "input": WHO,
    "output": "an answer",
    "observations": [
        {"id": "o1", "type": "GENERATION", "startTime": "2026-01-01T00:00:00Z", "userId": WHO, "input": WHO}
    ],
}
LANGFUSE_ROW = {
    "id": "t1",
    "timestamp": "2026-01-01T00:00:00Z",
    "user_id": WHO,
    "session_id": "s",
    "input": WHO,
    "output": "an answer",
}
MLFLOW = {
    "info": {
        "trace_id": "t1",
        "request_time": "2026-01-01T00:00:00Z",
        "request_preview": WHO,
        "trace_metadata": {"mlflow.trace.user": WHO},
        "state": "OK",
    },
    "data": {
        "spans": [
            {
                "span_id": "ab",
                "name": "root",
                "start_time_unix_nano": 1767225600000000000,
                "attributes": {"mlflow.spanInputs": json.dumps({"q": WHO})},
            }
        ]
    },
}
ANNOTATION = {
    "annotator_kind": "HUMAN",
    "name": "correctness",
    "span_id": "ab",
    "created_at": "2026-01-01T00:00:00Z",
    "identifier": WHO,
    "result": {"score": 1.0, "explanation": WHO},
}


def _taken(format: Any, row: Any, capture: str, clock: SimulatedClock) -> dict[str, list[dict[str, Any]]]:
    """The rows of each table, after all of what a tool's row holds was taken in."""
    spec, notes = parse_spec(HEAD + capture), Notes()
    found, refused = ToolRows(spec, format, None, notes).records(Chunk(share=1, records=[row], numbers=[1]))
    assert refused == []
    tables: dict[str, list[dict[str, Any]]] = {}
    for kind, numbered in found.items():
        rows = Bulk(spec, KEY, native=True).rows_of(kind, numbered, clock.now(), notes)
        assert rows.refused == []
        tables |= {name: table.to_pylist() for name, table in rows.tables.items()}
    return tables


@pytest.mark.parametrize(
    ("format", "row", "own", "ours"),
    [
        ("tensorzero", TENSORZERO, '"tags.user_id", "input.messages.content"', '"group", "messages", "tags.user_id"'),
        ("tensorzero", TENSORZERO, '"tags", "input"', '"group", "messages", "tags"'),
        ("nvidia", NVIDIA, '"request.user", "request.messages"', '"group", "messages"'),
        ("nvidia", {"_source": NVIDIA}, '"request.user", "request.messages"', '"group", "messages"'),
        ("langfuse", LANGFUSE, '"userId", "input"', '"group", "messages", "user_id"'),
        ("langfuse", LANGFUSE, '"user_id", "observations.input", "input"', '"group", "messages"'),
        ("langfuse", {"trace": LANGFUSE}, '"userId", "input"', '"group", "messages", "user_id"'),
        ("langfuse", LANGFUSE_ROW, '"user_id", "input"', '"messages", "user_id"'),
        ("mlflow", MLFLOW, '"mlflow.trace.user", "mlflow.spanInputs"', '"group", "messages", "attributes"'),
        ("mlflow", MLFLOW, '"info.trace_metadata", "info.request_preview", "mlflow.spanInputs"', '"group", "messages", "attributes"'),
        ("phoenix", ANNOTATION, '"identifier", "result.explanation"', '"source", "comment"'),
    ],
)  # fmt: skip
def test_by_either_names_it_goes(
    format: str, row: dict[str, Any], own: str, ours: str, clock: SimulatedClock
) -> None:
    assert WHO in str(_taken(format, row, "", clock))
    assert WHO not in str(_taken(format, row, f"drop = [{own}]", clock))
    assert WHO not in str(_taken(format, row, f"drop = [{ours}]", clock))


@pytest.mark.parametrize("paths", ['["tags.user_id"]', '["tags.user_id", "group"]'])
@pytest.mark.parametrize("tags", [{"user_id": WHO}, json.dumps({"user_id": WHO})])
def test_a_hash_is_one_wherever_it_lies(
    paths: str, tags: Any, clock: SimulatedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHORL_HASH_KEY", KEY)
    (row,) = _taken("tensorzero", {**TENSORZERO, "tags": tags}, f"hash = {paths}", clock)["predictions"]
    assert row["group_id"] == HASH
    assert json.loads(row["extra"])["tags"] == {"user_id": HASH}


def test_cells_stay_readable_when_they_are_cut_or_redacted(clock: SimulatedClock) -> None:
    row = {
        **TENSORZERO,
        "input": json.dumps({"messages": [{"role": "user", "content": "mail ann@example.org"}]}),
    }
    capture = 'redact = ["input", "output"]\ntruncate = { input = 8, output = 4, tags = 3 }'
    (kept,) = _taken("tensorzero", row, capture, clock)["predictions"]
    assert json.loads(kept["messages"]) == [{"role": "user", "content": "mail <EM"}]
    assert (kept["output"], kept["group_id"]) == ("an a", WHO[:3])


def test_what_is_dropped_leaves_a_row_that_is_known(clock: SimulatedClock) -> None:
    row = {name: TENSORZERO[name] for name in ("id", "input", "output")}
    (kept,) = _taken("tensorzero", row, 'drop = ["input"]', clock)["predictions"]
    assert (kept["messages"], kept["output"]) == (None, "an answer")


def test_a_row_whose_numbers_no_float_holds_is_refused_by_itself() -> None:
    span = {"span_id": "ab", "start_time_unix_nano": 1, "end_time_unix_nano": 10**400}
    rows = [{"info": MLFLOW["info"], "data": {"spans": [span]}}, MLFLOW, {"\ud83d": 1}]
    reader = ToolRows(parse_spec(HEAD), "mlflow", None, Notes())
    found, refused = reader.records(Chunk(share=1, records=rows, numbers=[1, 2, 3]))
    assert [number for number, _ in found["predictions"]] == [2]
    assert [(one.index, one.code) for one in refused] == [(1, "shape"), (3, "unknown")]
    assert all(one.message.encode() for one in refused)
