"""A record as JSON, at the moment of the call: what the caller changes afterwards changes nothing that was logged.

What JSON has no word for becomes the nearest plain thing (numpy: its value; a model: its fields), else the name of its
type, which the server then refuses by name where a number was meant.
"""

from collections.abc import Mapping, Set
from datetime import datetime
from typing import Any

import msgspec

# Stands in for a missing time; see `capture/predictions.py`.
LOGGED_AT = "whorl_logged_at"
MAX_RECORD_BYTES = 16_000_000
_STAMP = f'{{"{LOGGED_AT}":'.encode()


def encoded(record: Mapping[str, Any], now: datetime | None = None) -> bytes:
    """JSON of a record; with `now`, it says when it was logged, unless it does so itself.

    Raises:
        TypeError, ValueError, OverflowError, RecursionError: It cannot be written as a JSON object.

    >>> encoded({"id": "a"}, datetime(2026, 1, 1))
    b'{"whorl_logged_at":"2026-01-01T00:00:00","id":"a"}'
    """
    body = _ENCODER.encode(record)
    if body[:1] != b"{":
        raise TypeError(f"expected an object, found {type(record).__name__}")
    if now is None or LOGGED_AT in record:
        return body
    return _STAMP + _ENCODER.encode(now) + (b"," + body[1:] if len(body) > 2 else b"}")


def plain(value: Any) -> Any:
    """A copy of anything in plain JSON types."""
    return msgspec.json.decode(_ENCODER.encode(value))


def _nearest(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Set):
        return list(value)
    for method in ("tolist", "model_dump", "to_dict"):
        if callable(found := getattr(value, method, None)) and not isinstance(value, type):
            return found()
    return f"<{type(value).__qualname__}>"


_ENCODER = msgspec.json.Encoder(enc_hook=_nearest)
