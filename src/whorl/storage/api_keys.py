"""API keys: who may call the server, for which flywheel, and what they may do there.

A key is `whorl_ID_SECRET`: 48 random bits to find its row by, 256 that are the secret. Shown once; the ledger keeps
SHA-256 of the whole. A slow, salted hash (argon2, bcrypt) makes guessing a password from a list expensive; nobody
guesses 256 random bits, salted or not, and a slow hash would cost each request what Whorl takes for a thousand records.
Rows are never deleted, so a server that once asked for keys goes on asking when the last one is revoked.
"""

import hashlib
import re
import secrets
from collections.abc import Sequence
from datetime import datetime
from hmac import compare_digest
from typing import Literal, NamedTuple

import msgspec
import sqlalchemy as sa

from whorl.errors import NotFound
from whorl.records import Record
from whorl.storage import audit
from whorl.storage.ledger.ledger import Ledger
from whorl.storage.ledger.tables import api_keys

Scope = Literal["capture", "predict", "review", "read", "operate", "admin"]
_SHAPE = re.compile(r"whorl_([0-9a-f]{12})_[\w-]{43}")
# Compared when there is no such key, so that the answer takes as long.
_NOBODY = hashlib.sha256(b"").hexdigest()


class ApiKey(Record, frozen=True, kw_only=True, omit_defaults=False):
    """What is known of a key, without what it is made of.

    `flywheel` None: all of them. `rate_per_s` None: as many requests as it likes.
    """

    id: str
    name: str
    flywheel: str | None
    scopes: list[Scope]
    rate_per_s: float | None
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None

    def state(self, now: datetime) -> Literal["live", "expired", "revoked"]:
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "live"

    def has(self, scope: Scope) -> bool:
        """Whether it may do what needs this scope; `admin` may do everything."""
        return scope in self.scopes or "admin" in self.scopes


_COLUMNS = [api_keys.c[field] for field in ApiKey.__struct_fields__]


class KeyRing(NamedTuple):
    """The keys of a ledger as they are now; `made` is whether there ever was one."""

    made: bool
    live: dict[str, tuple[ApiKey, str]]

    def find(self, presented: str, now: datetime) -> ApiKey | None:
        """The live key that this is; None whatever is wrong with it."""
        shape = _SHAPE.fullmatch(presented)
        key, digest = self.live.get(shape[1], (None, _NOBODY)) if shape else (None, _NOBODY)
        same = compare_digest(_digest(presented), digest)
        return key if same and key is not None and key.state(now) == "live" else None


def create(
    ledger: Ledger,
    *,
    flywheel: str | None,
    scopes: Sequence[Scope],
    name: str,
    by: str,
    rate_per_s: float | None = None,
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """Make a key; returns it, and what its owner presents: it can be had here only.

    Args:
        flywheel: None: it opens all of them.
        rate_per_s: Requests a second that a server allows it.
    """
    id = secrets.token_hex(6)
    presented = f"whorl_{id}_{secrets.token_urlsafe(32)}"
    key = ApiKey(
        id=id, name=name, flywheel=flywheel, scopes=list(dict.fromkeys(scopes)), rate_per_s=rate_per_s,
        created_at=ledger.clock.now(), expires_at=expires_at, last_used_at=None, revoked_at=None,
    )  # fmt: skip
    body = {"id": id, "name": name, "scopes": key.scopes}
    with ledger.write() as conn:
        conn.execute(api_keys.insert().values(**msgspec.structs.asdict(key), hash=_digest(presented)))
        audit.append(conn, flywheel, at=key.created_at, by=by, action="key.create", body=body)
    return key, presented


def listed(ledger: Ledger) -> list[ApiKey]:
    """Every key that was ever made, newest first."""
    with ledger.read() as conn:
        rows = conn.execute(sa.select(*_COLUMNS).order_by(api_keys.c.created_at.desc(), api_keys.c.id))
        return [ApiKey(**row._mapping) for row in rows]


def revoke(ledger: Ledger, id: str, *, by: str) -> ApiKey:
    """Take a key back for good; doing it again changes nothing. Raises NotFound."""
    this = api_keys.c.id == id
    with ledger.write() as conn:
        row = conn.execute(sa.select(*_COLUMNS).where(this).with_for_update()).one_or_none()
        if row is None:
            raise NotFound(
                f"There is no key {id!r}.", where=ledger.place, hint="`whorl key list` names them."
            )
        key = ApiKey(**row._mapping)
        if key.revoked_at is None:
            now = ledger.clock.now()
            conn.execute(api_keys.update().where(this).values(revoked_at=now))
            body = {"id": id, "name": key.name}
            audit.append(conn, key.flywheel, at=now, by=by, action="key.revoke", body=body)
            key = msgspec.structs.replace(key, revoked_at=now)
    return key


def ring(ledger: Ledger) -> KeyRing:
    """The keys that are not revoked, for who asks for them."""
    with ledger.read() as conn:
        rows = conn.execute(sa.select(*_COLUMNS, api_keys.c.hash)).all()
    live: dict[str, tuple[ApiKey, str]] = {}
    for *values, digest in rows:
        key = ApiKey(**dict(zip(ApiKey.__struct_fields__, values, strict=True)))
        if key.revoked_at is None:
            live[key.id] = (key, digest)
    return KeyRing(bool(rows), live)


def note_used(ledger: Ledger, id: str, at: datetime) -> None:
    """Write down when a key was last used."""
    with ledger.write() as conn:
        conn.execute(api_keys.update().where(api_keys.c.id == id).values(last_used_at=at))


def _digest(presented: str) -> str:
    return hashlib.sha256(presented.encode()).hexdigest()
