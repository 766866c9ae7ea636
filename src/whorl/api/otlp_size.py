"""How much one OTLP request may hold: two bytes can be a span, which takes hundreds once it is read, and thousands as a record.

Exporters send some hundred spans or log records at a time.
"""

from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from whorl.api.failures import BodyError
from whorl.capture.conventions.otlp import Export

MAX_ITEMS = 1 << 16
# Of a protobuf message and those within it; of a JSON document, its values.
MAX_FIELDS = 1 << 20
_HINT = (
    "Let the exporter send smaller batches: OTEL_BSP_MAX_EXPORT_BATCH_SIZE, OTEL_BLRP_MAX_EXPORT_BATCH_SIZE."
)
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_LONGEST = 10
_WIDTHS = {_FIXED64: 8, _FIXED32: 4}


def check_fields(body: bytes, kind: type[Export], *, json: bool) -> None:
    """Before it is read. Raises BodyError (413)."""
    if json:
        too_many = body.count(b",") >= MAX_FIELDS
    else:
        # A field has two bytes at least.
        too_many = len(body) > 2 * MAX_FIELDS and _more_fields(body, kind.DESCRIPTOR)
    if too_many:
        raise BodyError(413, f"The request has more than {MAX_FIELDS:,} fields.", hint=_HINT)


def check_items(request: Export) -> None:
    """Before records are made of it. Raises BodyError (413)."""
    if isinstance(request, ExportTraceServiceRequest):
        items = sum(len(scope.spans) for one in request.resource_spans for scope in one.scope_spans)
    else:
        items = sum(len(scope.log_records) for one in request.resource_logs for scope in one.scope_logs)
    if items > MAX_ITEMS:
        raise BodyError(413, f"The request has {items:,} items; {MAX_ITEMS:,} are the most.", hint=_HINT)


def _more_fields(body: bytes, descriptor: Any) -> bool:
    """Whether there are more than MAX_FIELDS; what is no protobuf is only passed over: whoever reads it says so.

    Source: https://protobuf.dev/programming-guides/encoding/
    """
    count, below = 0, [(0, len(body), descriptor)]
    while below:
        at, end, message = below.pop()
        inner = message.fields_by_number
        try:
            while at < end:
                count += 1
                if count > MAX_FIELDS:
                    return True
                key, at = _number(body, at)
                wire = key & 7
                if wire == _VARINT:
                    _, at = _number(body, at)
                elif wire == _LENGTH:
                    size, at = _number(body, at)
                    field = inner.get(key >> 3)
                    if field is not None and field.message_type is not None:
                        below.append((at, min(at + size, end), field.message_type))
                    at += size
                else:
                    at += _WIDTHS.get(wire, 0)
        except IndexError:
            continue
    return False


def _number(body: bytes, at: int) -> tuple[int, int]:
    """A varint, and where it ends. Raises IndexError when it does not."""
    found = 0
    for place in range(_LONGEST):
        byte = body[at + place]
        found |= (byte & 127) << 7 * place
        if byte < 128:
            return found, at + place + 1
    raise IndexError
