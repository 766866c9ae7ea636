"""OpenInference's annotations on a span are feedback: about its call, its trace, its session."""

import json
from typing import Any

import pytest
from exports import CALL, PLACE, SPAN, TRACE, always, rows, span, traced
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from whorl.capture.conventions.otlp import read_request
from whorl.capture.conventions.take import take_traces
from whorl.capture.flush import flush
from whorl.workspace import Workspace


def said(prefix: str, kind: str = "annotation", number: int = 0, **fields: Any) -> dict[str, Any]:
    return {f"{prefix}.{number}.{kind}.{name}": value for name, value in fields.items()}


@pytest.mark.parametrize(
    ("prefix", "kind", "names"),
    [
        ("annotations", "annotation", {"prediction_id": PLACE}),
        ("evaluations", "evaluation", {"prediction_id": PLACE}),
        ("trace.annotations", "annotation", {"prediction_id": TRACE}),
        ("trace.evaluations", "evaluation", {"prediction_id": TRACE}),
        ("session.annotations", "annotation", {"session_id": "s1"}),
        ("session.evaluations", "evaluation", {"session_id": "s1"}),
    ],
)
def test_what_lies_on_a_span(ws: Workspace, prefix: str, kind: str, names: dict[str, str]) -> None:
    told = said(prefix, kind, name="tone", score=0.5, label="kind", explanation="Polite.", identifier="ann")
    traced(ws, span({**CALL, **told, f"{prefix}.0.{kind}.annotator_kind": "HUMAN", "session.id": "s1"}))
    flush(ws)
    (row,) = rows(ws, "feedback")
    assert {name: row[name] for name in names} == names
    assert (row["name"], row["number"], row["kind"], row["source"]) == ("tone", 0.5, "HUMAN", "ann")
    assert (row["comment"], json.loads(row["extra"])["label"]) == ("Polite.", "kind")
    (call,) = rows(ws, "predictions")
    assert prefix not in call["extra"]


def test_several_on_a_step_that_is_no_call(ws: Workspace) -> None:
    first, second = (
        said("annotations", name="a", score=1.0),
        said("annotations", number=1, name="b", label="x"),
    )
    traced(ws, span({**first, **second, "openinference.span.kind": "TOOL"}))
    flush(ws)
    assert {(row["name"], row["prediction_id"]) for row in rows(ws, "feedback")} == {
        ("a", PLACE),
        ("b", PLACE),
    }
    (step,) = rows(ws, "spans")
    assert "annotation" not in step["attributes"]


def test_json_with_the_other_names_of_protobuf(ws: Workspace) -> None:
    """Phoenix's pages write OTLP so."""
    one = {"trace_id": TRACE, "span_id": SPAN, "start_time_unix_nano": 1767225600000000000}
    attributes = [{"key": "gen_ai.operation.name", "value": {"string_value": "chat", "int_value": None}}]
    body = {"resource_spans": [{"scope_spans": [{"spans": [{**one, "attributes": attributes}]}]}]}
    request = read_request(json.dumps(body).encode(), ExportTraceServiceRequest, json=True)
    take_traces(request, always(ws))
    flush(ws)
    assert [row["id"] for row in rows(ws, "predictions")] == [PLACE]
