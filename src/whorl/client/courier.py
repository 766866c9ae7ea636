"""The one background thread: takes what was logged, sends it in order, keeps on disk what cannot be sent now.

Order of one process: what is in its spool goes before what is in memory, and as long as anything is in the spool, what is
in memory goes behind it. Spools of dead processes go first. A window is sent under its key until the server has answered
for it, by this process or by the one that takes over its spool.
"""

import logging
import random
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Condition, Lock, RLock, Thread
from time import monotonic
from uuid import uuid4

from whorl.client.frames import Logged
from whorl.client.losses import Losses, Reason
from whorl.client.pending import Pending
from whorl.client.sender import Answer, NotNow, Sender
from whorl.client.settings import Settings
from whorl.client.spool import Full, Spool, Window, dead

log = logging.getLogger("whorl.client")

LOOK_FOR_DEAD_EVERY_S = 30.0
_LONGEST_BACKOFF_S = 30.0
_ALL = 1 << 62


class Courier:
    """Carries records to the server. `take_in` is called under the client's guard; `run` is the thread.

    Args:
        guard: The client's.
        losses: Told of what is refused and dropped.
        sender: None: the thread makes its own.
    """

    def __init__(self, settings: Settings, guard: RLock, losses: Losses, sender: Sender | None) -> None:
        self._settings, self._losses = settings, losses
        self._batch, self._durable = settings.batch_records, settings.durable
        self._pending = Pending(guard, settings.max_records, settings.max_bytes)
        # Rung from anywhere, also in the middle of ringing: it is the one queue that may be.
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._asleep = self._hurried = self._closing = self._abandoned = self._more = False
        self._turn = Lock()
        self._changed = Condition()
        self._sender = sender
        self._own: Spool | None = None
        if settings.durable and settings.target is not None:
            self._own = self._own_spool(settings.target)
        self._others: list[Spool] = []
        self._held: Window | None = None
        self._no_room: Reason = "queue_full"
        self._failures = 0
        self._retry_at = self._not_before = self._look_at = 0.0
        self.taken_in = self.sent = self.left = self.spooled = self.taken_over = 0
        self._thread = Thread(target=self.run, name="whorl-client", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def take_in(self, record: Logged) -> Reason | None:
        """Why it was not taken in; None when it was. The caller holds the guard."""
        if self._durable and self._own is not None:
            try:
                self._own.append([record])
            except Full:
                return "spool_full"
            except OSError:
                return "disk"
            self.spooled += 1
        elif not self._pending.add(record):
            return self._no_room
        self.taken_in += 1
        if self._asleep or not self.taken_in % self._batch:
            self._ring()
        return None

    def wake(self) -> None:
        """There is something to tell."""
        if self._asleep:
            self._ring()

    def _ring(self) -> None:
        self._asleep = False
        self._bell.put(None)

    def settled(self, target: int, timeout_s: float) -> bool:
        """Wait until as many as `target` of those that were taken in are settled; False when time is up first."""
        if self._settings.durable and self._own is not None:
            with suppress(OSError):
                self._own.sync()
        self._hurried = True
        self._bell.put(None)
        with self._changed:
            return self._changed.wait_for(lambda: self.taken_in - self._unsettled() >= target, timeout_s)

    def close(self, timeout_s: float) -> None:
        """Send what can be sent within the time; what cannot goes to the spool."""
        until = monotonic() + timeout_s
        self._closing = True
        self._bell.put(None)
        with suppress(RuntimeError):
            self._thread.join(timeout_s)
        # The thread never holds this while it waits for the server.
        if self._turn.acquire(timeout=max(1.0, until - monotonic())):
            self._abandoned = True
            self._leave()
            self._turn.release()
        if self._sender is not None and not self._thread.is_alive():
            self._sender.close()

    def forget(self) -> None:
        """After a fork: all this is the parent's."""
        for spool in [*self._others, *([self._own] if self._own else [])]:
            spool.forget()

    def run(self) -> None:
        """Go round until closed."""
        going = True
        while going:
            try:
                going = self._round()
            except Exception:
                log.exception("Whorl: the client's thread met what it does not know, and goes on.")
                self._put_off(None)
                going = not self._closing

    def _round(self) -> bool:
        self._wait()
        with self._turn:
            if self._abandoned:
                return False
            try:
                self._keep_room()
                job = self._next()
            except OSError as error:
                self._losses.trouble(f"the spool: {error}")
                self._put_off(None)
                job = None
            self._losses.tell()
        if job is None:
            return not self._closing
        window, spool = job
        answers, failed = None, None
        try:
            answers = self._connected().send(window)
        except NotNow as error:
            failed = error
        with self._turn:
            if self._abandoned:
                return False
            if answers is not None:
                self._settle(window, spool, answers)
            elif failed is not None:
                self._losses.trouble(failed.why)
                self._put_off(failed.after_s)
        return not (self._closing and failed)

    def _wait(self) -> None:
        if self._closing:
            return
        self._asleep = True
        if not self._unsettled() and not self._others:
            self._pause(self._look_at - monotonic())
        elif (put_off := self._due() - monotonic()) > 0:
            self._pause(put_off)
        self._asleep = False
        few = self._unsettled() < self._batch and not self._more
        if few and not self._others and not self._hurried:
            self._pause(self._settings.linger_s)

    def _pause(self, seconds: float) -> None:
        if seconds > 0 and not self._closing:
            with suppress(Empty):
                self._bell.get(timeout=seconds)

    def _due(self) -> float:
        """When to try again. Who hurries need not wait for our own patience, but for what the server asked."""
        return self._not_before if self._hurried else max(self._not_before, self._retry_at)

    def _keep_room(self) -> None:
        """Write to the spool what must not stay in memory; put on disk what was written; look for the dead."""
        behind = self._held is not None or (self._own is not None and not self._own.empty)
        if behind or self._failures or self._pending.crowded:
            self._to_spool()
        if self._own is not None:
            self._own.sync()
        if not self._closing and monotonic() >= self._look_at:
            self._look_at = monotonic() + LOOK_FOR_DEAD_EVERY_S
            if self._settings.target is not None:
                self._others += dead(self._settings.target, self._settings.max_spool_bytes)

    def _to_spool(self) -> bool:
        """Everything in memory, in order. False when there is no room for it: it stays where it is."""
        if not self._held and not self._pending:
            return True
        if self._settings.target is None:
            return False
        taken: list[Logged] = []
        try:
            own = self._own_spool(self._settings.target)
            if self._held is not None:
                own.adopt(self._held)
                self._spooled(self._held.records)
                self._held = None
            while taken := self._pending.take(self._batch, self._settings.batch_bytes):
                own.append(taken)
                self._spooled(taken)
        except OSError as error:
            self._no_room = "spool_full" if isinstance(error, Full) else "disk"
            self._pending.put_back(taken)
            return False
        self._no_room = "queue_full"
        return True

    def _spooled(self, records: list[Logged]) -> None:
        self.spooled += len(records)
        self._pending.let_go(records)

    def _own_spool(self, target: Path) -> Spool:
        if self._own is None:
            self._own = Spool.make(target, self._settings.max_spool_bytes)
        return self._own

    def _next(self) -> tuple[Window, Spool | None] | None:
        """What to send now, and the spool it lies in."""
        if monotonic() < (self._not_before if self._closing else self._due()):
            return None
        most, most_bytes = self._batch, self._settings.batch_bytes
        for spool in [] if self._closing else list(self._others):
            if (window := spool.window(most, most_bytes)) is not None:
                spool.begin(window)
                return window, spool
            self._finish(spool)
        if self._held is not None:
            return self._held, None
        if self._own is not None and (window := self._own.window(most, most_bytes)) is not None:
            self._own.begin(window)
            return window, self._own
        if records := self._pending.take(most, most_bytes):
            self._held = Window(uuid4().bytes, records)
            return self._held, None
        self._hurried = False
        return None

    def _settle(self, window: Window, spool: Spool | None, answers: list[Answer]) -> None:
        """The server has answered for a window."""
        accepted, refused = sum(a.accepted for a in answers), sum(a.refused for a in answers)
        without_consent = sum(a.without_consent for a in answers)
        why = next((a.why for a in answers if a.why), "")
        self._losses.trouble("")
        self._failures = 0
        self._retry_at = self._not_before = 0.0
        self._more = self._large(window)
        if spool is None:
            self._held = None
            self._pending.let_go(window.records)
        else:
            spool.settled(window)
        if spool in self._others:
            self.taken_over += accepted + refused + without_consent
            if refused:
                self._losses.note(f"{refused} records of an earlier process were refused: {why}")
            return
        self.sent += accepted
        self._losses.refuse(refused, why)
        self._losses.without_consent += without_consent
        with self._changed:
            self._changed.notify_all()

    def _large(self, window: Window) -> bool:
        """Whether there may be more of it: then the next need not linger."""
        how = self._settings
        return (
            len(window.records) == self._batch
            or sum(len(r.body) for r in window.records) > how.batch_bytes // 2
        )

    def _put_off(self, after_s: float | None) -> None:
        """Try again later: as the server asked, else after twice the time of before."""
        self._failures += 1
        if after_s is not None:
            self._not_before = monotonic() + after_s
        doubled = min(self._settings.retry_s * 2.0 ** min(self._failures - 1, 30), _LONGEST_BACKOFF_S)
        # Not all clients of a server that comes back at the same moment.
        self._retry_at = monotonic() + doubled * random.uniform(0.5, 1.0)
        self._hurried = False

    def _finish(self, spool: Spool) -> None:
        self._others.remove(spool)
        if spool.cut_bytes:
            self._losses.note(f"{spool.cut_bytes} bytes of an earlier process's spool were not whole")
        spool.close()

    def _leave(self) -> None:
        """What is in memory goes to the spool; what the spool does not take is lost, and counted."""
        if not self._to_spool():
            lost = len(self._pending) + (len(self._held.records) if self._held else 0)
            reason: Reason = "unsent" if self._settings.target is None else self._no_room
            self._losses.dropped[reason] += lost
            self.left += lost
        for spool in [*self._others, *([self._own] if self._own else [])]:
            spool.close()
        self._losses.tell(last=True)
        with self._changed:
            self._changed.notify_all()

    def _unsettled(self) -> int:
        """How many were taken in and of which nobody knows yet what becomes of them."""
        lost = self._losses.refused + self._losses.without_consent + self.left
        return self.taken_in - self.sent - lost

    def _connected(self) -> Sender:
        if self._sender is None:
            self._sender = Sender(self._settings)
        return self._sender
