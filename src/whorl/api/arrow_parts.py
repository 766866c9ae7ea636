"""An Arrow IPC stream in parts: as many record batches as are a few megabytes, each part a stream of its own.

Messages are cut by their framing (Arrow columnar format, "Encapsulated message format"). A body that would become much
larger in memory, by compression or by dictionaries, is refused or read in slices.
"""

from collections.abc import Iterator
from hashlib import sha256

import pyarrow as pa
import pyarrow.ipc

from whorl.api.arrow_message import Message
from whorl.api.arrow_slices import PLAIN, written_out
from whorl.api.body import SLICE_BYTES, empty
from whorl.api.failures import BodyError
from whorl.api.parts import Part, Table
from whorl.api.unpacked import MAX_BODY_BYTES, Unpacked, too_large

_PIECE = 1 << 20
# Of dictionaries that were read again for parts that another dictionary has cut short.
_MOST_AGAIN = 1 << 30
_CONTINUES = b"\xff\xff\xff\xff"


class ArrowParts:
    """Cuts a stream."""

    def __init__(self, unpacked: Unpacked) -> None:
        self._unpacked = unpacked
        self._held = bytearray()
        # What every part begins with: the schema, and the dictionaries so far, each with what was added to it.
        self._schema = b""
        self._dictionaries: dict[int, list[bytes]] = {}
        self._batches: list[bytes] = []
        self._head_bytes = self._batch_bytes = self._part_bytes = self._again_bytes = 0
        # Rows of a part that are not handed out yet.
        self._slices: Iterator[Part] = iter(())
        self._place = 0
        # The stream said so itself; after that, nothing counts.
        self._closed = False
        self.ended = False

    @property
    def kept(self) -> int:
        return len(self._held) + self._head_bytes + self._batch_bytes + self._part_bytes

    def next(self) -> Part | None:
        while (part := next(self._slices, None)) is None and self._more():
            pass
        return part

    def _more(self) -> bool:
        """Have slices of a further part; False when more must come first, or nothing will."""
        self._part_bytes = 0
        while True:
            for whole, message in self._messages():
                if message.kind == "batch":
                    self._batches.append(whole)
                    self._batch_bytes += len(whole)
                    if self._batch_bytes >= SLICE_BYTES:
                        self._slices = self._part()
                        return True
                    continue
                # A dictionary is for the batches after it.
                cut_short = bool(self._batches)
                if cut_short:
                    self._again_bytes += self._head_bytes
                    self._slices = self._part()
                self._put(whole, message)
                if cut_short:
                    return True
            piece = self._unpacked.read(_PIECE)
            if not piece:
                break
            self._held += piece
        if not self._unpacked.whole or self.ended:
            return False
        if not self._schema:
            raise empty()
        if self._held and not self._closed:
            raise _broken("it ends in the middle of a message")
        if not self._batches:
            self.ended = True
            return False
        self._slices = self._part()
        return True

    def _put(self, whole: bytes, message: Message) -> None:
        """Into the head; a dictionary takes the place of the one before unless it adds to that."""
        if message.kind == "schema":
            self._head_bytes += len(whole) - len(self._schema)
            self._schema = whole
        else:
            found = self._dictionaries.setdefault(message.values_of, [])
            if not message.adds:
                self._head_bytes -= sum(map(len, found))
                found.clear()
            found.append(whole)
            self._head_bytes += len(whole)
        if self._head_bytes > MAX_BODY_BYTES:
            raise too_large("in its dictionaries")
        if self._again_bytes > _MOST_AGAIN:
            raise BodyError(400, "The dictionaries of the Arrow stream change too often.", hint=PLAIN)

    def _messages(self) -> Iterator[tuple[bytes, Message]]:
        """Whole messages of what is held."""
        while not self._closed and len(self._held) >= 8:
            prefix = 8 if self._held[:4] == _CONTINUES else 4
            size = int.from_bytes(self._held[prefix - 4 : prefix], "little")
            if size == 0:
                self._closed = True
                self._held.clear()
                return
            if size > MAX_BODY_BYTES:
                raise _broken("a message has no plausible length")
            if len(self._held) < prefix + size:
                return
            try:
                message = Message(bytes(self._held[prefix : prefix + size]))
                end = prefix + size + message.body_bytes
                if message.body_bytes > MAX_BODY_BYTES:
                    raise too_large("in one record batch")
                if len(self._held) < end:
                    return
                whole = bytes(self._held[:end])
                if message.unpacked_bytes(whole[prefix + size :]) > MAX_BODY_BYTES:
                    raise too_large("in one record batch, unpacked")
            except ValueError as error:
                raise _broken(str(error)) from None
            del self._held[:end]
            yield whole, message

    def _part(self) -> Iterator[Part]:
        dictionaries = (one for several in self._dictionaries.values() for one in several)
        content = b"".join([self._schema, *dictionaries, *self._batches])
        self._batches.clear()
        self._batch_bytes, self._part_bytes = 0, len(content)
        try:
            table = pyarrow.ipc.open_stream(content).read_all()
            table.validate(full=True)
            slices = written_out(table.combine_chunks())
        except (pa.ArrowException, OSError, ValueError) as error:
            raise _broken(str(error)) from None
        first, self._place = self._place, self._place + table.num_rows
        return _kept_one_by_one(content, slices, first)


def _kept_one_by_one(content: bytes, slices: list[pa.Table], first: int) -> Iterator[Part]:
    """A part of each slice: all of it together may be large when its dictionaries are written out."""
    name = sha256(content).digest() if len(slices) > 1 else b""
    for number, rows in enumerate(slices):
        yield Part(content if number == 0 else b"%b%d" % (name, number), iter([Table(rows, first)]))
        first += rows.num_rows


def _broken(why: str) -> BodyError:
    return BodyError(400, f"The body is not an Arrow IPC stream: {why}.")
