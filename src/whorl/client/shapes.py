"""The records that the verbs make: labels and feedback with the field names of `records.py`, embedded and over HTTP alike."""

from datetime import datetime
from typing import Any


def label_record(now: datetime, id: str | None, value: Any, fields: dict[str, Any]) -> dict[str, Any]:
    """The truth about a prediction; `fields` are those of Label, and a time there goes before `now`."""
    return {"prediction_id": id, "value": value, **fields, "time": fields.get("time") or now}


def feedback_record(
    now: datetime, id: str | None, name: str, value: Any, fields: dict[str, Any]
) -> dict[str, Any]:
    """A signal about a prediction; `fields` are those of Feedback, and a time there goes before `now`."""
    return {"prediction_id": id, "name": name, "value": value, **fields, "time": fields.get("time") or now}
