"""What was logged and waits in memory, bounded by records and bytes. Adding never waits for anything but another add."""

from collections import deque
from threading import RLock

from whorl.client.frames import Logged


class Pending:
    """A bounded queue: any thread adds, one takes.

    Args:
        guard: Held by whoever adds. Reentrant: a signal handler or a destructor may log in the middle of an add.
    """

    def __init__(self, guard: RLock, max_records: int, max_bytes: int) -> None:
        self._max_records, self._max_bytes = max_records, max_bytes
        self._records: deque[Logged] = deque()
        self._bytes = 0
        self._guard = guard

    def __len__(self) -> int:
        return len(self._records)

    @property
    def crowded(self) -> bool:
        """More than half full: time to make room."""
        return 2 * len(self._records) > self._max_records or 2 * self._bytes > self._max_bytes

    def add(self, record: Logged) -> bool:
        """False when there is no room for it. The caller holds the guard."""
        if len(self._records) >= self._max_records or self._bytes + len(record.body) > self._max_bytes:
            return False
        self._records.append(record)
        self._bytes += len(record.body)
        return True

    def take(self, most: int, most_bytes: int) -> list[Logged]:
        """The oldest, out of the queue; at least one if there is any."""
        taken: list[Logged] = []
        size = 0
        # Without the guard: nobody else takes, and those who add must not wait for this.
        records = self._records
        while records and len(taken) < most and (not taken or size + len(records[0].body) <= most_bytes):
            taken.append(records.popleft())
            size += len(taken[-1].body)
        with self._guard:
            self._bytes = self._bytes - size if records else 0
        return taken

    def put_back(self, taken: list[Logged]) -> None:
        """What was taken last is the oldest again."""
        with self._guard:
            self._records.extendleft(reversed(taken))
            self._bytes += sum(len(record.body) for record in taken)
