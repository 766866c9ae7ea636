"""Every refusal over HTTP, in one shape: `{"error": {"code", "message", "where", "hint"}}`.

This is the only place that knows HTTP status codes of errors.
"""

import logging
from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.openapi.datastructures import ResponseSpec
from litestar.routes import HTTPRoute
from litestar.types import ExceptionHandlersMap

from whorl.errors import WhorlError
from whorl.records import Record, Refusal

log = logging.getLogger("whorl.api")

RETRY_AFTER_S = 5
STATUS: dict[str, int] = {
    "spec": 400,
    "rule": 400,
    "record": 422,
    "source": 422,
    "not_found": 404,
    "state": 409,
    "truth": 409,
    "leak": 409,
    "too_few_rows": 409,
    "training": 409,
    "release": 409,
    "server": 502,
    "held": 409,
    # Trying again would not help: the spec and the stored rows must first agree.
    "schema": 409,
    "model": 503,
    "digest": 503,
    "storage": 503,
    "inbox_full": 503,
    "version": 503,
}
HTTP_CODES = {
    400: "request",
    401: "key",
    403: "forbidden",
    404: "not_found",
    405: "method",
    408: "too_slow",
    413: "too_large",
    415: "media_type",
    429: "too_fast",
}


class Fault(Record, frozen=True, kw_only=True, omit_defaults=False):
    """What is wrong, where, and what to do next."""

    code: str
    message: str
    where: str = ""
    hint: str = ""


class Failure(Record, frozen=True, kw_only=True, omit_defaults=False):
    """Every answer that is not a success."""

    error: Fault


class AllRefused(Record, frozen=True, kw_only=True, omit_defaults=False):
    """No record of a batch was accepted."""

    error: Fault
    refused: list[Refusal]
    notes: list[str]


_TOLD = {
    400: "The request cannot be read.",
    401: "An API key is needed.",
    403: "The key, or the page that a browser shows, may not do this.",
    404: "There is no such thing.",
    408: "The body did not come in time.",
    409: "It is not in a state that allows this.",
    413: "The body is too large.",
    415: "The media type or the encoding is not known.",
    429: "The key's rate is exceeded; see Retry-After.",
    503: "Not now; see the hint and Retry-After.",
}


def failures(*statuses: int) -> dict[int, ResponseSpec]:
    """What the description says of a route's failures, in the one shape."""
    return {
        status: ResponseSpec(data_container=Failure, description=_TOLD[status], generate_examples=False)
        for status in statuses
    }


# Whom a gate lets in, and when.
GATED = failures(401, 403, 429, 503)
# Of a route that shows what is in a flywheel, that acts on it, and that takes a body of records.
SHOWS = failures(400, 404) | GATED
ACTS = failures(409, 413) | SHOWS
FAILURES = failures(408, 415) | ACTS
TAKES = FAILURES | {
    422: ResponseSpec(data_container=AllRefused, description="All were refused.", generate_examples=False)
}


class HttpError(WhorlError):
    """A request is refused for what only HTTP knows; `status` says how it calls that."""

    code = "request"

    def __init__(
        self,
        status: int,
        message: str,
        *,
        where: str = "",
        hint: str = "",
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message, where=where, hint=hint)
        self.status, self.headers = status, headers or {}


class TooFast(HttpError):
    """A key is used more often than it may be."""

    code = "too_fast"


class BodyError(HttpError):
    """A request's body cannot be taken."""

    def __init__(self, status: int, message: str, *, where: str = "body", hint: str = "") -> None:
        headers = {"Accept-Encoding": "gzip, zstd"} if status == 415 else {}
        super().__init__(status, message, where=where, hint=hint, headers=headers)


def failed(status: int, fault: Fault, headers: dict[str, str] | None = None) -> Response[Failure]:
    """The answer."""
    return Response(Failure(error=fault), status_code=status, media_type="application/json", headers=headers)


def no_route(path: str) -> Response[Failure]:
    """404 for a path that is none of ours."""
    hint = "The routes are listed at /schema."
    return failed(404, Fault(code="not_found", message="There is no such route.", where=path, hint=hint))


def _whorl_error(request: Request[Any, Any, Any], error: WhorlError) -> Response[Failure]:
    if isinstance(error, HttpError):
        code = HTTP_CODES.get(error.status, error.code)
        return failed(error.status, Fault(**{**error.as_dict(), "code": code}), error.headers)
    status = STATUS.get(error.code, 500)
    if status == 500:
        log.error("%s %s: %s", request.method, request.url.path, error, exc_info=error)
    headers = {"Retry-After": str(RETRY_AFTER_S)} if status == 503 else None
    return failed(status, Fault(**error.as_dict()), headers)


def _http_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[Failure]:
    status, where, message = error.status_code, request.url.path, error.detail
    if isinstance(error, ValidationException) and isinstance(error.extra, list) and error.extra:
        first: Any = error.extra[0]
        where, message = str(first.get("key", where)), str(first.get("message", message))
        if where == "data":
            # The framework calls the body so, and says no more than this when there is none.
            where, message = "body", "The body is missing." if message == "'data'" else message
    if status == 404:
        return no_route(where)
    code = HTTP_CODES.get(status, "request" if status < 500 else "internal")
    headers = {str(name): str(value) for name, value in (error.headers or {}).items()}
    hint = ""
    if status == 405:
        headers["Allow"] = _methods(request)
        hint = f"It takes {headers['Allow']}; the routes and their methods are listed at /schema."
    return failed(status, Fault(code=code, message=message, where=where, hint=hint), headers)


def _methods(request: Request[Any, Any, Any]) -> str:
    """What may be asked of a request's path; no path of ours has a parameter that spans a slash."""
    asked = request.url.path.strip("/").split("/")
    routes = (route for route in request.app.routes if isinstance(route, HTTPRoute))
    return ", ".join(sorted({method for route in routes if _leads(route, asked) for method in route.methods}))


def _leads(route: HTTPRoute, asked: list[str]) -> bool:
    """Whether a route's path is that of the words asked for; a parameter is any word."""
    parts = [part if isinstance(part, str) else None for part in route.path_components]
    return len(parts) == len(asked) and all(
        part in (None, word) for part, word in zip(parts, asked, strict=True)
    )


def _defect(request: Request[Any, Any, Any], error: Exception) -> Response[Failure]:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    fault = Fault(
        code="internal",
        message=f"Something is wrong inside Whorl ({type(error).__name__}).",
        where=f"{request.method} {request.url.path}",
        hint="The server's log has the details.",
    )
    return failed(500, fault)


HANDLERS: ExceptionHandlersMap = {
    WhorlError: _whorl_error,
    HTTPException: _http_error,
    Exception: _defect,
}
