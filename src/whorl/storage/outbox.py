"""Messages that must reach a URL: written in the transaction of what they tell of, delivered afterwards until it works.

At least once: a receiver tells a repeated message by its `X-Whorl-Delivery`. Sending itself is given in as `post`.
"""

import hashlib
import hmac
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy import Connection

from whorl.errors import masked
from whorl.records import Record
from whorl.storage.ledger.ledger import Ledger
from whorl.storage.ledger.tables import outbox as messages

FIRST_RETRY = timedelta(seconds=10)
LONGEST_WAIT = timedelta(hours=6)

Post = Callable[[str, bytes, dict[str, str]], int]


class Delivery(Record, frozen=True, kw_only=True):
    """A message on its way; `attempts` counts those that failed, `error` is the last one's reason."""

    id: int
    flywheel: str
    url: str
    body: Any
    attempts: int
    next_at: datetime
    error: str | None


class Delivered(NamedTuple):
    """How one round of deliveries ended."""

    sent: int
    failed: int


class Outbox:
    """The ledger's messages that are not delivered yet."""

    def __init__(self, ledger: Ledger) -> None:
        self.clock = ledger.clock
        self._ledger = ledger

    def put(self, conn: Connection, flywheel: str, url: str, body: Any) -> None:
        """Add a message, due at once, in the caller's transaction; `body` is anything that msgspec writes as JSON."""
        row = {"flywheel": flywheel, "url": url, "body": body, "next_at": self.clock.now()}
        conn.execute(messages.insert(), [row])

    def has(self, conn: Connection, flywheel: str, **fields: str) -> bool:
        """Whether a message whose body has these fields was put already, delivered or not."""
        same = [messages.c.body[name].as_string() == value for name, value in fields.items()]
        query = sa.select(messages.c.id).where(messages.c.flywheel == flywheel, *same).limit(1)
        return conn.execute(query).scalar() is not None

    def due(self, now: datetime, limit: int = 100, *, flywheel: str | None = None) -> list[Delivery]:
        """Messages whose time has come, longest due first; of one flywheel, or of all."""
        query = _deliveries(_due(now, flywheel)).order_by(messages.c.next_at, messages.c.id).limit(limit)
        with self._ledger.read() as conn:
            return [Delivery(**row._mapping) for row in conn.execute(query)]

    def delivered(self, delivery_id: int) -> None:
        """It arrived."""
        self._set(delivery_id, delivered_at=self.clock.now(), error=None)

    def failed(self, delivery_id: int, error: str, next_at: datetime) -> None:
        """It did not, for this reason; try again then."""
        self._set(delivery_id, attempts=messages.c.attempts + 1, error=error, next_at=next_at)

    def withhold(self, flywheel: str, error: str) -> int:
        """What is due stays for a moment, untried, for this reason; returns how many messages that is."""
        now = self.clock.now()
        later = {"error": error, "next_at": now + FIRST_RETRY}
        with self._ledger.write() as conn:
            return conn.execute(messages.update().where(_due(now, flywheel)).values(**later)).rowcount

    def _set(self, delivery_id: int, **values: Any) -> None:
        with self._ledger.write() as conn:
            conn.execute(messages.update().where(messages.c.id == delivery_id).values(**values))


def undelivered(ledger: Ledger, flywheel: str) -> list[Delivery]:
    """A flywheel's messages that have not arrived, longest waiting first; one without `error` was not tried yet."""
    waiting = messages.c.delivered_at.is_(None) & (messages.c.flywheel == flywheel)
    with ledger.read() as conn:
        return [
            Delivery(**row._mapping) for row in conn.execute(_deliveries(waiting).order_by(messages.c.id))
        ]


def failing(ledger: Ledger, flywheel: str) -> list[Delivery]:
    """Those that could not be sent so far."""
    return [delivery for delivery in undelivered(ledger, flywheel) if delivery.error is not None]


def _deliveries(which: sa.ColumnElement[bool]) -> sa.Select[Any]:
    return sa.select(*(messages.c[field] for field in Delivery.__struct_fields__)).where(which)


def _due(now: datetime, flywheel: str | None) -> sa.ColumnElement[bool]:
    due = messages.c.delivered_at.is_(None) & (messages.c.next_at <= now)
    return due if flywheel is None else due & (messages.c.flywheel == flywheel)


def backoff(attempts: int) -> timedelta:
    """How long to wait after this many failures: 10 s, doubled each time, 6 hours at most.

    >>> [int(backoff(n).total_seconds()) for n in (1, 2, 3, 40)]
    [10, 20, 40, 21600]
    """
    doublings = min(attempts - 1, 30)
    return min(LONGEST_WAIT, FIRST_RETRY * (1 << doublings))


def signature(secret: str, body: bytes) -> str:
    """HMAC-SHA256 of the body's bytes under the secret, in hex.

    >>> signature("key", b"The quick brown fox jumps over the lazy dog")[:16]
    'f7bc83f430538424'
    """
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def deliver(outbox: Outbox, post: Post, secret: str, *, flywheel: str | None = None) -> Delivered:
    """Try everything that is due, once; of one flywheel, or of all.

    Args:
        post: Sends `(url, body, headers)` and returns the HTTP status; raises when there was no answer.
        secret: Signs the body as `X-Whorl-Signature: sha256=<hex>`.
    """
    sent = failed = 0
    now = outbox.clock.now()
    for delivery in outbox.due(now, flywheel=flywheel):
        error = _attempt(delivery, post, secret)
        if error is None:
            outbox.delivered(delivery.id)
            sent += 1
        else:
            outbox.failed(delivery.id, error, now + backoff(delivery.attempts + 1))
            failed += 1
    return Delivered(sent, failed)


def _attempt(delivery: Delivery, post: Post, secret: str) -> str | None:
    """None when it arrived, else why not."""
    body = msgspec.json.encode(delivery.body)
    headers = {
        "Content-Type": "application/json",
        "X-Whorl-Delivery": str(delivery.id),
        "X-Whorl-Signature": f"sha256={signature(secret, body)}",
    }
    try:
        status = post(delivery.url, body, headers)
    except Exception as error:  # noqa: BLE001 - the reason is kept with the message, and its neighbours go on
        return masked(f"{type(error).__name__}: {error}")
    return None if 200 <= status < 300 else f"HTTP status {status}"
