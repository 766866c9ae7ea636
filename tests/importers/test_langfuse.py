"""Langfuse: rows typed from its public schemas.

Blob storage exports: langfuse/langfuse-docs, `content/docs/api-and-data-platform/features/blob-storage-export-fields.mdx`. API
and pages (camelCase, traces with what is in them): Langfuse's OpenAPI description, `TraceWithFullDetails`, `Score`, `ScoreV3`,
`ObservationV2`.
"""

from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from whorl.capture.importers import documents, json_lines
from whorl.capture.importers.exports import ingest_export
from whorl.errors import SourceError
from whorl.workspace import Workspace

ASKED = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]
ROOT = {
    "id": "obs-root", "trace_id": "trace-1", "project_id": "p", "environment": "production", "type": "SPAN",
    "parent_observation_id": "", "start_time": "2025-12-01 10:00:00.000000", "end_time": "2025-12-01 10:00:02.500000",
    "name": "handle", "metadata": {"purpose": "support"}, "level": "DEFAULT", "input": '{"question": "Why?"}',
    "output": "Because.", "user_id": "ann", "session_id": "s-1", "trace_name": "support-chat", "tags": ["beta"],
    "release": "1.4", "usage_details": {}, "cost_details": {},
}  # fmt: skip
GENERATION = {
    **ROOT, "id": "obs-gen", "type": "GENERATION", "parent_observation_id": "obs-root", "name": "answer",
    "start_time": "2025-12-01 10:00:00.500000", "end_time": "2025-12-01 10:00:01.500000", "latency": 1.0,
    "input": msgspec.json.encode(ASKED).decode(), "output": '{"role": "assistant", "content": "Because."}',
    "provided_model_name": "gpt-large", "model_parameters": '{"temperature":0.7}', "prompt_name": "support",
    "prompt_version": 3, "usage_details": {"input": 20, "output": 2, "total": 22},
    "cost_details": {"input": 0.001, "output": 0.002}, "total_cost": 0.003,
}  # fmt: skip
TOOL = {
    **ROOT,
    "id": "obs-tool",
    "type": "TOOL",
    "parent_observation_id": "obs-root",
    "name": "lookup",
    "level": "ERROR",
}
SCORES = [
    {
        "id": "sc-1", "timestamp": "2025-12-01 11:00:00.000000", "trace_id": "trace-1", "observation_id": None,
        "session_id": None, "name": "helpful", "value": 1, "source": "ANNOTATION", "comment": "Good.",
        "data_type": "BOOLEAN", "string_value": "True",
    },
    {
        "id": "sc-2", "timestamp": "2025-12-01 11:00:01.000000", "trace_id": "trace-1", "observation_id": "obs-gen",
        "name": "tone", "value": 2, "source": "EVAL", "data_type": "CATEGORICAL", "string_value": "kind",
    },
    {
        "id": "sc-3", "timestamp": "2025-12-01 11:00:02.000000", "trace_id": None, "session_id": "s-1", "name": "solved",
        "value": 0.5, "source": "API", "data_type": "NUMERIC", "string_value": None,
    },
    {
        "id": "sc-4", "timestamp": "2025-12-01 11:00:03.000000", "trace_id": "trace-1", "name": "output",
        "value": 0, "source": "ANNOTATION", "data_type": "CORRECTION", "string_value": "Because it is so.",
    },
]  # fmt: skip
NESTED = {
    "id": "trace-2", "timestamp": "2025-12-02T10:00:00.000Z", "name": "chat", "input": {"messages": ASKED},
    "output": {"role": "assistant", "content": "So."}, "sessionId": "s-2", "userId": "bob", "latency": 1.25,
    "totalCost": 0.01, "tags": [], "htmlPath": "/project/p/traces/trace-2",
    "observations": [
        {
            "id": "g-2", "traceId": "trace-2", "type": "GENERATION", "name": "call", "parentObservationId": None,
            "startTime": "2025-12-02T10:00:00.100Z", "endTime": "2025-12-02T10:00:01.100Z", "model": "gpt-small",
            "input": ASKED, "output": "So.", "usage": {"input": 9, "output": 1, "total": 10, "unit": "TOKENS"},
            "calculatedTotalCost": 0.01,
        }
    ],
    "scores": [
        {
            "id": "sc-9", "traceId": "trace-2", "name": "stars", "value": 4, "source": "API", "dataType": "NUMERIC",
            "timestamp": "2025-12-02T11:00:00.000Z",
        }
    ],
}  # fmt: skip


def test_an_enriched_export(ws: Workspace, lines: Any, rows: Any) -> None:
    report = ingest_export(ws, lines(ROOT, GENERATION, TOOL), "langfuse")
    assert (report.accepted, report.refused) == (4, 0)
    trace, generation = rows("predictions")
    assert (trace["id"], trace["output"], trace["latency_ms"]) == ("trace-1", "Because.", 2500)
    assert trace["messages"] == '[{"role":"user","content":"Why?"}]'
    assert (trace["input_tokens"], trace["cost_usd"], trace["parent_id"]) == (None, None, None)
    assert (generation["id"], generation["trace_id"], generation["parent_id"]) == (
        "obs-gen",
        "trace-1",
        "obs-root",
    )
    assert msgspec.json.decode(generation["messages"]) == ASKED
    assert (generation["output"], generation["model_version"], generation["variant"]) == (
        "Because.", "gpt-large", "support:3"
    )  # fmt: skip
    assert (generation["input_tokens"], generation["output_tokens"], generation["cost_usd"]) == (20, 2, 0.003)
    assert generation["latency_ms"] == 1000
    for row in (trace, generation):
        assert (row["group_id"], row["session_id"], row["f_purpose"]) == ("ann", "s-1", "support")
    assert trace["split"] == generation["split"]
    assert [(span["name"], span["status"]) for span in rows("spans")] == [
        ("handle", "ok"),
        ("lookup", "error"),
    ]
    assert report.notes == []


def test_scores(ws: Workspace, lines: Any, rows: Any) -> None:
    report = ingest_export(ws, lines(*SCORES), "langfuse")
    assert (report.accepted, report.labels) == (4, 1)
    helpful, tone, solved = rows("feedback")
    assert (helpful["prediction_id"], helpful["value"], helpful["kind"]) == ("trace-1", "true", "HUMAN")
    assert helpful["comment"] == "Good."
    assert (tone["prediction_id"], tone["value"], tone["kind"]) == ("obs-gen", '"kind"', "LLM_JUDGE")
    assert (solved["session_id"], solved["number"], solved["kind"]) == ("s-1", 0.5, "CODE")
    (label,) = rows("labels")
    assert (label["prediction_id"], label["value"]) == ("trace-1", '"Because it is so."')


def test_a_score_is_the_truth_when_it_is_named_so(ws: Workspace, lines: Any, rows: Any) -> None:
    ingest_export(ws, lines(*SCORES), "langfuse", truth="helpful")
    assert [(row["prediction_id"], row["value"]) for row in rows("labels")] == [("trace-1", "true")]
    assert {row["name"] for row in rows("feedback")} == {"output", "tone", "solved"}


def test_the_older_export_has_traces_of_their_own(ws: Workspace, lines: Any, rows: Any) -> None:
    trace = {
        "id": "trace-1", "timestamp": "2025-12-01 10:00:00.000000", "name": "support-chat", "user_id": "ann",
        "session_id": "s-1", "tags": ["beta"], "input": '{"question": "Why?"}', "output": "Because.", "metadata": {},
    }  # fmt: skip
    context = ("user_id", "session_id", "trace_name", "tags", "release")
    older = {name: value for name, value in GENERATION.items() if name not in context}
    assert ingest_export(ws, lines(trace, older), "langfuse").accepted == 2
    assert {row["group_id"] for row in rows("predictions")} == {"trace-1"}
    assert '"user_id":"ann"' in rows("predictions")[0]["extra"]
    both = lines(ROOT, GENERATION, name="both.jsonl")
    ingest_export(ws, both, "langfuse")
    assert ingest_export(ws, both, "langfuse").accepted == 0
    assert {row["id"] for row in rows("predictions")} == {"trace-1", "obs-gen"}


@pytest.mark.parametrize("shape", ["lines", "array", "page", "indented", "downloaded"])
def test_a_trace_with_what_is_in_it(ws: Workspace, tmp_path: Path, rows: Any, shape: str) -> None:
    inner = {name: value for name, value in NESTED.items() if name != "observations"}
    written: dict[str, Any] = {
        "lines": NESTED,
        "array": [NESTED],
        "page": {"data": [NESTED], "meta": {"page": 1, "totalPages": 1}},
        "indented": NESTED,
        "downloaded": {"trace": inner, "observations": NESTED["observations"]},
    }
    path = tmp_path / "trace.json"
    content = msgspec.json.encode(written[shape])
    path.write_bytes(msgspec.json.format(content, indent=2) if shape != "lines" else content)
    report = ingest_export(ws, path, "langfuse")
    assert (report.accepted, report.refused) == (3, 0)
    trace, generation = rows("predictions")
    assert (trace["id"], trace["output"], trace["latency_ms"], trace["group_id"]) == (
        "trace-2",
        "So.",
        1250,
        "bob",
    )
    assert (generation["parent_id"], generation["group_id"], generation["session_id"]) == (
        "trace-2",
        "bob",
        "s-2",
    )
    assert (generation["input_tokens"], generation["cost_usd"]) == (9, 0.01)
    assert [(row["name"], row["number"]) for row in rows("feedback")] == [("stars", 4.0)]


def test_an_array_is_read_in_chunks_and_bad_rows_are_listed(
    ws: Workspace, tmp_path: Path, rows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_lines, "CHUNK_ROWS", 2)
    path = tmp_path / "scores.json"
    found = [{**SCORES[0], "id": f"s{n}"} for n in range(5)] + [{"id": "x", "what": 1}]
    path.write_bytes(msgspec.json.encode(found))
    shares: list[float] = []
    report = ingest_export(ws, path, "langfuse", progress=shares.append)
    assert (report.accepted, report.refused, len(shares), shares[-1]) == (5, 1, 3, 1.0)
    assert (report.rejects[0].index, report.rejects[0].code) == (6, "unknown")
    assert len(rows("feedback")) == 5


def test_files_that_cannot_be_read(ws: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SourceError, match="no such file"):
        ingest_export(ws, tmp_path / "none.json", "langfuse")
    for content, part in ((b"", "empty"), (b'[{"id": 1}, {', "not JSON")):
        path = tmp_path / "bad.json"
        path.write_bytes(content)
        with pytest.raises(SourceError, match=part):
            ingest_export(ws, path, "langfuse")
    monkeypatch.setattr(documents, "MAX_DOCUMENT_BYTES", 10)
    path.write_bytes(msgspec.json.encode(SCORES))
    with pytest.raises(SourceError, match="larger than"):
        ingest_export(ws, path, "langfuse")


def test_parquet_which_new_integrations_write(ws: Workspace, tmp_path: Path, rows: Any) -> None:
    """Maps, times and decimals have types of their own there."""
    written: dict[str, Path] = {}
    for name, found in (("observations", [ROOT, GENERATION, TOOL]), ("scores", SCORES)):
        columns = {key: [row.get(key) for row in found] for key in found[1] | found[0]}
        for key in ("metadata", "usage_details", "cost_details"):
            if key in columns:
                value = pa.string() if key == "metadata" else pa.decimal128(38, 12)
                maps = [list((one or {}).items()) for one in columns[key]]
                plain = pa.array(
                    [[(k, v if key == "metadata" else str(v)) for k, v in one] for one in maps],
                    pa.map_(pa.string(), pa.string()),
                )
                columns[key] = (
                    plain
                    if key == "metadata"
                    else pa.MapArray.from_arrays(plain.offsets, plain.keys, plain.items.cast(value))
                )
        for key in ("start_time", "end_time", "timestamp"):
            if key in columns:
                times = [datetime.fromisoformat(f"{one}+00:00") for one in columns[key]]
                columns[key] = pa.array(times, pa.timestamp("ms", "UTC"))
        written[name] = tmp_path / f"{name}.parquet"
        pq.write_table(pa.table(columns), written[name])
    report = ingest_export(ws, written["observations"], "langfuse")
    assert (report.accepted, report.refused) == (4, 0)
    trace, generation = rows("predictions")
    assert (trace["id"], trace["latency_ms"], trace["f_purpose"]) == ("trace-1", 2500, "support")
    assert (generation["input_tokens"], generation["output_tokens"], generation["cost_usd"]) == (20, 2, 0.003)
    assert ingest_export(ws, written["scores"], "langfuse").accepted == 4


def test_scores_of_api_v3_say_what_they_are_about_in_one_object(ws: Workspace, lines: Any, rows: Any) -> None:
    shared = {"projectId": "p", "environment": "default", "timestamp": "2025-12-01T11:00:00.000Z"}
    about = [
        {"kind": "observation", "id": "obs-gen", "traceId": "trace-1"},
        {"kind": "trace", "id": "trace-1"},
        {"kind": "session", "id": "s-1"},
        {"kind": "trace", "id": "trace-1"},
    ]
    values = [("CATEGORICAL", "kind"), ("BOOLEAN", True), ("NUMERIC", 0.5), ("CORRECTION", "So.")]
    found = [
        {
            **shared,
            "id": f"v{n}",
            "name": f"n{n}",
            "source": "EVAL",
            "dataType": kind,
            "value": value,
            "subject": one,
        }
        for n, (one, (kind, value)) in enumerate(zip(about, values, strict=True))
    ]
    report = ingest_export(ws, lines({"data": found, "meta": {"limit": 50}}), "langfuse")
    assert (report.accepted, report.labels) == (4, 1)
    told = [(row["prediction_id"], row["session_id"], row["value"]) for row in rows("feedback")]
    assert told == [("obs-gen", None, '"kind"'), ("trace-1", None, "true"), (None, "s-1", "0.5")]
    assert [(row["prediction_id"], row["value"]) for row in rows("labels")] == [("trace-1", '"So."')]


def test_observations_of_api_v2_name_their_root(ws: Workspace, lines: Any, rows: Any) -> None:
    """Without the group `trace_context` they have no name of their trace; a root may have a parent outside."""
    root = {
        "id": "o1", "traceId": "trace-3", "projectId": "p", "parentObservationId": "outside", "type": "AGENT",
        "name": "agent", "startTime": "2025-12-02T10:00:00.000Z", "endTime": "2025-12-02T10:00:01.000Z",
        "isRootObservation": True, "userId": "eve", "sessionId": "s-3", "input": '{"messages": []}', "output": "Yes.",
    }  # fmt: skip
    call = {
        **root, "id": "o2", "type": "GENERATION", "isRootObservation": False, "parentObservationId": "o1",
        "providedModelName": "gpt-large", "usageDetails": {"input": 3, "output": 1}, "totalCost": 0.1,
    }  # fmt: skip
    report = ingest_export(ws, lines({"data": [root, call], "meta": {"cursor": "x"}}), "langfuse")
    assert (report.accepted, report.refused) == (3, 0)
    assert [(row["id"], row["group_id"], row["input_tokens"]) for row in rows("predictions")] == [
        ("o2", "eve", 3),
        ("trace-3", "eve", None),
    ]
