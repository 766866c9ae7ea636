"""A body in parts, each small enough to be decoded, mapped and kept before the next one is looked at.

Where a body is cut depends on its content alone, never on how it arrived: sent again, it has the same parts.
"""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import pyarrow as pa

from whorl.api.body import SLICE_BYTES, SLICE_RECORDS, Batch, document, empty, from_lines
from whorl.api.unpacked import MAX_BODY_BYTES, Unpacked, too_large
from whorl.capture import sealed
from whorl.capture.values import MAX_RECORD_BYTES, refusal_of

_PIECE = 1 << 20


class Table(NamedTuple):
    """Rows of a body and the place of the first of them."""

    rows: pa.Table
    first: int


class Part(NamedTuple):
    """Records of a body that are kept together: `content` is what they were read from."""

    content: bytes
    batches: Iterator[Batch | Table]


class Parts(Protocol):
    """How bodies of a media type are cut; `ended`: there is no further part."""

    ended: bool

    @property
    def kept(self) -> int:
        """Bytes that were read and are in no part yet."""

    def next(self) -> Part | None:
        """The next part; None when more must come first, or nothing will. Raises BodyError."""


class Document:
    """JSON: all of it is one part, so that it is kept or not kept as a whole."""

    def __init__(self, unpacked: Unpacked) -> None:
        self._unpacked = unpacked
        self._pieces: list[bytes] = []
        self.kept = 0
        self.ended = False

    def next(self) -> Part | None:
        while piece := self._unpacked.read(_PIECE):
            self.kept += len(piece)
            if self.kept > MAX_BODY_BYTES:
                raise too_large()
            self._pieces.append(piece)
        if not self._unpacked.whole or self.ended:
            return None
        self.ended = True
        body = b"".join(self._pieces)
        self._pieces.clear()
        self.kept = 0
        return Part(body, iter(document(body)))


class Lines:
    """NDJSON: a few megabytes of whole lines are a part, or so many lines as are a slice."""

    def __init__(self, unpacked: Unpacked) -> None:
        self._unpacked = unpacked
        self._held = bytearray()
        self._place = 0
        self._any = False
        self.ended = False
        # Bytes of a line that is too long for a record, and is being passed over.
        self._passed = 0

    @property
    def kept(self) -> int:
        return len(self._held)

    def next(self) -> Part | None:
        while True:
            if len(self._held) >= SLICE_BYTES and (part := self._cut()):
                return part
            piece = self._unpacked.read(_PIECE)
            if not piece:
                break
            if self._passed:
                line, end, piece = piece.partition(b"\n")
                self._passed += len(line)
                if not end:
                    continue
            self._held += piece
            if self._passed:
                return self._too_long()
        if not self._unpacked.whole:
            return None
        part = self._cut() if self._held else None
        if part is None and self._held:
            part = self._lines(len(self._held))
        if part is None and self._passed:
            part = self._too_long()
        self.ended = not (self._held or self._passed)
        if self.ended and not self._any:
            raise empty()
        return part

    def _cut(self) -> Part | None:
        """Lines up to the size of a part, at least one; None when not even that is there."""
        end = self._held.rfind(b"\n", 0, SLICE_BYTES) + 1 or self._held.find(b"\n", SLICE_BYTES) + 1
        # Too long are lines that have no end yet, and those whose end came along.
        first = len(self._held) if not end else end - 1 if end > SLICE_BYTES else 0
        if first > MAX_RECORD_BYTES:
            self._passed = first
            del self._held[: end or first]
            return self._too_long() if end else None
        return self._lines(end) if end else None

    def _lines(self, end: int) -> Part | None:
        content = bytes(self._held[:end])
        if content.count(b"\n") > SLICE_RECORDS:
            content = content[: -len(content.split(b"\n", SLICE_RECORDS)[-1])]
        del self._held[: len(content)]
        batch = from_lines(content.split(b"\n"), self._place)
        count = len(batch.numbered) + len(batch.refused)
        self._place += count
        self._any = self._any or count > 0
        return Part(content, iter([batch])) if count or self._held else None

    def _too_long(self) -> Part:
        batch = Batch(refused=[refusal_of(sealed.too_large(self._passed), self._place)])
        content = f"a line of {self._passed} bytes".encode()
        self._passed, self._any = 0, True
        self._place += 1
        return Part(content, iter([batch]))
