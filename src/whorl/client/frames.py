"""One record as it lies in a spool: its length, a checksum, what kind it is, and its JSON. Nothing here opens a file.

A frame that was not written whole is known by its length or its checksum: reading stops before it.
"""

import struct
import zlib
from typing import Literal, NamedTuple

Kind = Literal["predictions", "labels", "feedback", "native"]
# Their places are written into spools: only ever add at the end.
KINDS: tuple[Kind, ...] = ("predictions", "labels", "feedback", "native")
# None is 0: where a disk gives zeros for what it lost, there is no record.
_CODES: dict[Kind, int] = {kind: code for code, kind in enumerate(KINDS, start=1)}

_HEADER = struct.Struct("<IIB")
HEADER_BYTES = _HEADER.size


class Logged(NamedTuple):
    """A record on its way: `native` ones are predictions with the field names of `records.py`."""

    kind: Kind
    body: bytes


def frame(record: Logged) -> bytes:
    """A record as bytes of a segment."""
    code = _CODES[record.kind]
    return _HEADER.pack(len(record.body), zlib.crc32(record.body, code), code) + record.body


def unframed(data: bytes, most: int) -> tuple[list[Logged], int]:
    """At most `most` whole records from the beginning of `data`, and where the next one begins.

    >>> data = frame(Logged("labels", b"{}"))
    >>> unframed(data + data[:-1], 10)
    ([Logged(kind='labels', body=b'{}')], 11)
    """
    records: list[Logged] = []
    at = 0
    while len(records) < most and at + HEADER_BYTES <= len(data):
        length, checksum, code = _HEADER.unpack_from(data, at)
        end = at + HEADER_BYTES + length
        body = data[at + HEADER_BYTES : end]
        if len(body) < length or not 0 < code <= len(KINDS) or zlib.crc32(body, code) != checksum:
            break
        records.append(Logged(KINDS[code - 1], body))
        at = end
    return records, at


def first_length(data: bytes) -> int:
    """How long the first frame says it is; 0 when not even that is there."""
    return HEADER_BYTES + int(_HEADER.unpack_from(data)[0]) if len(data) >= HEADER_BYTES else 0
