"""What was logged and is in memory, waiting or on its way, bounded by records and bytes. Adding waits for nothing but another add."""

from collections import deque
from threading import RLock

from whorl.client.frames import Logged


class Pending:
    """A bounded queue: any thread adds, one takes. What was taken counts until it is let go.

    Args:
        guard: Held by whoever adds. Reentrant: a signal handler or a destructor may log in the middle of an add.
    """

    def __init__(self, guard: RLock, max_records: int, max_bytes: int) -> None:
        self._max_records, self._max_bytes = max_records, max_bytes
        self._records: deque[Logged] = deque()
        self._out = self._bytes = 0
        self._guard = guard

    def __len__(self) -> int:
        return len(self._records)

    @property
    def crowded(self) -> bool:
        """More than half full: time to make room."""
        return 2 * len(self._records) > self._max_records or 2 * self._bytes > self._max_bytes

    def add(self, record: Logged) -> bool:
        """False when there is no room for it. The caller holds the guard."""
        size = self._bytes + len(record.body)
        if len(self._records) + self._out >= self._max_records or size > self._max_bytes:
            return False
        self._records.append(record)
        self._bytes = size
        return True

    def take(self, most: int, most_bytes: int) -> list[Logged]:
        """The oldest, out of the queue; at least one if there is any."""
        taken: list[Logged] = []
        size = 0
        # Without the guard: nobody else takes, and those who add must not wait for this.
        records = self._records
        while records and len(taken) < most and (not taken or size + len(records[0].body) <= most_bytes):
            self._out += 1
            taken.append(records.popleft())
            size += len(taken[-1].body)
        return taken

    def let_go(self, taken: list[Logged]) -> None:
        """They are no longer in memory."""
        size = sum(len(record.body) for record in taken)
        with self._guard:
            self._out -= len(taken)
            self._bytes = self._bytes - size if self._records or self._out else 0

    def put_back(self, taken: list[Logged]) -> None:
        """What was taken last is the oldest again."""
        with self._guard:
            self._records.extendleft(reversed(taken))
            self._out -= len(taken)
