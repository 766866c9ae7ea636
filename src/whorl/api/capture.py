"""Routes that take records: predictions, labels, feedback. 202 is said only when they are on disk."""

from dataclasses import dataclass
from typing import Any, cast

from litestar import Controller, Request, Response, post
from litestar.concurrency import sync_to_thread
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIType, Operation, RequestBody, Schema
from litestar.params import FromQuery

from whorl.api.auth import needs
from whorl.api.body import JSON, NDJSON, read_body, records
from whorl.api.failures import FAILURES, AllRefused, Fault
from whorl.capture.accept import accept
from whorl.capture.mapping import Kind
from whorl.records import Accepted, Record, Refusal
from whorl.serve.runner import Wheel

_ONE = Schema(type=OpenAPIType.OBJECT, description='One record as [schema] maps it, or {"records": [...]}.')
_LINES = Schema(type=OpenAPIType.STRING, description="One record a line.")


@dataclass
class RecordsOperation(Operation):
    """Says what the body is: the handler reads it by itself, as a stream."""

    def __post_init__(self) -> None:
        self.request_body = RequestBody(
            content={JSON: OpenAPIMediaType(schema=_ONE), NDJSON: OpenAPIMediaType(schema=_LINES)},
            description="Content-Encoding may be gzip or zstd.",
            required=True,
        )


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
        operation_class=RecordsOperation,
        summary="Log records",
        responses={**FAILURES, 422: ResponseSpec(data_container=AllRefused, description="All were refused.")},
    )
    async def log(
        self, request: Request[Any, Any, Any], wheel: NamedDependency[Wheel], native: FromQuery[bool] = False
    ) -> Captured:
        kind = cast(Kind, request.url.path.rstrip("/").rpartition("/")[2])
        body, headers = await read_body(request), request.headers
        media_type, encoding = headers.get("content-type", ""), headers.get("content-encoding", "")
        answer = await sync_to_thread(_take, wheel, kind, body, media_type, encoding, native)
        return cast(Captured, answer)


def _take(
    wheel: Wheel, kind: Kind, body: bytes, media_type: str, encoding: str, native: bool
) -> Captured | Response[AllRefused]:
    batch = records(body, media_type, encoding)
    answer = batch.with_places(accept(wheel.ws, kind, batch.raws, native=native))
    if answer.refused and not answer.accepted:
        return all_refused(answer)
    return Captured(accepted=answer.accepted, refused=answer.refused, notes=answer.notes)


def all_refused(answer: Accepted) -> Response[AllRefused]:
    """422, with the first refusal as the error and all of them beside it."""
    first = answer.refused[0]
    several = f" ({len(answer.refused)} records were refused.)" if len(answer.refused) > 1 else ""
    where = f"records[{first.index}]"
    fault = Fault(code="record", message=first.message + several, where=where, hint=first.hint)
    body = AllRefused(error=fault, refused=answer.refused, notes=answer.notes)
    return Response(body, status_code=422, media_type="application/json")
