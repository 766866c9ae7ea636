"""Spans: a model call becomes a prediction, and every span a step of its trace. Told apart by attributes, never by name."""

from collections.abc import Iterable, Iterator
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from whorl.capture.conventions.aliases import MODEL_CALLS, Attributes
from whorl.capture.conventions.evaluations import EVALUATION, evaluation_record, take_annotations
from whorl.capture.conventions.otlp import plain_attributes
from whorl.capture.conventions.telemetry import (
    Declared,
    Raw,
    Telemetry,
    at,
    beside,
    call_record,
    ids,
    service_of,
)

Resource = dict[str, Any]
_STATUS = {Status.STATUS_CODE_OK: "ok", Status.STATUS_CODE_ERROR: "error"}
# What an exception's event says that its span may not.
_EXCEPTION = ("exception.type", "exception.message")


def spans_of(request: ExportTraceServiceRequest) -> Iterator[tuple[Resource, list[Span]]]:
    """The spans of each resource."""
    for one in request.resource_spans:
        yield (
            plain_attributes(one.resource.attributes),
            [span for scope in one.scope_spans for span in scope.spans],
        )


def add_span(into: Telemetry, span: Span, resource: Resource, declared: Declared, place: int) -> None:
    """What one span becomes."""
    trace_id, span_id, parent_id = ids((span.trace_id, span.span_id, span.parent_span_id))
    took_ms = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e6
    step: Raw = {
        "id": span_id,
        "trace_id": trace_id,
        "parent_id": parent_id,
        "time": span.start_time_unix_nano or None,
        "name": span.name or None,
        "duration_ms": took_ms if took_ms >= 0 else None,
        "status": _STATUS.get(span.status.code),
    }
    events = [(event.name, plain_attributes(event.attributes)) for event in span.events]
    wrong = went_wrong(span.status.message, events) if step["status"] == "error" else {}
    add_step(into, step, plain_attributes(span.attributes), wrong, resource, declared, place)
    for event, (name, about) in zip(span.events, events, strict=True):
        if name == EVALUATION:
            at_ns = event.time_unix_nano or span.end_time_unix_nano
            into.add(
                "feedback", evaluation_record(declared.attributes(about), trace_id, span_id, at_ns), place
            )


def add_step(
    into: Telemetry,
    step: Raw,
    values: dict[str, Any],
    wrong: dict[str, Any],
    resource: Resource,
    declared: Declared,
    place: int,
) -> None:
    """What one step becomes: itself, a prediction where it is a model call, and feedback where it was judged.

    Args:
        step: Fields of a native span, without attributes.
        values: Its attributes, by their names in the conventions.
        wrong: As `went_wrong` says it.
    """
    trace_id, span_id = step["trace_id"], step["id"]
    judged, values = take_annotations(values, step, declared)
    for said in judged:
        into.add("feedback", said, place)
    placed = trace_id and span_id and step["time"]
    if placed and is_model_call(values):
        call = call_record(values, resource, declared, step["name"] or "")
        call = {"id": at(trace_id, span_id), **call}
        call |= {name: step[name] for name in ("trace_id", "parent_id", "time")}
        call["extra"] |= {"span_id": span_id} | wrong
        into.add("predictions", {**call, "latency_ms": step["duration_ms"]}, place)
        into.add("spans", {**step, "prediction_id": call["id"], **declared.consent(values)}, place)
    else:
        kept = declared.attributes(values).rest()
        into.add("spans", beside(step, kept, {"service": service_of(resource, declared), **wrong}), place)


def is_model_call(values: dict[str, Any]) -> bool:
    """Whether attributes are those of a span around one call of a model."""
    operation = Attributes(values).take("operation")
    if operation is not None:
        return str(operation).lower() in MODEL_CALLS
    return Attributes(values).take("response_id") is not None


def went_wrong(message: str | None, events: Iterable[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    """Why a step failed, in its own words."""
    told: dict[str, Any] = {"error": message or "unknown"}
    for name, about in events:
        if name == "exception":
            told |= {key: about[key] for key in _EXCEPTION if key in about}
    return told
