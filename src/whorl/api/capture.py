"""Routes that take records: predictions, labels, feedback. 202 is said only when they are on disk."""

from dataclasses import dataclass
from typing import Any, cast

import msgspec
from litestar import Controller, Request, Response, post
from litestar.concurrency import sync_to_thread
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import (
    OpenAPIFormat,
    OpenAPIMediaType,
    OpenAPIType,
    Operation,
    RequestBody,
    Schema,
)
from litestar.params import FromPath, FromQuery

from whorl.api.arriving import Held, arriving
from whorl.api.auth import needs
from whorl.api.body import ARROW, JSON, NDJSON
from whorl.api.failures import FAILURES, AllRefused, Fault
from whorl.api.intake import Intake, Step, answered_before, together
from whorl.api.outcomes import outcome
from whorl.capture.mapping import Kind
from whorl.records import Accepted, Record, Refusal
from whorl.serve.meter import Meter
from whorl.serve.service import Service
from whorl.workspace import Workspace

AT_ONCE_BYTES = 16 << 10
_HELD = Held()
_ONE = Schema(type=OpenAPIType.OBJECT, description='One record as [schema] maps it, or {"records": [...]}.')
_LINES = Schema(type=OpenAPIType.STRING, description="One record a line.")
_ROWS = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY, description="One record a row.")


@dataclass
class RecordsOperation(Operation):
    """Says what the body is: the handler reads it by itself, as a stream."""

    def __post_init__(self) -> None:
        self.request_body = RequestBody(
            content={JSON: OpenAPIMediaType(schema=_ONE), NDJSON: OpenAPIMediaType(schema=_LINES)},
            description="Content-Encoding may be gzip or zstd.",
            required=True,
        )


@dataclass
class LogOperation(RecordsOperation):
    """The same, also as Arrow."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.request_body, RequestBody):
            self.request_body.content[ARROW] = OpenAPIMediaType(schema=_ROWS)
            self.request_body.description = "Content-Encoding may be gzip or zstd. With an Idempotency-Key, the same body sent again is answered, not kept twice."


class Captured(Record, frozen=True, kw_only=True, omit_defaults=False):
    """What became of a batch; what is counted as accepted is on disk."""

    accepted: int
    refused: list[Refusal]
    notes: list[str]


class CaptureRoutes(Controller):
    path = "/v1/flywheels/{name:str}"
    tags = ("capture",)
    opt = needs("capture")

    @post(
        ["/predictions", "/labels", "/feedback"],
        status_code=202,
        operation_class=LogOperation,
        request_max_body_size=None,
        summary="Log records",
        responses={**FAILURES, 422: ResponseSpec(data_container=AllRefused, description="All were refused.")},
    )
    async def log(
        self,
        request: Request[Any, Any, Any],
        service: NamedDependency[Service],
        name: FromPath[str],
        native: FromQuery[bool] = False,
    ) -> Captured:
        kind = cast(Kind, request.url.path.rstrip("/").rpartition("/")[2])
        ws = service.wheel(name).ws
        intake = Intake(ws, kind, request.headers, native=native)
        answer = Accepted(accepted=0)
        async for data, last in arriving(request, _HELD):
            intake.feed(data, last=last)
            # Small bodies are mapped sooner than they could be handed to a thread.
            at_once = last and len(data) <= AT_ONCE_BYTES and intake.plain
            while not intake.ended and (
                step := intake.next() if at_once else await sync_to_thread(intake.next)
            ):
                answer = together(answer, await _kept(service.meter, ws, kind, step))
        return cast(Captured, _response(answer))


async def _kept(meter: Meter, ws: Workspace, kind: Kind, step: Step) -> Accepted:
    """Wait until a part is on disk; returns its answer, which is the first one's when it was kept before."""
    answer, repeated = step.answer, step.repeated
    if step.payloads:
        kept = ws.inbox.accept_soon(ws.name, step.payloads, step.received_at, step.named)
        known = await outcome(kept)
        if known is not None and step.named is not None:
            answer, repeated = answered_before(known, step.named.digest), True
    meter.took(ws.name, kind, answer, repeated=repeated)
    return answer


def _response(answer: Accepted) -> Response[Any]:
    if answer.refused and not answer.accepted:
        return all_refused(answer)
    body = Captured(accepted=answer.accepted, refused=answer.refused, notes=answer.notes)
    return Response(msgspec.json.encode(body), status_code=202, media_type=JSON)


def all_refused(answer: Accepted) -> Response[AllRefused]:
    """422, with the first refusal as the error and all of them beside it."""
    first = answer.refused[0]
    several = f" ({len(answer.refused)} records were refused.)" if len(answer.refused) > 1 else ""
    where = f"records[{first.index}]"
    fault = Fault(code="record", message=first.message + several, where=where, hint=first.hint)
    body = AllRefused(error=fault, refused=answer.refused, notes=answer.notes)
    return Response(body, status_code=422, media_type="application/json")
