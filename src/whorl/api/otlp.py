"""OTLP/HTTP: what an OpenTelemetry SDK exports to `OTEL_EXPORTER_OTLP_ENDPOINT`, as protobuf or JSON, answered in kind.

200 is said only when what was kept is on disk; its partial success says what was not. Errors have OTLP's shape. An exporter
tries again after 503, and some give a batch up after 429: that one is never said here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped]
from litestar import Controller, Request, Response, post
from litestar.concurrency import sync_to_thread
from litestar.di import NamedDependency
from litestar.openapi.spec import (
    OpenAPIFormat,
    OpenAPIMediaType,
    OpenAPIResponse,
    OpenAPIType,
    Operation,
    Parameter,
    RequestBody,
    Schema,
)
from litestar.types import ExceptionHandlersMap
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from whorl.api.auth import Caller, needs
from whorl.api.body import JSON, decompressed
from whorl.api.failures import HANDLERS, BodyError, Failure
from whorl.api.otlp_size import check_fields, check_items
from whorl.api.whole import whole_body
from whorl.capture.conventions.otlp import Export, read_request
from whorl.capture.conventions.take import Handled, take_logs, take_traces
from whorl.capture.conventions.whose import HEADER, whose
from whorl.serve.service import Service
from whorl.workspace import Workspace

PROTOBUF = "application/x-protobuf"
# OTLP knows one status for a request that can never be handled.
_UNREADABLE = (409, 422)
# Codes of google.rpc.Status.
_RPC = {400: 3, 401: 16, 403: 7, 404: 5, 408: 4, 413: 8, 415: 3, 503: 14}
E = TypeVar("E", bound=Exception)


_TEXT = Schema(type=OpenAPIType.STRING)
_STATUS = Schema(
    type=OpenAPIType.OBJECT, properties={"code": Schema(type=OpenAPIType.INTEGER), "message": _TEXT},
    required=["code", "message"], title="google.rpc.Status",
)  # fmt: skip
_DONE = Schema(
    type=OpenAPIType.OBJECT, properties={"partialSuccess": Schema(type=OpenAPIType.OBJECT)},
    description="What was not kept, if anything was not.",
)  # fmt: skip
_ANSWERS = {
    200: "What was kept is on disk.",
    400: "The request can never be handled.",
    401: "An API key is needed.",
    403: "The key, or the page that a browser shows, may not do this.",
    408: "The body did not come in time.",
    413: "The body is too large.",
    415: "The media type or the encoding is not known.",
    503: "Not now; see Retry-After.",
}


@dataclass
class ExportOperation(Operation):
    """Says what the body and the answers are: the handler reads and writes them by itself."""

    def __post_init__(self) -> None:
        self.parameters = [
            Parameter(HEADER, "header", schema=_TEXT, description="The flywheel that this is for.")
        ]
        self.request_body = RequestBody(
            content=_encoded("An OTLP export request", Schema(type=OpenAPIType.OBJECT)),
            description="Content-Encoding may be gzip or zstd.",
            required=True,
        )
        self.responses = {
            str(status): OpenAPIResponse(
                description=what,
                content=_encoded(
                    "Export response" if status == 200 else "google.rpc.Status",
                    _DONE if status == 200 else _STATUS,
                ),
            )
            for status, what in _ANSWERS.items()
        }


def _encoded(what: str, document: Schema) -> dict[str, OpenAPIMediaType]:
    """The same in both of OTLP's encodings."""
    binary = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY, description=f"{what}, as protobuf.")
    return {PROTOBUF: OpenAPIMediaType(schema=binary), JSON: OpenAPIMediaType(schema=document)}


def _in_otlp(handler: Callable[[Request[Any, Any, Any], E], Response[Failure]]) -> Any:
    """The answer of a handler of errors, in OTLP's shape."""

    def answer(request: Request[Any, Any, Any], error: E) -> Response[bytes]:
        failure = handler(request, error)
        fault = failure.content.error
        place = f"{fault.where}: " if fault.where else ""
        status = failure.status_code or 500
        status = 400 if status in _UNREADABLE else status
        headers = dict(failure.headers)
        code, message = _RPC.get(status, 2), f"{place}{fault.message} {fault.hint}".rstrip()
        if _media_type(request) == JSON:
            body = msgspec.json.encode({"code": code, "message": message})
            return Response(body, status_code=status, media_type=JSON, headers=headers)
        # On the wire this is a google.rpc.Status: a number in field 1, a text in field 2.
        body = ExportTracePartialSuccess(rejected_spans=code, error_message=message).SerializeToString()
        return Response(body, status_code=status, media_type=PROTOBUF, headers=headers)

    return answer


_HANDLERS: ExceptionHandlersMap = {kind: _in_otlp(handler) for kind, handler in HANDLERS.items()}


class OtlpRoutes(Controller):
    path = "/v1"
    tags = ("capture",)
    opt = needs("capture", too_fast=503, narrows=True)
    exception_handlers = _HANDLERS

    @post("/traces", status_code=200, operation_class=ExportOperation,
          summary="Spans of OpenTelemetry: model calls become predictions, all become steps")  # fmt: skip
    async def traces(
        self,
        request: Request[Any, Any, Any],
        service: NamedDependency[Service],
        caller: NamedDependency[Caller],
    ) -> Response[bytes]:
        handled = await _take(request, service, caller, ExportTraceServiceRequest, take_traces)
        answer = ExportTraceServiceResponse()
        if handled.not_kept:
            answer.partial_success.rejected_spans = handled.not_kept
            answer.partial_success.error_message = handled.message
        return _answered(request, answer)

    @post("/logs", status_code=200, operation_class=ExportOperation,
          summary="Log records of OpenTelemetry: messages of model calls, and evaluations")  # fmt: skip
    async def logs(
        self,
        request: Request[Any, Any, Any],
        service: NamedDependency[Service],
        caller: NamedDependency[Caller],
    ) -> Response[bytes]:
        handled = await _take(request, service, caller, ExportLogsServiceRequest, take_logs)
        answer = ExportLogsServiceResponse()
        if handled.not_kept:
            answer.partial_success.rejected_log_records = handled.not_kept
            answer.partial_success.error_message = handled.message
        return _answered(request, answer)


async def _take(
    request: Request[Any, Any, Any],
    service: Service,
    caller: Caller,
    kind: type[Export],
    take: Callable[[Export, Callable[[dict[str, Any]], Workspace]], Handled],
) -> Handled:
    media_type = _media_type(request)
    if media_type not in (PROTOBUF, JSON):
        found = repr(media_type) if media_type else "none"
        hint = f"Send {PROTOBUF} or {JSON}: OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf."
        raise BodyError(415, f"The media type is {found}.", where="Content-Type", hint=hint)
    header = request.headers.get(HEADER)
    encoding = request.headers.get("content-encoding", "").strip().lower()
    names = [name for name in service.wheels if caller.may_see(name)]

    def choose(resource: dict[str, Any]) -> Workspace:
        return service.wheels[whose(names, header, resource)].ws

    def work(body: bytes) -> Handled:
        plain, json = decompressed(body, encoding), media_type == JSON
        check_fields(plain, kind, json=json)
        export = read_request(plain, kind, json=json)
        check_items(export)
        return take(export, choose)

    async with whole_body(request) as body:
        handled = await sync_to_thread(work, body)
    for flywheel, what, answer, repeated in handled.answers:
        service.meter.took(flywheel, what, answer, repeated=repeated)
    return handled


def _answered(
    request: Request[Any, Any, Any], answer: ExportTraceServiceResponse | ExportLogsServiceResponse
) -> Response[bytes]:
    if _media_type(request) == JSON:
        return Response(msgspec.json.encode(MessageToDict(answer)), status_code=200, media_type=JSON)
    return Response(answer.SerializeToString(), status_code=200, media_type=PROTOBUF)


def _media_type(request: Request[Any, Any, Any]) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
