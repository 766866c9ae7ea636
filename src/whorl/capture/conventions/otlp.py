"""Requests of OTLP/HTTP as protobuf messages, whichever way they were encoded, and their attributes as plain values."""

import re
from base64 import b64encode
from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec
from google.protobuf.json_format import ParseDict, ParseError  # type: ignore[import-untyped]
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from whorl.errors import RecordError

Export = TypeVar("Export", ExportTraceServiceRequest, ExportLogsServiceRequest)
# OTLP writes these as hexadecimal in JSON; Protobuf's own JSON would have base64. It takes a field by either of two names.
_HEX = frozenset(("traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id"))

_FAILED = re.compile(r"(?:Failed to parse \w+ field: )+")


def read_request(body: bytes, kind: type[Export], *, json: bool) -> Export:
    """The request in a body. Raises RecordError when it is none."""
    request = kind()
    try:
        if json:
            document = msgspec.json.decode(body, type=dict[str, Any])
            ParseDict(_unhexed(document), request, ignore_unknown_fields=True)
        else:
            request.ParseFromString(body)
    except (
        DecodeError,
        ParseError,
        msgspec.DecodeError,
        RecursionError,
        ValueError,
        AttributeError,
        TypeError,
    ) as error:
        how = "OTLP's JSON" if json else "OTLP's protobuf"
        raise RecordError(
            f"The body is not {how}{_place_of(error)}.",
            where="body",
            hint="Send application/x-protobuf, or application/json with ids as hexadecimal text.",
        ) from None
    return request


def _place_of(error: Exception) -> str:
    """Where it is wrong, as far as that can be said without a word of what stands there."""
    if isinstance(error, msgspec.DecodeError):
        return f": {error}"
    failed = _FAILED.match(str(error)) if isinstance(error, ParseError) else None
    return f", in {'.'.join(failed[0].split()[3::5])}" if failed else ""


def plain_attributes(attributes: Iterable[KeyValue]) -> dict[str, Any]:
    """Attributes by name; of two with one name the last counts."""
    return {one.key: plain_value(one.value) for one in attributes}


def plain_value(value: AnyValue) -> Any:
    """As JSON would have it: bytes become base64 text.

    >>> plain_value(AnyValue(string_value="a")), plain_value(AnyValue())
    ('a', None)
    """
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [plain_value(one) for one in value.array_value.values]
    if kind == "kvlist_value":
        return plain_attributes(value.kvlist_value.values)
    found = getattr(value, kind)
    return b64encode(found).decode() if isinstance(found, bytes) else found


def _unhexed(node: Any) -> Any:
    """The document with its ids as Protobuf's JSON wants them. Names that users chose are values there, never keys."""
    if isinstance(node, list):
        return [_unhexed(one) for one in node]
    if not isinstance(node, dict):
        return node
    return {
        key: b64encode(bytes.fromhex(value)).decode()
        if key in _HEX and isinstance(value, str)
        else _unhexed(value)
        for key, value in node.items()
    }
