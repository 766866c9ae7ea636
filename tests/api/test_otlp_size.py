"""A few bytes of OTLP that would become a great deal: refused before, or soon after, they are read."""

import json
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from whorl.api import otlp_size
from whorl.api.failures import BodyError
from whorl.api.otlp_size import check_fields, check_items


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp_size, "MAX_FIELDS", 100)
    monkeypatch.setattr(otlp_size, "MAX_ITEMS", 10)


def traces(*spans: Span) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add(spans=spans)
    return request


def logs(*records: LogRecord) -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    request.resource_logs.add().scope_logs.add(log_records=records)
    return request


@pytest.mark.parametrize(("make", "one"), [(traces, Span()), (logs, LogRecord())])
def test_too_many_spans_or_log_records(make: Any, one: Any) -> None:
    check_items(make(*[one] * 10))
    with pytest.raises(BodyError, match="11 items") as refused:
        check_items(make(*[one] * 11))
    assert refused.value.status == 413


# Two fields lead to the span; an attribute is four: itself, its key, its value, and the text in that.
@pytest.mark.parametrize(("attributes", "refused"), [(24, False), (25, True)])
def test_the_fields_of_protobuf_are_counted(attributes: int, refused: bool) -> None:
    some = [KeyValue(key="a", value=AnyValue(string_value="x" * 9))] * attributes
    body = traces(Span(attributes=some)).SerializeToString()
    assert len(body) > 200
    assert _is_refused(body, json=False) == refused


def test_long_texts_are_one_field() -> None:
    some = [KeyValue(key="a", value=AnyValue(string_value="\x08\x01" * 100_000))]
    assert not _is_refused(traces(Span(attributes=some)).SerializeToString(), json=False)


@pytest.mark.parametrize("body", [b"\xff" * 300, b"\x0a\xff\x7f" + b"\x12\x00" * 20, b"\x0f" * 90])
def test_what_is_no_protobuf_is_for_whoever_reads_it(body: bytes) -> None:
    assert not _is_refused(body, json=False)


def test_what_is_broken_hides_nothing_before_it() -> None:
    bomb = b"\x0a\xcc\x01" + b"\x12\x00" * 102
    assert _is_refused(bomb + b"\x0a\xff\xff", json=False)


@pytest.mark.parametrize(("count", "refused"), [(100, False), (101, True)])
def test_the_values_of_json_are_counted(count: int, refused: bool) -> None:
    spans = {"resourceSpans": [{"scopeSpans": [{"spans": [{}] * count}]}]}
    assert _is_refused(json.dumps(spans).encode(), json=True) == refused


def _is_refused(body: bytes, *, json: bool) -> bool:
    try:
        check_fields(body, ExportTraceServiceRequest, json=json)
    except BodyError:
        return True
    return False
