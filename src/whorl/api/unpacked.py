"""The bytes of a body as they come, decompressed a piece at a time: never more in memory than what is asked for.

gzip is unpacked as it arrives. zstd is unpacked once all of it is here, so what of it is held is bounded instead.
"""

import zlib
from typing import Any

import pyarrow as pa

from whorl.api.failures import BodyError

MAX_BODY_BYTES = 64 << 20
# Of all that one compressed body may become, so that a bomb ends.
MAX_UNPACKED_BYTES = 4 << 30
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
        self._waiting: list[bytes] = []
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
            self._waiting.append(data)
        if self.encoding == "zstd" and sum(map(len, self._waiting)) > MAX_BODY_BYTES:
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
        first = self._waiting.pop(0)
        if len(first) > size:
            self._waiting.insert(0, first[size:])
        return first[:size]

    def _from_gzip(self, size: int) -> bytes:
        if self._gzip is None:
            self._gzip = zlib.decompressobj(31)
        while True:
            data = b"".join(self._waiting)
            self._waiting.clear()
            if self._gzip.eof:
                if not data:
                    return b""
                # Another member follows: files that were joined.
                self._gzip = zlib.decompressobj(31)
            found: bytes = self._gzip.decompress(data, size)
            rest = self._gzip.unused_data or self._gzip.unconsumed_tail
            if rest:
                self._waiting.append(rest)
            if found:
                return found
            if not rest:
                if self.whole and not self._gzip.eof:
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
