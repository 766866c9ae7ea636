"""Records on disk that the server does not have yet: one directory per process, append-only segments, one mark.

A record is in the file when `append` returns: the death of the process does not lose it. `sync` puts on disk what was
appended, against loss of power. The directory is locked while its process lives; once it is dead, the next process takes
it over (`Spool.take`). Nothing is sent from here: see `courier.py`.
"""

import contextlib
import fcntl
import os
import shutil
from pathlib import Path
from threading import RLock
from typing import NamedTuple
from uuid import uuid4

from whorl.client.frames import HEADER_BYTES, Logged, first_length, frame, unframed
from whorl.client.mark import Mark, read_mark, write_mark

SEGMENT_BYTES = 16 << 20
_OPEN = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC


class Full(OSError):
    """The spool holds as many bytes as it may."""


class Window(NamedTuple):
    """Records that are sent together, under one key. They are sent again as the same window until they are settled."""

    key: bytes
    records: list[Logged]
    segment: int = 0
    start: int = 0
    end: int = 0


class Spool:
    """One process's directory. `append` may be called by any thread; all else is the background thread's.

    Args:
        max_bytes: What its segments may hold together.
    """

    def __init__(self, folder: Path, lock: int, max_bytes: int) -> None:
        self.folder, self._lock_fd, self._max_bytes = folder, lock, max_bytes
        self._segment_bytes = min(SEGMENT_BYTES, max(max_bytes // 4, 1))
        self._guard = RLock()
        self._fd: int | None = None
        self._retired: list[int] = []
        self._sizes = {number: path.stat().st_size for number, path in _segments(folder)}
        self._writing = 0
        self._size = sum(self._sizes.values())
        self._next = max(self._sizes, default=0) + 1
        self._dirty, self._listed = False, True
        self._mark_fd = os.open(folder / "mark", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._mark = read_mark(self._mark_fd)
        # So that the disk has room for it when it is needed.
        write_mark(self._mark_fd, self._mark)
        # What could not be read: torn off by a crash.
        self.cut_bytes = 0

    @classmethod
    def make(cls, target: Path, max_bytes: int) -> "Spool":
        """A new directory of this process's own. Raises OSError."""
        # Each by itself: what `parents` makes is open to others.
        for folder in (target.parent, target):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Locked under a name that nobody takes over, so that no other process finds it unlocked.
        making = target / f"making-{os.getpid()}-{uuid4().hex[:12]}"
        making.mkdir(mode=0o700)
        lock = os.open(making / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return cls(making.rename(target / making.name.removeprefix("making-")), lock, max_bytes)

    @classmethod
    def take(cls, folder: Path, max_bytes: int) -> "Spool | None":
        """A dead process's directory; None while it lives, or when there is nothing there any more."""
        lock = -1
        try:
            lock = os.open(folder / "lock", os.O_RDWR | os.O_CLOEXEC)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Between the two its last owner may have removed it.
            if (folder / "lock").stat().st_ino == os.fstat(lock).st_ino:
                return cls(folder, lock, max_bytes)
        except OSError:
            pass
        if lock >= 0:
            os.close(lock)
        return None

    @property
    def empty(self) -> bool:
        """Whether everything in it is settled."""
        return not self._unread()

    def append(self, records: list[Logged]) -> None:
        """Add records in order: all of them, or none. Raises Full, or OSError when the disk does not take them."""
        data = b"".join(map(frame, records))
        with self._guard:
            if self._size + len(data) > self._max_bytes:
                raise Full
            fd = self._segment()
            before = self._sizes[self._writing]
            written = 0
            try:
                while written < len(data):
                    written += os.write(fd, data[written:])
            except OSError:
                with contextlib.suppress(OSError):
                    os.ftruncate(fd, before)
                raise
            self._sizes[self._writing] = before + len(data)
            self._size += len(data)
            self._dirty = True

    def sync(self) -> None:
        """Put on disk what was appended. Raises OSError."""
        if not self._dirty:
            return
        with self._guard:
            listed, self._dirty, self._listed = self._listed, False, True
            retired, self._retired, fd = self._retired, [], self._fd
        for old in retired:
            os.fdatasync(old)
            os.close(old)
        if fd is not None:
            os.fdatasync(fd)
        if not listed:
            _sync_folder(self.folder)
            _sync_folder(self.folder.parent)

    def window(self, most: int, most_bytes: int) -> Window | None:
        """What is to be sent next: the window that was begun and is not settled, else the next records. Raises OSError."""
        while unread := self._unread():
            number = unread[0]
            if number != self._mark.segment:
                self._mark = Mark(segment=number)
            mark = self._mark
            if mark.until > mark.done:
                # Where they are fewer than were begun with (torn, or cut), the server must still see that it knows them.
                records, length = self._read(number, mark.done, mark.until - mark.done, 1 << 62)
                if records:
                    return Window(mark.key, records, number, mark.done, mark.done + length)
            records, length = self._read(number, mark.done, most_bytes, most)
            if records:
                end = mark.done + length
                return Window(uuid4().bytes, records, number, mark.done, end)
            self.cut_bytes += self._sizes[number] - mark.done
            self._settle(number, self._sizes[number])
        return None

    def begin(self, window: Window) -> None:
        """Write down that a window is being sent, so that whoever goes on sends the same under the same key. Raises OSError."""
        if self._mark.key == window.key:
            return
        self.sync()
        self._note(Mark(window.segment, window.start, window.end, window.key))

    def adopt(self, window: Window) -> None:
        """Take over a window that was tried from memory; the spool is empty, so it is the first in it. Raises OSError, having taken nothing.

        Its key is written before its records are: whoever finds some of them sends them under that key.
        """
        before = self._mark
        with self._guard:
            self._segment()
            start = self._sizes[self._writing]
            length = sum(HEADER_BYTES + len(record.body) for record in window.records)
            try:
                self._note(Mark(self._writing, start, start + length, window.key))
                self.append(window.records)
            except OSError:
                # What is written there later has another key.
                self._mark = before
                with contextlib.suppress(OSError):
                    write_mark(self._mark_fd, before)
                raise

    def settled(self, window: Window) -> None:
        """The server has answered for these records. Raises OSError."""
        self._settle(window.segment, window.end)

    def close(self) -> None:
        """Let go of it; what is still in it is left to the next process. Raises nothing."""
        with self._guard, contextlib.suppress(OSError):
            self.sync()
            if self.empty:
                shutil.rmtree(self.folder, ignore_errors=True)
        self.forget()

    def forget(self) -> None:
        """Close its files and nothing else: after a fork they are the parent's."""
        fds = [*self._retired, self._mark_fd, self._lock_fd, *([] if self._fd is None else [self._fd])]
        self._retired, self._fd = [], None
        for fd in fds:
            with contextlib.suppress(OSError):
                os.close(fd)

    def _note(self, mark: Mark) -> None:
        """Put a mark on disk; not on disk, it counts for nothing here either. Raises OSError."""
        write_mark(self._mark_fd, mark)
        os.fdatasync(self._mark_fd)
        self._mark = mark

    def _segment(self) -> int:
        """Where to write."""
        if self._fd is not None and self._sizes[self._writing] < self._segment_bytes:
            return self._fd
        fd = os.open(self.folder / f"{self._next:08d}.seg", _OPEN, 0o600)
        if self._fd is not None:
            self._retired.append(self._fd)
        self._fd, self._writing, self._listed = fd, self._next, False
        self._sizes[self._writing] = 0
        self._next += 1
        return fd

    def _unread(self) -> list[int]:
        """Segments that hold something unsettled, the oldest first."""
        mark = self._mark
        return sorted(
            number
            for number, size in list(self._sizes.items())
            if number >= mark.segment and size > (mark.done if number == mark.segment else 0)
        )

    def _read(self, number: int, start: int, most_bytes: int, most: int) -> tuple[list[Logged], int]:
        size = self._sizes[number] - start
        try:
            with (self.folder / f"{number:08d}.seg").open("rb") as file:
                file.seek(start)
                data = file.read(min(most_bytes, size))
                if len(data) < (needed := first_length(data)) <= size:
                    data += file.read(needed - len(data))
        except FileNotFoundError:
            # Somebody has tidied up: what was in it is cut.
            data = b""
        return unframed(data, most)

    def _settle(self, number: int, end: int) -> None:
        self._mark = Mark(segment=number, done=end, until=end)
        write_mark(self._mark_fd, self._mark)
        with self._guard:
            gone = [old for old in self._sizes if old < number or (old == number and self._over(number, end))]
            for old in gone:
                self._size -= self._sizes.pop(old)
        for old in gone:
            (self.folder / f"{old:08d}.seg").unlink(missing_ok=True)

    def _over(self, number: int, end: int) -> bool:
        """Whether a segment is settled to its end and nobody writes to it any more."""
        return number != self._writing and end >= self._sizes[number]


def dead(target: Path, max_bytes: int) -> list[Spool]:
    """Every spool of a target whose process is dead, taken over; the oldest first."""
    try:
        folders = [(path.stat().st_mtime, path) for path in target.iterdir() if path.is_dir()]
    except OSError:
        return []
    there = [path for _, path in sorted(folders) if not path.name.startswith("making-")]
    return [spool for folder in there if (spool := Spool.take(folder, max_bytes)) is not None]


def _segments(folder: Path) -> list[tuple[int, Path]]:
    return [(int(path.stem), path) for path in sorted(folder.glob("*.seg"))]


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
