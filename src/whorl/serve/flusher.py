"""The process beside a server that moves what was accepted to the lake.

Moving takes the interpreter's lock for tens of milliseconds at a time, and requests would wait for it. The process is
told what to serve on its input, ends when that closes, and tells on its output of what it has moved; when it dies,
another one goes on where it stopped (`capture/flush.py`).
"""

import logging
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from time import monotonic
from typing import IO

import msgspec

from whorl.capture.flush import Moved

log = logging.getLogger("whorl.serve")

FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 30.0
# -P: what lies in the working directory must not be taken for a library.
_COMMAND = (sys.executable, "-P", "-m", "whorl.serve.flusher_process")


class How(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be flushed: flywheel.toml files, the workspace's directory, and where its ledger is."""

    specs: list[str]
    root: str
    ledger_url: str | None


class Flusher:
    """Keeps the process running from `start` to `close`.

    Args:
        tell: Called, in a thread of its own, for each batch that was moved.
    """

    def __init__(self, how: How, tell: Callable[[Moved], object]) -> None:
        self._how, self._tell = how, tell
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._watching = threading.Thread(target=self._watch, name="whorl-flusher", daemon=True)

    @property
    def pid(self) -> int | None:
        """Of the process, while it runs."""
        return None if self._process is None or self._process.poll() is not None else self._process.pid

    def start(self) -> None:
        self._watching.start()

    def close(self, wait_s: float) -> None:
        """Let it finish the batch that it moves, for so long; what is left then is claimed, and moved next time."""
        with self._lock:
            self._over.set()
            process = self._process
        if process is not None:
            _close(process.stdin)
            try:
                process.wait(wait_s)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._watching.is_alive():
            self._watching.join(wait_s)

    def _watch(self) -> None:
        wait_s = FIRST_WAIT_S
        while not self._over.is_set():
            began = monotonic()
            ended = self._one()
            if self._over.is_set():
                return
            if monotonic() - began > LONGEST_WAIT_S:
                wait_s = FIRST_WAIT_S
            log.error("The flusher has ended (%s); another one begins in %g s.", ended, wait_s)
            self._over.wait(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    def _one(self) -> str:
        """Run one process to its end; returns how that came."""
        try:
            process = self._begun()
        except OSError as error:
            return f"it cannot be started: {error}"
        if process is None:
            return "it is over"
        with process:
            for line in process.stdout or ():
                self._heard(line)
        return _how_it_ended(process.returncode)

    def _heard(self, line: bytes) -> None:
        try:
            self._tell(msgspec.json.decode(line, type=Moved))
        except msgspec.DecodeError:
            # The last words of one that was killed; what it moved is moved, and not counted.
            log.warning("The flusher broke off in the middle of what it told: %r", line[:100])

    def _begun(self) -> subprocess.Popen[bytes] | None:
        """A new process that knows what to do; None when it is over."""
        with self._lock:
            if self._over.is_set():
                return None
            self._process = subprocess.Popen(_COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            stdin = self._process.stdin
        if stdin is not None:
            try:
                stdin.write(msgspec.json.encode(self._how) + b"\n")
                stdin.flush()
            except OSError:
                # It has died already, which the caller will see.
                _close(stdin)
        return self._process


def _close(pipe: IO[bytes] | None) -> None:
    try:
        if pipe is not None:
            pipe.close()
    except OSError:
        pass


def _how_it_ended(status: int) -> str:
    return f"status {status}" if status >= 0 else signal.Signals(-status).name
