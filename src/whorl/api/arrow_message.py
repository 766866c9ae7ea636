"""What the framing of an Arrow IPC message says, read from its flatbuffer: kind, length, and what it unpacks to.

Only these few fields are read, so that a stream can be cut, and a bomb seen, before Arrow allocates anything.
Source: Message.fbs of the Arrow columnar format.
"""

import struct

# A column of nulls has no bytes, however many they are.
MAX_ROWS = 1 << 22
_KINDS = {1: "schema", 2: "dictionary", 3: "batch"}


class Message:
    """One message's metadata.

    Raises:
        ValueError: It is none that a stream has.
    """

    def __init__(self, flat: bytes) -> None:
        self._flat = flat
        try:
            table = self._number("<I", 0)
            code = self._field("<B", table, 1)
            self.kind = _KINDS.get(code or 0, "")
            self.body_bytes = self._field("<q", table, 3) or 0
            header = self._table(table, 2)
            # A dictionary's values are a record batch inside it.
            self._batch = self._table(header, 1) if self.kind == "dictionary" and header else header
            # Which column's values these are; with `adds`, behind those that were there.
            self.values_of = (self._field("<q", header, 0) or 0) if header else 0
            self.adds = bool(header and self.kind == "dictionary" and self._field("<B", header, 2))
        except struct.error:
            raise ValueError("a message's metadata is cut") from None
        if not self.kind or self.body_bytes < 0:
            raise ValueError(f"a message of kind {code} cannot be read")

    def unpacked_bytes(self, body: bytes) -> int:
        """What its buffers become in memory; as they are where they are not compressed. Raises ValueError."""
        if self.kind == "schema" or self._batch is None:
            return 0
        try:
            if (self._field("<q", self._batch, 0) or 0) > MAX_ROWS:
                raise ValueError(f"a record batch has more than {MAX_ROWS:,} rows")
            if not self._offset(self._batch, 3):
                return len(body)
            place = self._batch + self._offset(self._batch, 2)
            vector = place + self._number("<I", place)
            count, total = self._number("<I", vector), 0
            for number in range(count):
                at, size = struct.unpack_from("<qq", self._flat, vector + 4 + 16 * number)
                if size:
                    total += max(size, struct.unpack_from("<q", body, at)[0])
        except struct.error:
            raise ValueError("a buffer lies outside its message") from None
        return total

    def _number(self, form: str, at: int) -> int:
        if at < 0:
            raise struct.error
        number: int = struct.unpack_from(form, self._flat, at)[0]
        return number

    def _offset(self, table: int, field: int) -> int:
        """Where a field of a table is, from its beginning; 0 when it has its default."""
        vtable = table - self._number("<i", table)
        entry = 4 + 2 * field
        return self._number("<H", vtable + entry) if entry < self._number("<H", vtable) else 0

    def _field(self, form: str, table: int, field: int) -> int | None:
        offset = self._offset(table, field)
        return self._number(form, table + offset) if offset else None

    def _table(self, table: int, field: int) -> int | None:
        offset = self._offset(table, field)
        return table + offset + self._number("<I", table + offset) if offset else None
