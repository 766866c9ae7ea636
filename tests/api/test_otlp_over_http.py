"""OTLP's own answers: kept, partly kept, refused, or not now; in the encoding that was asked in."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.protobuf.internal.decoder import _DecodeVarint  # type: ignore[import-untyped]
from litestar.testing import TestClient
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from server_process import SPEC

from whorl.api.app import make_app
from whorl.capture.flush import flush
from whorl.serve.service import Service
from whorl.storage import api_keys
from whorl.storage.inbox import Inbox

TRACES, LOGS = "/v1/traces", "/v1/logs"
JSON, PROTOBUF = {"content-type": "application/json"}, {"content-type": "application/x-protobuf"}
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def span(**fields: Any) -> dict[str, Any]:
    """A model call in OTLP's JSON."""
    about = [{"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
             {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "12"}}]  # fmt: skip
    return {"traceId": TRACE, "spanId": SPAN, "name": "chat", "startTimeUnixNano": "1767225600000000000",
            "endTimeUnixNano": "1767225600250000000", "attributes": about, "unknownField": 1, **fields}  # fmt: skip


def export(*spans: dict[str, Any], **resource: str) -> dict[str, Any]:
    named = [
        {"key": key.replace("_", "."), "value": {"stringValue": value}} for key, value in resource.items()
    ]
    return {"resourceSpans": [{"resource": {"attributes": named}, "scopeSpans": [{"spans": spans}]}]}


def status(answer: httpx.Response) -> tuple[int, str]:
    """Code and message of a google.rpc.Status, as its wire format has them."""
    if "json" in answer.headers["content-type"]:
        return answer.json()["code"], answer.json()["message"]
    body = answer.content
    assert body[0] == 0x08, "field 1, a number"
    code, at = _DecodeVarint(body, 1)
    assert body[at] == 0x12, "field 2, a text"
    size, at = _DecodeVarint(body, at + 1)
    return code, body[at : at + size].decode()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    paths = []
    for name in ("fraud", "support"):
        paths.append(tmp_path / f"{name}.toml")
        paths[-1].write_text(SPEC.replace('"fraud"', f'"{name}"'))
    with Service(paths, tmp_path / "ws") as opened:
        yield opened


@pytest.fixture
def client(service: Service) -> Iterator[TestClient]:
    with TestClient(make_app(service), base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client


def predictions(service: Service, name: str) -> list[dict[str, Any]]:
    ws = service.wheel(name).ws
    flush(ws)
    found: list[dict[str, Any]] = ws.engine.query(
        f"SELECT * FROM {ws.lake.relation('predictions')}"
    ).to_pylist()
    return found


def test_json_with_hexadecimal_ids(service: Service, client: TestClient) -> None:
    answer = client.post(TRACES, json=export(span()), headers={"x-whorl-flywheel": "support"})
    assert (answer.status_code, answer.json()) == (200, {})
    (row,) = predictions(service, "support")
    assert (row["trace_id"], row["id"], row["input_tokens"]) == (TRACE, f"{TRACE}-{SPAN}", 12)
    assert service.meter.families()


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_protobuf_is_answered_in_protobuf(service: Service, client: TestClient, encoding: str) -> None:
    request = ExportTraceServiceRequest()
    one = request.resource_spans.add()
    one.resource.attributes.add(key="whorl.flywheel").value.string_value = "fraud"
    one.scope_spans.add().spans.add(
        trace_id=bytes.fromhex(TRACE),
        span_id=bytes.fromhex(SPAN),
        start_time_unix_nano=1_767_225_600_000_000_000,
    )
    body = request.SerializeToString()
    body = gzip.compress(body) if encoding == "gzip" else body
    answer = client.post(TRACES, content=body, headers={**PROTOBUF, "content-encoding": encoding})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-protobuf")
    assert not ExportTraceServiceResponse.FromString(answer.content).HasField("partial_success")
    assert service.wheel("fraud").ws.inbox.depth("fraud").rows == 1


def test_a_bomb_of_spans_is_refused(client: TestClient) -> None:
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    spans.extend([Span()] * 70_000)
    body = gzip.compress(request.SerializeToString())
    told = {**PROTOBUF, "content-encoding": "gzip", "x-whorl-flywheel": "fraud"}
    answer = client.post(TRACES, content=body, headers=told)
    assert (answer.status_code, "smaller batches" in status(answer)[1]) == (413, True)


def test_what_is_not_kept_is_a_partial_success(service: Service, client: TestClient) -> None:
    both = export(span(), span(spanId=""), service_name="fraud")
    both["resourceSpans"] += export(span(), service_name="nobody")["resourceSpans"]
    answer = client.post(TRACES, json=both)
    assert answer.status_code == 200
    partial = answer.json()["partialSuccess"]
    assert partial["rejectedSpans"] == "2"
    assert "there is no id" in partial["errorMessage"]
    assert "OTEL_EXPORTER_OTLP_HEADERS" in partial["errorMessage"]
    assert len(predictions(service, "fraud")) == 1


def test_log_records_of_other_kinds_are_said_not_to_be_kept(client: TestClient) -> None:
    body = {
        "resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"stringValue": "The disk is full."}}]}]}]
    }
    answer = client.post(LOGS, json=body)
    assert answer.status_code == 200
    assert answer.json()["partialSuccess"]["rejectedLogRecords"] == "1"
    assert (
        client.post(LOGS, content=b"", headers=PROTOBUF).content
        == ExportLogsServiceResponse().SerializeToString()
    )


@pytest.mark.parametrize("headers", [JSON, PROTOBUF])
def test_a_full_inbox_is_503_with_a_time_to_come_again(
    service: Service, client: TestClient, headers: dict[str, str]
) -> None:
    ws = service.wheel("fraud").ws
    ws.inbox.close()
    ws.inbox = Inbox(service.ledger, capacity_bytes=10)
    body = json.dumps(export(span())).encode()
    if headers is PROTOBUF:
        request = ExportTraceServiceRequest()
        request.resource_spans.add().scope_spans.add().spans.add(
            trace_id=b"t" * 16, span_id=b"s" * 8, start_time_unix_nano=1_767_225_600_000_000_000
        )
        body = request.SerializeToString()
    answer = client.post(TRACES, content=body, headers={**headers, "x-whorl-flywheel": "fraud"})
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert answer.headers["content-type"] == headers["content-type"]
    code, message = status(answer)
    assert (code, "The inbox holds" in message) == (14, True)
    assert ws.inbox.depth("fraud").rows == 0


@pytest.mark.parametrize(
    ("body", "headers", "expected", "said"),
    [
        (b"\xff\xff", PROTOBUF, 400, "not OTLP's protobuf"),
        (b"{", JSON, 400, "not OTLP's JSON"),
        (b"", {"content-type": "text/plain"}, 415, "http/protobuf"),
        (b"", {}, 415, "The media type is none"),
        (b"no gzip", {**PROTOBUF, "content-encoding": "gzip"}, 400, "not gzip"),
        (b"", {**PROTOBUF, "content-encoding": "br"}, 415, "Use gzip or zstd"),
        (gzip.compress(b"\x0a" * (65 << 20)), {**PROTOBUF, "content-encoding": "gzip"}, 413, "larger than"),
    ],
    ids=["protobuf", "json", "text", "none", "gzip", "br", "bomb"],
)
def test_what_cannot_be_read_is_told_in_otlps_shape(
    client: TestClient, body: bytes, headers: dict[str, str], expected: int, said: str
) -> None:
    answer = client.post(TRACES, content=body, headers=headers)
    assert answer.status_code == expected
    assert said in status(answer)[1]


@pytest.mark.parametrize("named", [{}, {"x-whorl-flywheel": "frud"}])
def test_which_flywheel_must_be_told(service: Service, client: TestClient, named: dict[str, str]) -> None:
    answer = client.post(TRACES, json=export(span(), service_name="checkout"), headers=named)
    assert answer.status_code == 400
    assert "fraud, support" in answer.json()["message"]
    assert not [name for name in ("fraud", "support") if service.wheel(name).ws.inbox.depth(name).rows]


def test_the_flywheel_of_the_key_is_the_only_one(service: Service, client: TestClient) -> None:
    _, presented = api_keys.create(service.ledger, flywheel="support", scopes=["capture"], name="", by="ann")
    headers = {"authorization": f"Bearer {presented}"}
    assert client.post(TRACES, json=export(span()), headers=headers).status_code == 200
    answer = client.post(TRACES, json=export(span()), headers={**headers, "x-whorl-flywheel": "fraud"})
    assert (answer.status_code, answer.json()["code"]) == (400, 3)
    assert (len(predictions(service, "support")), predictions(service, "fraud")) == (1, [])
    refused = client.post(TRACES, json=export(span()))
    assert (refused.status_code, refused.json()["code"]) == (401, 16)
