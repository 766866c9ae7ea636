"""A JSON body as raw records: one record, or `{"records": [...]}`, or lines; each one that is wrong named by its place.

One record that is too large, or a line that is not JSON, is refused by itself; its neighbours are kept.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from whorl.api.failures import BodyError
from whorl.api.unpacked import MAX_BODY_BYTES, Unpacked, too_large
from whorl.capture import sealed
from whorl.capture.values import MAX_RECORD_BYTES, refusal, refusal_of
from whorl.errors import RecordError
from whorl.records import Refusal

JSON, NDJSON, ARROW = "application/json", "application/x-ndjson", "application/vnd.apache.arrow.stream"
# What is decoded, mapped and kept at a time.
SLICE_BYTES = 4 << 20
# A record of a few bytes takes hundreds when it is refused.
SLICE_RECORDS = 1 << 16
# Of a JSON document that is longer than a slice: each takes some sixty bytes before anything is known of it.
MAX_VALUES = 8 << 20
_PIECE = 1 << 20
_SHAPES = 'Send one record or {"records": [...]} as application/json, or NDJSON as application/x-ndjson.'
_decode = msgspec.json.Decoder().decode
T = TypeVar("T")


@dataclass
class Batch:
    """Raw records with their places in the request, and what could not even be read."""

    numbered: list[tuple[int, Any]] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    single: bool = False


def decompressed(body: bytes, encoding: str) -> bytes:
    """The body's own bytes, at most MAX_BODY_BYTES. Raises BodyError (400, 413, 415)."""
    unpacked, parts, size = Unpacked(encoding), [], 0
    unpacked.feed(body, last=True)
    while part := unpacked.read(_PIECE):
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise too_large()
        parts.append(part)
    return b"".join(parts)


def media_type(content_type: str, known: Sequence[str] = (JSON, NDJSON)) -> str:
    """Which of the known ones it is. Raises BodyError (415)."""
    found = content_type.partition(";")[0].strip().lower()
    if found not in known:
        named = repr(found) if found else "none"
        raise BodyError(415, f"The media type is {named}.", where="Content-Type", hint=_SHAPES)
    return found


def records(body: bytes, content_type: str, encoding: str) -> Batch:
    """Cut a body into records.

    Raises:
        BodyError: The body as a whole cannot be read: encoding (415), media type (415), syntax (400), size or more than
            SLICE_RECORDS (413).
    """
    kind = media_type(content_type)
    body = decompressed(body, encoding)
    if kind == NDJSON and body.count(b"\n") > SLICE_RECORDS:
        raise _too_many("lines", SLICE_RECORDS)
    if kind == NDJSON and body.strip():
        return from_lines(body.split(b"\n"))
    all_of_it = Batch()
    for some in document(body):
        all_of_it.numbered += some.numbered
        all_of_it.refused += some.refused
        all_of_it.single = some.single
        if len(all_of_it.numbered) + len(all_of_it.refused) > SLICE_RECORDS:
            raise _too_many("records", SLICE_RECORDS)
    return all_of_it


def document(body: bytes) -> Iterator[Batch]:
    """A JSON document, one record or `{"records": [...]}`, a few megabytes at a time.

    Raises:
        BodyError: It is neither (400), or of more than MAX_VALUES (413).
    """
    if not body or body.isspace():
        raise empty()
    if len(body) <= SLICE_BYTES:
        found = _read(body, Any)
        several = _several(found)
        if several is None:
            yield Batch([(0, found)], single=True)
            return
        yield from map(Batch, _slices(enumerate(several), lambda _: 0) if several else [[]])
        return
    if body.count(b",") >= MAX_VALUES:
        raise _too_many("values", MAX_VALUES)
    # Cut before it is read, so that a record that is too large costs no more than its bytes.
    cut = _read(body, dict[str, msgspec.Raw])
    if set(cut) != {"records"} or bytes(memoryview(cut["records"])[:1]) != b"[":
        yield _one_by_one(enumerate([body]), single=True)
        return
    texts = enumerate(map(bytes, _read(cut["records"], list[msgspec.Raw])))
    yield from map(_one_by_one, _slices(texts, len))


def from_lines(lines: Iterable[bytes], first: int = 0) -> Batch:
    """Records of lines; blank ones do not count.

    Args:
        first: The place of the first of them.
    """
    texts = [line for line in lines if line and not line.isspace()]
    try:
        if max(map(len, texts), default=0) <= MAX_RECORD_BYTES:
            return Batch(list(enumerate(map(_decode, texts), first)))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        pass
    return _one_by_one(enumerate(texts, first))


def empty() -> BodyError:
    """400."""
    return BodyError(400, "The body is empty.", hint=_SHAPES)


def _several(found: Any) -> list[Any] | None:
    """The records of `{"records": [...]}`; None when this is one record. Raises BodyError (400)."""
    if not isinstance(found, dict):
        raise BodyError(400, f"The body is a JSON {type(found).__name__}, not an object.", hint=_SHAPES)
    inner = found.get("records")
    return inner if set(found) == {"records"} and isinstance(inner, list) else None


def _read(text: bytes, kind: Any) -> Any:
    try:
        return _decoded(text) if kind is Any else msgspec.json.decode(text, type=kind)
    except msgspec.ValidationError as error:
        raise BodyError(400, f"The body has another shape: {error}.", hint=_SHAPES) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BodyError(400, f"The body is not JSON: {error}.", hint=_SHAPES) from None


def _too_many(what: str, most: int) -> BodyError:
    hint = "Send it as application/x-ndjson, or in several requests."
    return BodyError(413, f"The body has more than {most:,} {what}.", hint=hint)


def _slices(numbered: Iterable[tuple[int, T]], bytes_of: Callable[[T], int]) -> Iterator[list[tuple[int, T]]]:
    """Records, or their texts, so many of them at a time as are a slice."""
    some, size = list[tuple[int, T]](), 0
    for one in numbered:
        some.append(one)
        size += bytes_of(one[1])
        if size >= SLICE_BYTES or len(some) >= SLICE_RECORDS:
            yield some
            some, size = [], 0
    if some:
        yield some


def _one_by_one(texts: Iterable[tuple[int, bytes]], *, single: bool = False) -> Batch:
    batch = Batch(single=single)
    for place, text in texts:
        try:
            batch.numbered.append((place, _record(text)))
        except RecordError as error:
            batch.refused.append(refusal_of(error, place))
    return batch


def _record(text: bytes) -> Any:
    if len(text) > MAX_RECORD_BYTES:
        raise sealed.too_large(len(text))
    try:
        return _decoded(text)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise refusal("json", f"it is not JSON: {error}.") from None


def _decoded(text: bytes) -> Any:
    """Python writes NaN and Infinity, which JSON does not know, and its own reader takes them back."""
    try:
        return _decode(text)
    except msgspec.DecodeError:
        with suppress(ValueError):
            return json.loads(text)
        raise
