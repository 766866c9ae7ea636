"""Whatever an exporter sends, each span and log record is kept or rejected; nothing else happens."""

from contextlib import suppress
from typing import Any

import pytest
from exports import always, attributes, logs, span, traces, value
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from whorl.capture.conventions.aliases import ALIASES
from whorl.capture.conventions.evaluations import EVALUATION
from whorl.capture.conventions.logs import DETAILS, ROLES
from whorl.capture.conventions.otlp import read_request
from whorl.capture.conventions.take import take_logs, take_traces
from whorl.capture.flush import flush
from whorl.errors import RecordError
from whorl.workspace import Workspace

KEYS = [
    key.replace(".N", f".{number}{below}")
    for alias in ALIASES.values()
    for key in alias.keys
    for number, below in (
        (0, ".message.role"),
        (0, ""),
        (1, ".message.tool_calls.0.tool_call"),
        (3, ".content"),
    )
]
TEXT = st.sampled_from(["", "chat", "LLM", "[", '[{"role":1,"parts":[{"type":"text"}]}]', '{"messages":[1,{}]}', "\x00", "ü"]) | st.text(max_size=8)  # fmt: skip
LEAF = TEXT | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats()
VALUE = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["role", "content", "parts", "type", "message", "tool_calls", "id", "0"]), inner, max_size=3), max_leaves=6,
)  # fmt: skip
ABOUT = st.dictionaries(st.sampled_from(KEYS), VALUE, max_size=6)
FEW = settings(max_examples=60, deadline=None)


@pytest.fixture(scope="module")
def ws(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from exports import SUPPORT

    from whorl.spec import parse_spec
    from whorl.workspace import open_workspace

    with open_workspace(parse_spec(SUPPORT), tmp_path_factory.mktemp("fuzz"), mirror=False) as opened:
        yield opened


@FEW
@given(about=ABOUT, status=st.integers(0, 2), name=TEXT, events=st.lists(ABOUT, max_size=2))
def test_any_span(
    ws: Workspace, about: dict[str, Any], status: int, name: str, events: list[dict[str, Any]]
) -> None:
    one = span(about, name=name.replace("\x00", ""))
    one.status.code = status  # type: ignore[assignment]
    one.events.extend(
        Span.Event(name=kind, attributes=attributes(told))
        for told, kind in zip(events, ("exception", EVALUATION), strict=False)
    )
    taken = take_traces(traces(one), always(ws))
    assert (taken.items, len(taken.rejected) <= 1) == (1, True)
    flush(ws)


@FEW
@given(name=st.sampled_from([*ROLES, EVALUATION, DETAILS]), body=VALUE, about=ABOUT)
def test_any_log_record(ws: Workspace, name: str, body: Any, about: dict[str, Any]) -> None:
    record = LogRecord(
        event_name=name,
        body=value(body),
        attributes=attributes(about),
        trace_id=b"t" * 16,
        span_id=b"s" * 8,
        time_unix_nano=1,
    )
    taken = take_logs(logs(record), always(ws))
    assert (taken.items, len(taken.rejected) <= 1) == (1, True)
    flush(ws)


@settings(max_examples=300, deadline=None)
@given(
    body=st.binary(max_size=60) | TEXT.map(str.encode),
    json=st.booleans(),
    kind=st.sampled_from([ExportTraceServiceRequest, ExportLogsServiceRequest]),
)
def test_any_body(body: bytes, json: bool, kind: Any) -> None:
    with suppress(RecordError):
        assert isinstance(read_request(body, kind, json=json), kind)


@pytest.mark.parametrize(
    "body",
    [b"[" * 100_000, b'{"resourceSpans":' + b"[" * 900 + b"]" * 900 + b"}", b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"zz"}]}]}]}',
     b'{"resourceSpans":7}', b"7", b"null", b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"startTimeUnixNano":"-1"}]}]}]}'],
)  # fmt: skip
def test_json_that_is_none_of_ours(body: bytes) -> None:
    with pytest.raises(RecordError, match="OTLP's JSON"):
        read_request(body, ExportTraceServiceRequest, json=True)
