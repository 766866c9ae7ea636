"""Captured records as bytes, on their way through the inbox: one MessagePack array a batch and kind."""

from collections.abc import Iterable
from typing import TypeVar

import msgspec

from whorl.capture.values import MAX_RECORD_BYTES, refusal
from whorl.errors import RecordError
from whorl.records import Feedback, Label, Prediction, Span

Captured = Prediction | Label | Feedback | Span
C = TypeVar("C", Prediction, Label, Feedback, Span)

_encoder = msgspec.msgpack.Encoder(enc_hook=str)


def seal(record: Captured) -> bytes:
    """One record as bytes.

    Raises:
        RecordError: Something in it has no bytes (text that is not Unicode, a whole number of more than 64 bits), or it
            is larger than 16 MB.
    """
    try:
        sealed = _encoder.encode(record)
    except (UnicodeEncodeError, OverflowError, RecursionError) as error:
        raise refusal("encoding", f"it cannot be kept as it is ({error}).") from None
    if len(sealed) > MAX_RECORD_BYTES:
        raise too_large(len(sealed))
    return sealed


def too_large(size: int) -> RecordError:
    """The refusal of a record of `size` bytes, or at least that."""
    hint = "Keep large content elsewhere, and log its URI in `content`."
    return refusal("size", f"it has {size:,} bytes; at most {MAX_RECORD_BYTES:,} are accepted.", hint=hint)


def pack(sealed: Iterable[bytes]) -> bytes:
    """Sealed records as one payload."""
    return _encoder.encode([msgspec.Raw(one) for one in sealed])


def unpack(payload: bytes, kind: type[C]) -> list[C]:
    """The records of a payload.

    >>> from datetime import datetime
    >>> label = Label(value=True, time=datetime.fromisoformat("2026-01-01T00:00Z"), prediction_id="1")
    >>> unpack(pack([seal(label)]), Label) == [label]
    True
    """
    return msgspec.msgpack.decode(payload, type=list[kind])  # type: ignore[valid-type]
