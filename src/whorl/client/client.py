"""The light face: log to a server without ever waiting for it.

A verb encodes the record and puts it into a bounded queue (with `durable=True`, into a file); the rest is the background
thread's, see `courier.py`. No verb that logs raises or blocks: what was lost is counted in `stats()` and told by one warning.
`predict` is the one that asks: it waits, and raises; see `ask.py`.
"""

import asyncio
import atexit
import logging
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from threading import RLock
from typing import Any
from weakref import WeakSet

from whorl.client.ask import Asker
from whorl.client.courier import Courier
from whorl.client.encode import MAX_RECORD_BYTES, encoded, plain
from whorl.client.frames import Kind, Logged
from whorl.client.losses import Losses, Reason, Stats
from whorl.client.sender import Sender
from whorl.client.settings import BeforeSend, Settings
from whorl.client.shapes import feedback_record, label_record
from whorl.client.track import Id, tracked
from whorl.errors import StateError

log = logging.getLogger("whorl.client")

_clients: "WeakSet[Client]" = WeakSet()
# Of parents, in their children: never used, and never closed, for the connections in them are the parents' own.
_inherited: list[Courier | Asker] = []


class Client:
    """Verbs for one flywheel of one server; `whorl.connect` makes it. Any thread may use it, and any child of a fork."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._now = settings.clock.now
        self._reason: Reason | None = None
        self._courier: Courier | None = None
        self._asker: Asker | None = None
        self._renew()
        # Here, not in the thread: what HTTP needs is loaded before anyone forks, not in the midst of it.
        self._begin(Sender(settings))
        _clients.add(self)
        atexit.register(self.close)

    def log_prediction(self, record: Mapping[str, Any]) -> None:
        """Log a model call in your own shape. A record that says no time is given that of this call."""
        self._log("predictions", record, stamped=True)

    def log_predictions(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Log many model calls."""
        self._log_all("predictions", records, stamped=True)

    def log_label(self, id: str | None, value: Any, **fields: Any) -> None:
        """The truth about a prediction; a later one corrects an earlier one. Fields are those of `whorl.Label`."""
        self._log("labels", label_record(self._now(), id, value, fields))

    def log_labels(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Labels in your own shape. One that says no time is given that of its arrival."""
        self._log_all("labels", records)

    def log_feedback(self, id: str | None, name: str, value: Any = None, **fields: Any) -> None:
        """A signal about a prediction: `log_feedback("txn_1", "thumbs", 1)`. Fields are those of `whorl.Feedback`."""
        self._log("feedback", feedback_record(self._now(), id, name, value, fields))

    def track(self, function: Callable[..., Any] | None = None, *, id: Id = None) -> Any:
        """Log each call of a function as a prediction; see `whorl.track`."""
        return tracked(self.log_call, self._now, function, id)

    def predict(
        self, features: Mapping[str, Any], *, id: str | None = None, group: str | None = None
    ) -> dict[str, Any]:
        """The champion's answer; logged when an id is given. It waits for the server: at most `timeout_s` at a time.

        Args:
            group: The user or account, which must not straddle the holdout; default: what `features` holds under the
                name of [schema] group.

        Returns:
            {"score"} for binary and regression, {"output", "scores"} for multiclass, and {"model_version"}.

        Raises:
            ServerError: There was no answer.
            StateError: The client is closed.
            WhorlError: What the server said: NotFound when there is no such flywheel, RecordError for features of another type.
        """
        with self._guard:
            if self._reason == "closed":
                raise StateError("The client is closed.", hint="Connect again.")
            asker = self._asker = Asker(self._settings) if self._asker is None else self._asker
        return asker.predict(features, id, group)

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until the server has answered for all that was logged before; False when `timeout` seconds are over first.

        Args:
            timeout: Default is `exit_s`. It blocks: from asyncio, `await asyncio.to_thread(client.flush)`.
        """
        with self._guard:
            courier, target = self._courier, 0 if self._courier is None else self._courier.taken_in
        if courier is None or self._reason is not None:
            return self.stats().waiting == 0
        return courier.settled(target, self._settings.exit_s if timeout is None else timeout)

    def close(self, timeout: float | None = None) -> None:
        """Send what can be sent within `timeout` seconds (default `exit_s`); what cannot stays in the spool."""
        with self._guard:
            if self._reason == "closed":
                return
            self._reason = "closed"
            courier, asker = self._courier, self._asker
        if asker is not None:
            asker.close()
        if courier is not None:
            courier.close(self._settings.exit_s if timeout is None else timeout)
        atexit.unregister(self.close)

    def stats(self) -> Stats:
        """What became of what was logged."""
        with self._guard:
            courier, losses, logged = self._courier, self._losses, self._logged
            dropped = {str(reason): count for reason, count in losses.dropped.items()}
            sent, spooled, taken_over = (
                (0, 0, 0) if courier is None else (courier.sent, courier.spooled, courier.taken_over)
            )
            refused, without_consent = losses.refused, losses.without_consent
        return Stats(
            logged=logged,
            sent=sent,
            refused=refused,
            without_consent=without_consent,
            dropped=dropped,
            waiting=logged - sent - refused - without_consent - sum(dropped.values()),
            spooled=spooled,
            taken_over=taken_over,
        )

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.close)

    def log_call(self, record: dict[str, Any]) -> None:
        """A tracked call: a prediction with the field names of `whorl.Prediction`."""
        self._log("native", record)

    def _log_all(self, kind: Kind, records: Iterable[Mapping[str, Any]], *, stamped: bool = False) -> None:
        try:
            for record in records:
                self._log(kind, record, stamped=stamped)
        except Exception:  # noqa: BLE001 - nothing to go through, or it fails on the way
            self._count("unencodable")

    def _log(self, kind: Kind, record: Mapping[str, Any], *, stamped: bool = False) -> None:
        if (before_send := self._settings.before_send) is not None:
            kept = self._kept(record, before_send)
            if kept is None:
                return
            record = kept
        try:
            body = encoded(record, self._now() if stamped else None)
        except Exception:  # noqa: BLE001 - whatever the caller's own objects throw, logging them does not
            self._count("unencodable")
            return
        if len(body) > MAX_RECORD_BYTES:
            self._count("too_large")
            return
        with self._guard:
            self._logged += 1
            reason = self._reason
            if reason is None:
                courier = self._courier or self._started()
                reason = "disk" if courier is None else courier.take_in(Logged(kind, body))
            if reason is not None:
                self._lose(reason)

    def _kept(self, record: Mapping[str, Any], before_send: BeforeSend) -> Mapping[str, Any] | None:
        """What the caller's own function makes of a record; None, and counted, when it is not to be logged."""
        try:
            copy = plain(record)
        except Exception:  # noqa: BLE001 - as above
            self._count("unencodable")
            return None
        try:
            kept = before_send(copy)
        except Exception:  # noqa: BLE001 - what it was to take out must not be logged, and the caller goes on
            self._count("before_send")
            return None
        if kept is None:
            self._count("withheld")
        return kept

    def _started(self) -> Courier | None:
        """This process's own thread, in the child of a fork."""
        try:
            return self._begin()
        except (OSError, RuntimeError) as error:
            # No spool where one was promised, or an interpreter that ends and starts no more threads.
            log.warning("Whorl: nothing is logged in this process: %s", error)
            self._reason = "disk"
            return None

    def _count(self, reason: Reason) -> None:
        with self._guard:
            self._logged += 1
            self._lose(reason)

    def _lose(self, reason: Reason) -> None:
        self._losses.dropped[reason] += 1
        if self._courier is not None:
            self._courier.wake()

    def _begin(self, sender: Sender | None = None) -> Courier:
        """Start this process's own thread.

        Raises:
            OSError: `durable`, and its spool cannot be made.
            RuntimeError: No thread can be started any more.
        """
        courier = Courier(self._settings, self._guard, self._losses, sender)
        courier.start()
        self._courier = courier
        if (children := sys.modules.get("multiprocessing.util")) is not None:
            # Such a child ends without calling what is registered for the end of an interpreter.
            children.Finalize(None, self.close, exitpriority=10)
        return courier

    def _renew(self) -> None:
        """As a process begins: nothing logged, no thread."""
        self._guard = RLock()
        self._losses = Losses()
        self._logged = 0
        self._courier = None
        self._asker = None

    def _forked(self) -> None:
        """In the child. What the parent had not sent yet, the parent sends."""
        if self._courier is not None:
            self._courier.forget()
            _inherited.append(self._courier)
        if self._asker is not None:
            _inherited.append(self._asker)
        self._renew()


def _after_fork() -> None:
    for client in list(_clients):
        client._forked()


os.register_at_fork(after_in_child=_after_fork)
