"""The bytes of a body as they come, decompressed a piece at a time: never more in memory than what is asked for.

gzip is unpacked as it arrives. zstd is unpacked once all of it is here, so what of it is held is bounded instead.
"""

import zlib
from collections import deque
from typing import Any

import pyarrow as pa

from whorl.api.failures import BodyError

MAX_BODY_BYTES = 64 << 20
# Of all that one compressed body may become, so that a bomb ends.
MAX_UNPACKED_BYTES = 4 << 30
# What is behind a member of gzip is copied, and members may be tiny.
_PACKED_PIECE = 16 << 10
ENCODINGS = ("gzip", "zstd")


class Unpacked:
    """A body's own bytes.

    Args:
        encoding: Content-Encoding as it was sent.

    Raises:
        BodyError: 415 for an encoding that is not known; when read, 400 for bytes that are not in it, 413 for too many.
    """

    def __init__(self, encoding: str) -> None:
        self.encoding = encoding.strip().lower()
        if self.encoding not in ("", "identity", *ENCODINGS):
            hint = "Use gzip or zstd."
            raise BodyError(
                415, f"The encoding {self.encoding!r} is not known.", where="Content-Encoding", hint=hint
            )
        self._waiting = deque[memoryview | bytes]()
        # Bytes of what was fed that are still in memory.
        self.kept = 0
        self._size = 0
        self.whole = False
        self._gzip: Any = None
        self._zstd: pa.CompressedInputStream | None = None

    @property
    def plain(self) -> bool:
        """It is not compressed."""
        return self.encoding not in ENCODINGS

    def feed(self, data: bytes, *, last: bool) -> None:
        """What has come; `last`: nothing will."""
        self.whole = last
        if data:
            self._waiting.append(memoryview(data))
            self.kept += len(data)
        if self.encoding == "zstd" and self.kept > MAX_BODY_BYTES:
            raise too_large("compressed by zstd")

    def read(self, size: int) -> bytes:
        """Some of what can be read now, at most `size` bytes; nothing when more must come first, or all was read."""
        if self.plain:
            return self._plain(size)
        try:
            found = self._from_gzip(size) if self.encoding == "gzip" else self._from_zstd(size)
        except (OSError, zlib.error) as error:
            raise self._broken(str(error)) from None
        self._size += len(found)
        if self._size > MAX_UNPACKED_BYTES:
            raise too_large("unpacked", MAX_UNPACKED_BYTES)
        return found

    def _plain(self, size: int) -> bytes:
        if not self._waiting:
            return b""
        first = self._waiting.popleft()
        if len(first) > size:
            self._waiting.appendleft(first[size:])
        found = bytes(first[:size])
        self.kept -= len(found)
        return found

    def _from_gzip(self, size: int) -> bytes:
        while True:
            data = self._plain(_PACKED_PIECE)
            if data and (self._gzip is None or self._gzip.eof):
                # The first member, or another one: files that were joined.
                self._gzip = zlib.decompressobj(31)
            # Without data too: what went in before may not have come out yet.
            found: bytes = b"" if self._gzip is None else self._gzip.decompress(data, size)
            if data and (rest := self._gzip.unused_data or self._gzip.unconsumed_tail):
                self._waiting.appendleft(rest)
                self.kept += len(rest)
            if found:
                return found
            if not data:
                break
        if self.whole and (self._gzip is None or not self._gzip.eof):
            raise self._broken("it ends in the middle")
        return b""

    def _from_zstd(self, size: int) -> bytes:
        if not self.whole:
            return b""
        if self._zstd is None:
            packed = pa.BufferReader(b"".join(self._waiting))
            self._waiting.clear()
            self._zstd = pa.CompressedInputStream(packed, "zstd")
        found: bytes = self._zstd.read(size)
        return found

    def _broken(self, why: str) -> BodyError:
        return BodyError(400, f"The body is not {self.encoding}: {why}.", where="Content-Encoding")


def too_large(how: str = "", limit: int = MAX_BODY_BYTES) -> BodyError:
    """413."""
    words = f" {how}" if how else ""
    return BodyError(
        413, f"The body is larger than {limit:,} bytes{words}.",
        hint="Send it as application/x-ndjson, in several requests, or `whorl ingest` it.",
    )  # fmt: skip
