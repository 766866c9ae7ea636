"""Log records: messages of a model call complete the prediction of its span; evaluations become feedback.

One call's messages come as several records, and may come in several requests, before or after their span: each request
gives one part, `extra.otel_part`, under the name of the call's place in its trace (`examples/other_names.py` knows whose it is).
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from whorl.capture.conventions.aliases import VERSION
from whorl.capture.conventions.evaluations import EVALUATION, evaluation_record
from whorl.capture.conventions.messages import decoded, output_of, wire_message
from whorl.capture.conventions.otlp import plain_attributes, plain_value
from whorl.capture.conventions.telemetry import Declared, Raw, Telemetry, at, call_record, ids

Resource = dict[str, Any]
CHOICE = "gen_ai.choice"
DETAILS = "gen_ai.client.inference.operation.details"
# The role of the message that an event is, where its body does not say.
ROLES = {f"gen_ai.{role}.message": role for role in ("system", "user", "assistant", "tool")} | {
    CHOICE: "assistant"
}


class _Said(NamedTuple):
    at_ns: int
    place: int
    message: Raw | None
    answer: bool


def logs_of(request: ExportLogsServiceRequest) -> Iterator[tuple[Resource, list[LogRecord]]]:
    """The log records of each resource."""
    for one in request.resource_logs:
        yield (
            plain_attributes(one.resource.attributes),
            [record for scope in one.scope_logs for record in scope.log_records],
        )


def is_genai(record: LogRecord) -> bool:
    """Whether a log record is one of those that become something here."""
    name = _event_name(record)
    return name in ROLES or name in (EVALUATION, DETAILS)


def add_logs(
    into: Telemetry, numbered: list[tuple[int, LogRecord]], resource: Resource, declared: Declared
) -> None:
    """What the log records of one resource become; the numbers are their places in the request."""
    calls: dict[tuple[str, str], list[_Said]] = {}
    for place, record in numbered:
        name = _event_name(record)
        trace_id, span_id = ids((record.trace_id, record.span_id))
        values, time_ns = plain_attributes(record.attributes), _time_ns(record)
        if name == EVALUATION:
            into.add(
                "feedback", evaluation_record(declared.attributes(values), trace_id, span_id, time_ns), place
            )
        elif name == DETAILS:
            call = call_record(values, resource, declared, name)
            call["extra"]["span_id"] = span_id
            own = {"id": at(trace_id, span_id), **call}
            into.add("predictions", {**own, "trace_id": trace_id, "time": time_ns or None}, place)
        else:
            message = _message(name, plain_value(record.body))
            said = _Said(time_ns, place, message, answer=name == CHOICE)
            calls.setdefault((trace_id or "", span_id or ""), []).append(said)
    for (trace_id, span_id), several in calls.items():
        _add_part(into, trace_id, span_id, sorted(several, key=lambda one: (one.at_ns, one.place)))


def _add_part(into: Telemetry, trace_id: str, span_id: str, said: list[_Said]) -> None:
    """One request's messages of one call. Nothing, when the emitter was told to keep their contents to itself."""
    asked = [one.message for one in said if one.message is not None and not one.answer]
    answered = [one.message for one in said if one.message is not None and one.answer]
    if not asked and not answered:
        return
    raw: Raw = {
        "id": at(trace_id, span_id),
        "time": said[0].at_ns or None,
        "trace_id": trace_id or None,
        "messages": asked or None,
        "output": output_of(answered),
        "extra": {"conventions": VERSION, "span_id": span_id or None, "otel_part": True},
    }
    into.add("predictions", raw, *(one.place for one in said))


def _message(name: str, body: Any) -> Raw | None:
    found = decoded(body)
    if not isinstance(found, dict):
        return None
    inner = found.get("message", found) if name == CHOICE else found
    if name == "gen_ai.tool.message" and isinstance(inner, dict):
        inner = {"tool_call_id": inner.get("id"), **inner}
    return wire_message(inner, ROLES[name])


def _event_name(record: LogRecord) -> str:
    if record.event_name:
        return record.event_name
    return next((one.value.string_value for one in record.attributes if one.key == "event.name"), "")


def _time_ns(record: LogRecord) -> int:
    return record.time_unix_nano or record.observed_time_unix_nano
