"""Requests of OTLP built from plain values, and what became of them."""

from collections.abc import Callable
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from whorl.capture.conventions.take import Handled, take_logs, take_traces
from whorl.workspace import Workspace

TRACE, SPAN, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "00f067aa0ba902b7"
PLACE = f"{TRACE}-{SPAN}"
# 2026-01-01T00:00:00Z, where the simulated clock stands.
START_NS = 1_767_225_600_000_000_000
SUPPORT = """
name = "support"
task = "generation"
[schema]
keys = { ticket = "app.ticket" }
protected = { plan = "app.plan" }
[schema.features]
asked_model = { type = "category", path = "gen_ai.request.model" }
region = { type = "category", path = "cloud.region" }
temperature = { type = "float", path = "gen_ai.request.temperature" }
tier = "category"
[train]
trainer = "external"
"""
CALL = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o-mini"}


def value(plain: Any) -> AnyValue:
    match plain:
        case bool():
            return AnyValue(bool_value=plain)
        case int():
            return AnyValue(int_value=plain)
        case float():
            return AnyValue(double_value=plain)
        case str():
            return AnyValue(string_value=plain)
        case list():
            return AnyValue(array_value=ArrayValue(values=[value(one) for one in plain]))
        case dict():
            return AnyValue(kvlist_value=KeyValueList(values=attributes(plain)))
    raise TypeError(plain)


def attributes(plain: dict[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=key, value=value(one)) for key, one in plain.items()]


def span(plain: dict[str, Any], *, name: str = "any", span_id: str = SPAN, **fields: Any) -> Span:
    """A span of 250 ms."""
    return Span(
        trace_id=bytes.fromhex(TRACE),
        span_id=bytes.fromhex(span_id),
        parent_span_id=bytes.fromhex(PARENT),
        name=name,
        start_time_unix_nano=START_NS,
        end_time_unix_nano=START_NS + 250_000_000,
        attributes=attributes(plain),
        **fields,
    )


def event(
    name: str, body: Any = None, *, about: dict[str, Any] | None = None, after_ns: int = 0, place: bool = True
) -> LogRecord:
    """A log record, at the span unless told otherwise."""
    ids = {"trace_id": bytes.fromhex(TRACE), "span_id": bytes.fromhex(SPAN)} if place else {}
    record = LogRecord(
        event_name=name,
        observed_time_unix_nano=START_NS + after_ns,
        attributes=attributes(about or {}),
        **ids,
    )
    if body is not None:
        record.body.CopyFrom(value(body))
    return record


def traces(*spans: Span, resource: dict[str, Any] | None = None) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    one = request.resource_spans.add(resource=Resource(attributes=attributes(resource or {})))
    one.scope_spans.add(spans=spans)
    return request


def logs(*records: LogRecord, resource: dict[str, Any] | None = None) -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    one = request.resource_logs.add(resource=Resource(attributes=attributes(resource or {})))
    one.scope_logs.add(log_records=records)
    return request


def always(ws: Workspace) -> Callable[[dict[str, Any]], Workspace]:
    return lambda _: ws


def traced(ws: Workspace, *spans: Span, resource: dict[str, Any] | None = None) -> Handled:
    return take_traces(traces(*spans, resource=resource), always(ws))


def logged(ws: Workspace, *records: LogRecord) -> Handled:
    return take_logs(logs(*records), always(ws))


def rows(ws: Workspace, table: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ws.engine.query(f"SELECT * FROM {ws.lake.relation(table)}").to_pylist()
    return found
