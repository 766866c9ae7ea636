"""How far a spool has been read: one small record that is written in place, with a checksum."""

import os
import struct
import zlib
from typing import NamedTuple

_FORM = struct.Struct("<QQQ16s")


class Mark(NamedTuple):
    """Of a segment everything before `done` is settled; what lies from there to `until` is being sent under `key`."""

    segment: int = 0
    done: int = 0
    until: int = 0
    key: bytes = bytes(16)


def read_mark(fd: int) -> Mark:
    """The mark in a file; the beginning, when there is none or it was not written whole."""
    data = os.pread(fd, _FORM.size + 4, 0)
    body, checksum = data[: _FORM.size], data[_FORM.size :]
    if len(body) < _FORM.size or zlib.crc32(body).to_bytes(4, "little") != checksum:
        return Mark()
    return Mark(*_FORM.unpack(body))


def write_mark(fd: int, mark: Mark) -> None:
    """Raises OSError."""
    body = _FORM.pack(*mark)
    os.pwrite(fd, body + zlib.crc32(body).to_bytes(4, "little"), 0)
