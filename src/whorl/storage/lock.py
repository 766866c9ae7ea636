"""Locks of a workspace, by name, among processes: who turns its cycles, who has a flusher's slot, who maintains the lake.

Embedded it is a lock on a file in the workspace, on PostgreSQL an advisory lock of a session: both are freed by the
system when the process dies, however it dies. Beside the lock lies who holds it, only to be shown.
Reads, approvals and rollback need no lock.
"""

import fcntl
import hashlib
import os
import shlex
import socket
import sys
from datetime import datetime
from pathlib import Path
from typing import Protocol

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from whorl.errors import StorageError, WorkspaceHeld, masked
from whorl.storage.ledger.faults import explain
from whorl.storage.ledger.ledger import Ledger
from whorl.storage.ledger.tables import meta
from whorl.storage.ledger.upsert import insert_or_replace

# Of who flushes and turns.
TURNING = "turning"


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds a lock."""

    pid: int
    host: str
    since: datetime
    command: str


class Lock(Protocol):
    """A lock that is held; leave the `with` block, or call `release`, to let it go."""

    def still_held(self) -> bool:
        """False once a lost database connection has freed it: stop what it protected."""

    def release(self) -> None: ...

    def __enter__(self) -> "Lock": ...

    def __exit__(self, *_: object) -> None: ...


def hold(workspace_root: Path, ledger: Ledger, name: str) -> Lock:
    """Take the lock `name` of a workspace, without waiting.

    Raises:
        WorkspaceHeld: Another process has it; says which, since when, and what to do.
        StorageError: The lock's file or the database cannot be reached.
    """
    lock = _lock(workspace_root, ledger, name)
    if not lock.take():
        raise _held_by(lock.describe(), ledger.place if not ledger.embedded else str(workspace_root))
    try:
        lock.sign(msgspec.json.encode(_myself(ledger.clock.now())))
    except BaseException:
        lock.release()
        raise
    return lock


def wait_for(workspace_root: Path, ledger: Ledger, name: str, *, shared: bool = False) -> Lock:
    """Take a lock that nobody holds for longer than one piece of work, after whoever has it. Nobody signs it.

    Args:
        shared: Beside others who share it. A lock on a file is never shared: there, one who wants it alone could wait for
            ever, because the system does not queue.

    Raises:
        StorageError: The lock's file or the database cannot be reached.
    """
    lock = _lock(workspace_root, ledger, name)
    lock.take(wait=True, shared=shared)
    return lock


def take_if_free(workspace_root: Path, ledger: Ledger, name: str) -> Lock | None:
    """Take a lock, unless somebody has it. Nobody signs it.

    Raises:
        StorageError: The lock's file or the database cannot be reached.
    """
    lock = _lock(workspace_root, ledger, name)
    if lock.take():
        return lock
    lock.release()
    return None


def holder(workspace_root: Path, ledger: Ledger, name: str) -> Holder | None:
    """Who holds a lock that is signed; None when nobody does, or has just taken it. Makes no file."""
    if ledger.embedded and not (workspace_root / f"{name}.lock").exists():
        return None
    lock = _lock(workspace_root, ledger, name)
    if lock.take():
        lock.release()
        return None
    try:
        return msgspec.json.decode(lock.describe(), type=Holder)
    except msgspec.DecodeError:
        return None


def _lock(workspace_root: Path, ledger: Ledger, name: str) -> "_FileLock | _DatabaseLock":
    return _FileLock(workspace_root / f"{name}.lock") if ledger.embedded else _DatabaseLock(ledger, name)


class _FileLock:
    def __init__(self, path: Path) -> None:
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StorageError(
                f"The lock cannot be opened ({error.strerror}).",
                where=str(path),
                hint="Check that the directory is there and who may write it.",
            ) from error

    def take(self, *, wait: bool = False, shared: bool = False) -> bool:  # noqa: ARG002 - see wait_for
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def sign(self, holder: bytes) -> None:
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, holder, 0)

    def describe(self) -> bytes:
        holder = os.pread(self._file, 65536, 0)
        self.release()
        return holder

    def still_held(self) -> bool:
        return self._file >= 0

    def release(self) -> None:
        # The file stays: deleting it would let two processes lock two files of one name.
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> "_FileLock":
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class _DatabaseLock:
    def __init__(self, ledger: Ledger, name: str) -> None:
        self._ledger = ledger
        self._entry = f"lock/{name}"
        digest = hashlib.sha256(f"{ledger.uuid}/{name}".encode()).digest()
        self._key = int.from_bytes(digest[:8], "big", signed=True)
        # The lock lives as long as this session.
        self._session = ledger.session()

    def take(self, *, wait: bool = False, shared: bool = False) -> bool:
        if wait:
            lock = sa.func.pg_advisory_lock_shared if shared else sa.func.pg_advisory_lock
        else:
            lock = sa.func.pg_try_advisory_lock
        try:
            taken = self._session.execute(sa.select(lock(self._key))).scalar()
        except DBAPIError as error:
            self._session.close()
            raise explain(error.orig, self._ledger.place, 0) or error from error
        return wait or bool(taken)

    def sign(self, holder: bytes) -> None:
        with self._ledger.write() as conn:
            insert_or_replace(conn, meta, {"key": self._entry, "value": holder.decode()})

    def describe(self) -> bytes:
        self.release()
        with self._ledger.read() as conn:
            found = conn.execute(sa.select(meta.c.value).where(meta.c.key == self._entry)).scalar()
        return (found or "").encode()

    def still_held(self) -> bool:
        if self._session.closed:
            return False
        try:
            self._session.execute(sa.select(1))
        except DBAPIError:
            # Closed for good: a session that reconnects would live without the lock.
            self._session.close()
            return False
        return True

    def release(self) -> None:
        # Said aloud, because the server notices a closed connection only a moment later.
        if self.still_held():
            self._session.execute(sa.select(sa.func.pg_advisory_unlock_all()))
        self._session.close()

    def __enter__(self) -> "_DatabaseLock":
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def _myself(since: datetime) -> Holder:
    program, *arguments = sys.argv or ["python"]
    command = shlex.join([Path(program).name, *arguments])
    return Holder(pid=os.getpid(), host=socket.gethostname(), since=since, command=masked(command))


def _held_by(description: bytes, where: str) -> WorkspaceHeld:
    beside = (
        "Reading, approving, rejecting and rolling back work beside it. A server turns cycles itself: on its cadence, when "
        "one is approved or rejected, and at once by POST /v1/flywheels/NAME/cycles."
    )
    try:
        holder = msgspec.json.decode(description, type=Holder)
    except msgspec.DecodeError:
        # Taken a moment ago and not signed yet.
        return WorkspaceHeld("Another process has just taken this workspace.", where=where, hint=beside)
    since = holder.since.strftime("%Y-%m-%d %H:%M:%S UTC")
    return WorkspaceHeld(
        f"Process {holder.pid} on {holder.host} holds this workspace since {since}: {holder.command}.",
        where=where,
        hint=f"To take over, stop it there (kill {holder.pid}). {beside}",
        **msgspec.structs.asdict(holder),
    )
