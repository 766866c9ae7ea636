"""A request's body as raw records: decompressed within a bound, cut into records, each one that is wrong named.

One record, `{"records": [...]}`, or NDJSON. One record that is too large, or a line that is not JSON, is refused by
itself; its neighbours are kept.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pyarrow as pa
from litestar import Request

from whorl.api.failures import BodyError
from whorl.capture.sealed import too_large
from whorl.capture.values import MAX_RECORD_BYTES, refusal, refusal_of
from whorl.errors import RecordError
from whorl.records import Accepted, Refusal

MAX_BODY_BYTES = 64 << 20
JSON, NDJSON = "application/json", "application/x-ndjson"
ENCODINGS = ("gzip", "zstd")
_CHUNK = 1 << 20
_SHAPES = 'Send one record, {"records": [...]}, or NDJSON as application/x-ndjson.'


@dataclass
class Batch:
    """Raw records with their places in the request, and what could not even be read."""

    raws: list[Any] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    single: bool = False

    def with_places(self, answer: Accepted) -> Accepted:
        """The answer to `raws`, told by the places in the request."""
        moved = [msgspec.structs.replace(r, index=self.places[r.index]) for r in answer.refused]
        refused = sorted([*self.refused, *moved], key=lambda r: r.index)
        return msgspec.structs.replace(answer, refused=refused)


async def read_body(request: Request[Any, Any, Any]) -> bytes:
    """The body as it came, at most MAX_BODY_BYTES. Raises BodyError (413)."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise _too_large()
        parts.append(part)
    return b"".join(parts)


def records(body: bytes, content_type: str, encoding: str) -> Batch:
    """Cut a body into records.

    Raises:
        BodyError: The body as a whole cannot be read: encoding (415), media type (415), size (413), syntax (400).
    """
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type not in (JSON, NDJSON):
        found = repr(media_type) if media_type else "none"
        raise BodyError(415, f"The media type is {found}.", where="Content-Type", hint=_SHAPES)
    body = decompressed(body, encoding.strip().lower())
    if not body.strip():
        raise BodyError(400, "The body is empty.", hint=_SHAPES)
    return _lines(body) if media_type == NDJSON else _document(body)


def decompressed(body: bytes, encoding: str) -> bytes:
    """The body's own bytes, at most MAX_BODY_BYTES. Raises BodyError (400, 413, 415)."""
    if encoding in ("", "identity"):
        return body
    if encoding not in ENCODINGS:
        raise BodyError(
            415,
            f"The encoding {encoding!r} is not known.",
            where="Content-Encoding",
            hint="Use gzip or zstd.",
        )
    parts, size = [], 0
    try:
        with pa.CompressedInputStream(pa.BufferReader(body), encoding) as stream:
            while part := stream.read(_CHUNK):
                size += len(part)
                if size > MAX_BODY_BYTES:
                    raise _too_large()
                parts.append(part)
    except OSError as error:
        raise BodyError(400, f"The body is not {encoding}: {error}.", where="Content-Encoding") from None
    return b"".join(parts)


def _document(body: bytes) -> Batch:
    try:
        if len(body) <= MAX_RECORD_BYTES:
            found = msgspec.json.decode(body)
            several = _several(found)
            return Batch([found], [0], single=True) if several is None else _numbered(several)
        # Cut before it is read, so that a record that is too large costs no more than its bytes.
        cut = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        inner = (
            msgspec.json.decode(cut["records"], type=list[msgspec.Raw]) if set(cut) == {"records"} else None
        )
    except msgspec.ValidationError as error:
        raise BodyError(400, f"The body has another shape: {error}.", hint=_SHAPES) from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise BodyError(400, f"The body is not JSON: {error}.", hint=_SHAPES) from None
    return _decoded([body] if inner is None else [bytes(raw) for raw in inner], single=inner is None)


def _several(found: Any) -> list[Any] | None:
    """The records of `{"records": [...]}`; None when this is one record. Raises BodyError (400)."""
    if not isinstance(found, dict):
        raise BodyError(400, f"The body is a JSON {type(found).__name__}, not an object.", hint=_SHAPES)
    inner = found.get("records")
    return inner if set(found) == {"records"} and isinstance(inner, list) else None


def _lines(body: bytes) -> Batch:
    return _decoded(line for line in body.splitlines() if line.strip())


def _numbered(raws: list[Any]) -> Batch:
    return Batch(raws, list(range(len(raws))))


def _decoded(texts: Iterable[bytes], *, single: bool = False) -> Batch:
    batch = Batch(single=single)
    for place, text in enumerate(texts):
        try:
            raw = _decode(text)
        except RecordError as error:
            batch.refused.append(refusal_of(error, place))
            continue
        batch.raws.append(raw)
        batch.places.append(place)
    return batch


def _decode(text: bytes) -> Any:
    if len(text) > MAX_RECORD_BYTES:
        raise too_large(len(text))
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise refusal("json", f"it is not JSON: {error}.") from None


def _too_large() -> BodyError:
    return BodyError(
        413,
        f"The body is larger than {MAX_BODY_BYTES:,} bytes.",
        hint="Send it in several requests, or `whorl ingest` it.",
    )
