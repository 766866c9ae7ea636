"""Phoenix: its spans and annotations, as its client, its CLI, its REST API and its pages give them.

A span is read as if it had come over OpenTelemetry (`conventions/traces.py`): a model call is a prediction under the same id,
any other span a step. Annotations are feedback. They know their span and not its trace, so they name the call by its span
(`examples/other_names.py`). Written by Phoenix 20; older exports have the same fields.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from whorl.capture.conventions.aliases import Attributes
from whorl.capture.conventions.evaluations import evaluation_record
from whorl.capture.conventions.telemetry import Declared, Telemetry, at_span
from whorl.capture.conventions.traces import add_step, went_wrong
from whorl.capture.importers.chat import given
from whorl.capture.importers.native import Native, Own, Raw, content_id
from whorl.capture.mapping import Kind
from whorl.capture.values import Notes, instant, refusal

_STATUS = {"OK": "ok", "ERROR": "error"}
_PREFIX = "attributes."
# What makes two judgements the same, whichever way they were exported.
_SAID = ("name", "kind", "source", "comment")


def records(declared: Declared, own: Own, row: Raw) -> Native | None:
    """A span, an annotation, or a trace with its spans and what was said of them."""
    if isinstance(row.get("traceId"), str) and isinstance(row.get("spans"), list):
        inside = [*row["spans"], *_said_in(row)]
        natives = [native for one in inside if (native := records(declared, own, one)) is not None]
        return Native([record for native in natives for record in native.records])
    if "annotator_kind" in row:
        return Native([("feedback", _annotation(own(row)))])
    if isinstance(row.get("context"), dict) or "context.span_id" in row:
        said = [_annotation(own(one)) for one in _said_in(row)]
        return Native([*_span(declared, row), *(("feedback", one) for one in said)])
    return None


def _span(declared: Declared, row: Raw) -> Iterator[tuple[Kind, Raw]]:
    """As over OpenTelemetry; a span may have its context and attributes inside, or as columns of a data frame."""
    context: Raw = row.get("context") or {
        name: row.get(f"context.{name}") for name in ("trace_id", "span_id")
    }
    columns = {key.removeprefix(_PREFIX): value for key, value in row.items() if key.startswith(_PREFIX)}
    values = dict(_flat(row.get("attributes") or columns))
    if row.get("span_kind") not in (None, "UNKNOWN"):
        values.setdefault("openinference.span.kind", row["span_kind"])
    start, end = (_instant(row.get(name)) for name in ("start_time", "end_time"))
    step: Raw = {
        "id": context["span_id"],
        "trace_id": context["trace_id"],
        "parent_id": row.get("parent_id") or None,
        "time": start,
        "name": row.get("name"),
        "duration_ms": (end - start).total_seconds() * 1000 if start and end else None,
        "status": _STATUS.get(row.get("status_code") or ""),
    }
    events = [(event.get("name"), event.get("attributes") or {}) for event in row.get("events") or []]
    wrong = went_wrong(row.get("status_message"), events) if step["status"] == "error" else {}
    into = Telemetry()
    add_step(into, step, values, wrong, {}, declared, 0)
    for kind, raws in into.raws.items():
        for raw in raws:
            yield kind, _identified(raw) if kind == "feedback" else raw


def _annotation(row: Raw) -> Raw:
    """What was said of a span, a trace or a session."""
    result = row.get("result") or {
        name: row.get(f"result.{name}", row.get(name)) for name in ("score", "label", "explanation")
    }
    about = given(**result, annotator_kind=row["annotator_kind"], identifier=row.get("identifier"))
    about |= {"name": row.get("name") or row.get("annotation_name")} | given(metadata=row.get("metadata"))
    attributes = Attributes({f"annotation.{name}": value for name, value in about.items()})
    time = row.get("updated_at") or row.get("created_at")
    said = evaluation_record(attributes, row.get("trace_id"), row.get("span_id"), time)
    if row.get("span_id"):
        target = {"prediction_id": at_span(row["span_id"])}
    elif row.get("trace_id"):
        target = {"prediction_id": row["trace_id"]}
    elif row.get("session_id"):
        target = {"session": row["session_id"]}
    else:
        raise refusal(
            "shape", "it does not say of which span, trace or session.", "span_id",
            "A data frame loses its index in JSON: write it with reset_index().",
        )  # fmt: skip
    edited = None if time == row.get("created_at") else time
    return _identified({**said, **target, "extra": said["extra"] | given(user_id=row.get("user_id"))}, edited)


def _identified(said: Raw, edited: Any = None) -> Raw:
    """With an id: Phoenix's own count from 1 on every server, and its pages leave them out.

    An annotation that was edited is a further record, with the time of the edit in its id.
    """
    extra = said["extra"]
    target = extra.get("span_id") or extra.get("trace_id") or said.get("session")
    score = said.get("value")
    # Its pages write 1.0 as 1.
    score = float(score) if isinstance(score, int) else score
    known = content_id("phoenix", [target, score, extra.get("label"), *(said.get(name) for name in _SAID)])
    return {**said, "id": f"{known}@{edited}" if edited else known}


def _said_in(row: Raw) -> Iterator[Raw]:
    """Annotations and notes that the CLI writes into a span or trace."""
    for name in ("annotations", "notes"):
        found = row.get(name)
        yield from (one for one in found or [] if isinstance(one, dict)) if isinstance(found, list) else ()


def _flat(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Attributes by their names in the conventions, which count what lies in a list; a list of plain values stays."""
    if isinstance(node, dict):
        inner = [(f"{prefix}{key}", value) for key, value in node.items()]
    elif isinstance(node, list) and any(isinstance(one, dict) for one in node):
        inner = [(f"{prefix}{number}", value) for number, value in enumerate(node)]
    else:
        if node is not None:
            yield prefix.removesuffix("."), node
        return
    for key, value in inner:
        yield from _flat(value, f"{key}.")


def _instant(value: Any) -> datetime | None:
    return None if value is None else instant(value, Notes(), "time")
