"""Routes that take records: predictions, labels, feedback. 202 is said only when they are on disk.

The framework finds the route, describes it and words what is raised; `Door` answers it. Building the framework's request,
its arguments and its response costs several times what a record does.
"""

from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import cast
from urllib.parse import parse_qs

import msgspec
from litestar import Controller, Response, post
from litestar.concurrency import sync_to_thread
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.openapi.spec import (
    OpenAPIFormat,
    OpenAPIMediaType,
    OpenAPIType,
    Operation,
    Parameter,
    RequestBody,
    Schema,
)
from litestar.params import FromPath, FromQuery
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from whorl.api.arriving import Share, arriving, bodies
from whorl.api.auth import Gate, needs
from whorl.api.body import ARROW, JSON, NDJSON
from whorl.api.failures import TAKES, AllRefused, BodyError, Fault
from whorl.api.intake import MAX_KEY, Intake, Step, answered_before, together
from whorl.api.outcomes import outcome
from whorl.capture.mapping import Kind
from whorl.errors import StateError
from whorl.records import Accepted, Record, Refusal
from whorl.serve.service import Service
from whorl.workspace import Workspace

AT_ONCE_BYTES = 16 << 10
_DOOR = "door"
_SURE = {"true": True, "1": True, "false": False, "0": False}
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
        name = Parameter(
            "Idempotency-Key", "header", schema=Schema(type=OpenAPIType.STRING, min_length=1, max_length=MAX_KEY),
            description="Names the body: the same one sent again under it is answered, not kept twice.",
        )  # fmt: skip
        self.parameters = [*(self.parameters or []), name]


class Captured(Record, frozen=True, kw_only=True, omit_defaults=False):
    """What became of a batch; what is counted as accepted is on disk."""

    accepted: int
    refused: list[Refusal]
    notes: list[str]


class CaptureRoutes(Controller):
    path = "/v1/flywheels/{name:str}"
    tags = ("capture",)
    opt = needs("capture") | {_DOOR: True}

    @post(
        ["/predictions", "/labels", "/feedback"],
        status_code=202,
        operation_class=LogOperation,
        summary="Log records",
        responses=TAKES,
    )
    async def log(self, name: FromPath[str], native: FromQuery[bool] = False) -> Captured:  # noqa: ARG002 - described
        """With `native`, records have the field names of `whorl.Prediction`, `Label` and `Feedback`, whatever [schema] says."""
        raise StateError("Door answers this route.")


class Door(ASGIMiddleware):
    """Answers the routes of one application that take records."""

    scopes = (ScopeType.HTTP,)

    def __init__(self, service: Service, gate: Gate) -> None:
        self._service, self._gate = service, gate

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        opt = scope["route_handler"].opt
        # The framework's own answers to other methods of these routes have the same options.
        if _DOOR not in opt or cast(HTTPScope, scope)["method"] != "POST":
            await next_app(scope, receive, send)
            return
        name = scope["path_params"]["name"]
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        await self._gate.admit(opt, headers, name)
        ws = self._service.wheel(name).ws
        kind = cast(Kind, scope["path"].rpartition("/")[2])
        native = _flag(cast(HTTPScope, scope)["query_string"], "native")
        answer = await self._taken(ws, kind, headers, receive, native=native)
        all_gone = answer.refused and not answer.accepted
        told = refusal_of_all(answer) if all_gone else Captured(
            accepted=answer.accepted, refused=answer.refused, notes=answer.notes
        )  # fmt: skip
        body = msgspec.json.encode(told)
        length = b"%d" % len(body)
        await send({
            "type": "http.response.start", "status": 422 if all_gone else 202,
            "headers": [(b"content-type", JSON.encode()), (b"content-length", length)],
        })  # fmt: skip
        await send({"type": "http.response.body", "body": body, "more_body": False})

    async def _taken(
        self, ws: Workspace, kind: Kind, headers: Mapping[str, str], receive: Receive, *, native: bool
    ) -> Accepted:
        intake = Intake(ws, kind, headers, native=native)
        answer = Accepted(accepted=0)
        with Share(bodies) as share:
            async with aclosing(arriving(receive, share)) as parts:
                async for data, last in parts:
                    intake.feed(data, last=last)
                    # Small bodies are mapped sooner than they could be handed to a thread.
                    at_once = last and len(data) <= AT_ONCE_BYTES and intake.at_once
                    while not intake.ended and (
                        step := intake.next() if at_once else await sync_to_thread(intake.next)
                    ):
                        share.keep(intake.kept + sum(len(part.payload) for part in step.payloads))
                        answer = together(answer, await self._kept(ws, kind, step))
                    del data
                    share.keep(intake.kept)
        return answer

    async def _kept(self, ws: Workspace, kind: Kind, step: Step) -> Accepted:
        """Wait until a part is on disk; returns its answer, which is the first one's when it was kept before."""
        answer, repeated = step.answer, step.repeated
        if step.payloads:
            kept = ws.inbox.accept_soon(ws.name, step.payloads, step.received_at, step.named)
            known = await outcome(kept)
            if known is not None and step.named is not None:
                answer, repeated = answered_before(known, step.named.digest), True
        self._service.meter.took(ws.name, kind, answer, repeated=repeated)
        return answer


def all_refused(answer: Accepted) -> Response[AllRefused]:
    """422."""
    return Response(refusal_of_all(answer), status_code=422, media_type=JSON)


def refusal_of_all(answer: Accepted) -> AllRefused:
    """The first refusal as the error, and all of them beside it."""
    first = answer.refused[0]
    several = f" ({len(answer.refused)} records were refused.)" if len(answer.refused) > 1 else ""
    where = f"records[{first.index}]"
    fault = Fault(code="record", message=first.message + several, where=where, hint=first.hint)
    return AllRefused(error=fault, refused=answer.refused, notes=answer.notes)


def _flag(query: bytes, name: str) -> bool:
    """A switch in the query; off when it is not named. Raises BodyError (400)."""
    said = (
        parse_qs(query.decode("latin-1"), keep_blank_values=True).get(name, ["false"])[-1]
        if query
        else "false"
    )
    if said.lower() not in _SURE:
        raise BodyError(400, f"{said!r} is neither true nor false.", where=name)
    return _SURE[said.lower()]
