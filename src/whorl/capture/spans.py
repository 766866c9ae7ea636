"""A raw record as a Span: it has the field names of `records.py`, whatever [schema] says; the rest are its attributes."""

from datetime import datetime
from typing import Any

from whorl.capture.paths import Path, Remainder
from whorl.capture.readers import Raw, lifted, reader, time_reader
from whorl.capture.values import Notes, identifier, number, refusal, shown, text_of
from whorl.records import Span


def read_span(raw: Raw, received_at: datetime, notes: Notes) -> Span:
    """One step of a trace. Raises RecordError."""
    known_id, trace_id = _id(raw), _trace_id(raw)
    if known_id is None or trace_id is None:
        missing = "id" if known_id is None else "trace_id"
        raise refusal("id", f"there is no {missing}.", missing)
    time = _time(raw, received_at, notes)
    if time is None:
        raise refusal("time", "there is no time.", "time")
    status: Any = raw.get("status")
    if status not in (None, "ok", "error"):
        raise refusal("shape", f"expected ok or error, found {shown(status)}.", "status")
    attributes: Any = raw.get("attributes") or {}
    if not isinstance(attributes, dict):
        raise refusal("shape", f"expected an object, found {shown(attributes)}.", "attributes")
    return Span(
        id=known_id,
        trace_id=trace_id,
        time=time,
        parent_id=_parent_id(raw),
        prediction_id=_prediction_id(raw),
        name=text_of(raw.get("name"), "name"),
        duration_ms=_duration(raw),
        status=status,
        attributes={**lifted(_OWN.of(raw)), **attributes},
    )


_id, _trace_id, _parent_id, _prediction_id = (
    reader(Path(name), identifier) for name in ("id", "trace_id", "parent_id", "prediction_id")
)
_OWN = Remainder(Path(name) for name in Span.__struct_fields__)
_time, _duration = time_reader(Path("time")), reader(Path("duration_ms"), number)
