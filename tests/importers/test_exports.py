"""What holds for every format: what was there stays single, what may not be kept is not, and a killed run goes on."""

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from log_lines import log_line

from whorl.capture.importers import json_lines
from whorl.capture.importers.chunks import Chunk
from whorl.capture.importers.exports import ingest_export
from whorl.capture.importers.tool_rows import FORMATS, ToolRows
from whorl.capture.mapping import native_mapper
from whorl.capture.values import Notes
from whorl.clock import SimulatedClock
from whorl.errors import RecordError
from whorl.spec import parse_spec
from whorl.workspace import open_workspace

SPEC = """
name = "assistant"
task = "generation"
[train]
trainer = "external"
"""
PRIVATE = """
[capture]
consent = "metadata.consent"
redact = ["messages", "output"]
drop = ["metadata.secret"]
"""


def trace(name: str, **metadata: Any) -> dict[str, Any]:
    return {
        "id": name,
        "timestamp": "2025-12-02T10:00:00.000Z",
        "input": f"I am {name}@example.org",
        "output": "Hello.",
        "metadata": {"secret": "xyzzy", **metadata},
        "scores": [
            {
                "id": f"score-{name}", "traceId": name, "name": "stars", "value": 4, "source": "API",
                "dataType": "NUMERIC", "comment": f"by {name}", "timestamp": "2025-12-02T11:00:00.000Z",
            }
        ],
    }  # fmt: skip


def test_a_file_that_is_killed_in_any_append_goes_on(
    tmp_path: Path, clock: SimulatedClock, lines: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_lines, "CHUNK_ROWS", 2)
    path = lines(*(trace(f"t{n}") for n in range(5)))
    for death in range(1, 7):
        with open_workspace(parse_spec(SPEC), tmp_path / f"ws{death}", clock=clock) as ws:
            real, calls = ws.lake.append, []

            def dying(
                *args: Any, real: Any = real, calls: list[Any] = calls, death: int = death, **kwargs: Any
            ) -> bool:
                calls.append(args)
                # Before the append at odd, after it at even calls.
                if len(calls) == death and death % 2:
                    raise OSError("pulled the plug")
                done: bool = real(*args, **kwargs)
                if len(calls) == death:
                    raise OSError("pulled the plug")
                return done

            with monkeypatch.context() as broken:
                broken.setattr(ws.lake, "append", dying)
                with pytest.raises(OSError, match="plug"):
                    ingest_export(ws, path, "langfuse")
            ingest_export(ws, path, "langfuse")
            for table in ("predictions", "feedback"):
                found = ws.engine.query(f"SELECT id FROM {ws.lake.relation(table)}")["id"].to_pylist()  # type: ignore[arg-type]
                assert sorted(found) == sorted({f"{'score-' * (table == 'feedback')}t{n}" for n in range(5)})


def test_exports_that_overlap_double_nothing(ws: Any, lines: Any, rows: Any) -> None:
    january = lines(*(log_line(n) for n in range(3)), name="january.jsonl")
    both = lines(*(log_line(n) for n in range(5)), name="both.jsonl")
    assert ingest_export(ws, january, "nvidia").accepted == 3
    report = ingest_export(ws, both, "nvidia")
    assert (report.accepted, report.already) == (2, False)
    assert "3 record(s) were in the lake already." in report.notes
    assert len(rows("predictions")) == 5


def test_what_may_not_be_kept_is_not(tmp_path: Path, clock: SimulatedClock, lines: Any) -> None:
    path = lines(trace("yes", consent="yes"), trace("no", consent="no"), trace("silent"))
    with open_workspace(parse_spec(SPEC + PRIVATE), tmp_path / "ws", clock=clock) as ws:
        report = ingest_export(ws, path, "langfuse")
        (row,) = ws.engine.query(f"SELECT * FROM {ws.lake.relation('predictions')}").to_pylist()
        said = ws.engine.query(f"SELECT * FROM {ws.lake.relation('feedback')}").to_pylist()
    assert row["id"] == "yes"
    assert "<EMAIL>" in row["messages"]
    assert [one["prediction_id"] for one in said] == ["yes"]
    assert "2 record(s) were not kept: there was no consent." in report.notes
    kept = b"".join(file.read_bytes() for file in (tmp_path / "ws").rglob("*") if file.is_file())
    for word in (b"xyzzy", b"by no", b"by silent", b"no@example", b"silent@example"):
        assert word not in kept


def test_a_row_that_is_refused_says_why_and_its_neighbours_stay(ws: Any, lines: Any) -> None:
    late = {**log_line(1), "timestamp": "yesterday"}
    report = ingest_export(ws, lines(late, log_line(2)), "nvidia")
    assert (report.accepted, [(one.index, one.code) for one in report.rejects]) == (1, [(1, "time")])
    assert report.rejects_path is not None
    assert msgspec.json.decode(Path(report.rejects_path).read_bytes())["line"] == 1


ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=4)
    | st.sampled_from(["GENERATION", "USER", "{", "[1]"]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["role", "content", "type"]), inner)
    ),
    max_leaves=5,
)
FIELDS = [
    *log_line(1), *trace("a"), "info", "data", "type", "start_time", "trace_id", "inference_id", "value", "model_name",
    "target_id", "metric_name", "variant_name", "output", "tags", "source", "observations", "subject", "is_root_observation",
    "annotator_kind", "context", "context.span_id", "context.trace_id", "span_id", "session_id", "spans", "traceId", "result",
    "attributes", "attributes.input.value", "attributes.annotations", "events", "end_time", "status_code", "annotations",
]  # fmt: skip


@given(row=st.dictionaries(st.sampled_from(FIELDS), ODD), format=st.sampled_from(FORMATS))
@settings(max_examples=300, deadline=None)
def test_no_row_breaks_a_reader(row: dict[str, Any], format: Any) -> None:
    reader = ToolRows(parse_spec(SPEC), format, None, Notes())
    found, refused = reader.records(Chunk(share=1.0, records=[row], numbers=[1]))
    mapper = native_mapper(parse_spec(SPEC))
    for kind, numbered in found.items():
        for _, record in numbered:
            with suppress(RecordError):
                mapper.map(kind, record, datetime(2026, 1, 1, tzinfo=UTC), Notes())
    assert all(one.code in ("unknown", "shape", "time") for one in refused)
