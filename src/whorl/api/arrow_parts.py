"""An Arrow IPC stream in parts: as many record batches as are a few megabytes, each part a stream of its own.

Messages are cut by their framing (Arrow columnar format, "Encapsulated message format"). A body that would become much
larger in memory, by compression or by dictionaries, is refused or read in slices.
"""

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.ipc

from whorl.api.arrow_message import Message
from whorl.api.body import SLICE_BYTES, empty
from whorl.api.failures import BodyError
from whorl.api.parts import Part, Table
from whorl.api.unpacked import MAX_BODY_BYTES, Unpacked, too_large

_PIECE = 1 << 20
_SLICE_ROWS = 1 << 16
_CONTINUES, _END = b"\xff\xff\xff\xff", b"\x00\x00\x00\x00"


class ArrowParts:
    """Cuts a stream."""

    def __init__(self, unpacked: Unpacked) -> None:
        self._unpacked = unpacked
        self._held = bytearray()
        # What every part begins with: the schema, and the dictionaries so far.
        self._head: list[bytes] = []
        self._batches: list[bytes] = []
        self._place = 0
        # The stream said so itself; after that, nothing counts.
        self._closed = False
        self.ended = False

    def next(self) -> Part | None:
        while True:
            for message, kind in self._messages():
                if kind == "batch":
                    self._batches.append(message)
                    if sum(map(len, self._batches)) >= SLICE_BYTES:
                        return self._part()
                    continue
                # A dictionary is for the batches after it.
                before = self._part() if self._batches else None
                self._head.append(message)
                if sum(map(len, self._head)) > MAX_BODY_BYTES:
                    raise too_large("in its dictionaries")
                if before is not None:
                    return before
            piece = self._unpacked.read(_PIECE)
            if not piece:
                break
            self._held += piece
        if not self._unpacked.whole:
            return None
        if not self._head:
            raise empty()
        if self._held and not self._closed:
            raise _broken("it ends in the middle of a message")
        self.ended = True
        return self._part() if self._batches else None

    def _messages(self) -> Iterator[tuple[bytes, str]]:
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
            yield whole, message.kind

    def _part(self) -> Part:
        content = b"".join([*self._head, *self._batches])
        self._batches.clear()
        try:
            table = pyarrow.ipc.open_stream(content).read_all()
            table.validate(full=True)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise _broken(str(error)) from None
        first, self._place = self._place, self._place + table.num_rows
        return Part(content, _slices(table, first))


def _slices(table: pa.Table, first: int) -> Iterator[Table]:
    """Rows in slices that stay small when every dictionary is written out."""
    table = table.combine_chunks()
    widest = sum(_widest(column.chunk(0)) for column in table.columns if column.num_chunks)
    rows = max(1, min(_SLICE_ROWS, MAX_BODY_BYTES // max(1, widest)))
    for start in range(0, table.num_rows, rows):
        yield Table(table.slice(start, rows), first + start)


def _widest(column: pa.Array) -> int:
    """Bytes that a row may take more than it has here."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        values = column.dictionary
        if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
            return 8 if pa.types.is_primitive(values.type) else int(values.nbytes)
        return max((len(value or "") * 4 for value in values.to_pylist()), default=0)
    if pa.types.is_struct(kind):
        return sum(_widest(column.field(number)) for number in range(kind.num_fields))
    if _plain(kind):
        return 0
    raise _broken(f"columns of {kind} are not read: write them as plain columns")


def _plain(kind: pa.DataType) -> bool:
    """Whether values of a type stand in it one after the other, so that what it holds is as large as it is."""
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _plain(kind.value_type)
    if pa.types.is_map(kind):
        return _plain(kind.key_type) and _plain(kind.item_type)
    if pa.types.is_struct(kind):
        return all(_plain(kind.field(number).type) for number in range(kind.num_fields))
    tests: Sequence[object] = (
        pa.types.is_primitive, pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary,
        pa.types.is_fixed_size_binary, pa.types.is_decimal, pa.types.is_null,
    )  # fmt: skip
    return any(test(kind) for test in tests)  # type: ignore[operator]


def _broken(why: str) -> BodyError:
    return BodyError(400, f"The body is not an Arrow IPC stream: {why}.")
