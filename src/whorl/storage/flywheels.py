"""Which flywheels a ledger knows, and every version of their specs."""

import secrets
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import Connection

from whorl.errors import NotFound, StateError, StorageError, did_you_mean
from whorl.records import Record
from whorl.spec import Spec, spec_from_dict, spec_hash, spec_to_json, written_hash
from whorl.storage.ledger.ledger import Ledger
from whorl.storage.ledger.tables import flywheels, specs
from whorl.storage.ledger.upsert import insert_or_keep


class SpecVersion(Record, frozen=True, kw_only=True):
    """One version of a flywheel's spec, counted from 1."""

    version: int
    hash: str
    created_at: datetime


def register(ledger: Ledger, spec: Spec, *, holdout_key: str | None = None) -> str:
    """Make the flywheel known; a spec that differs from its last version becomes the next one.

    Args:
        holdout_key: Key of the holdout's hash, for a new flywheel; drawn (32 bytes, hex) when None.

    Returns:
        The flywheel's holdout key, fixed for its life: with another one, rows of the holdout would have been trained on.

    Raises:
        StateError: Another key is given than the flywheel has.
    """
    now, digest, written = ledger.clock.now(), spec_hash(spec), written_hash(spec)
    with ledger.write() as conn:
        key = holdout_key or secrets.token_hex(32)
        insert_or_keep(conn, flywheels, {"name": spec.name, "holdout_key": key, "created_at": now})
        known = sa.select(flywheels.c.holdout_key).where(flywheels.c.name == spec.name)
        kept = str(conn.execute(known.with_for_update()).scalar_one())
        if holdout_key is not None and holdout_key != kept:
            raise StateError(
                f"Flywheel {spec.name!r} has another holdout key.",
                where=ledger.place,
                hint="Leave the key out; a new holdout needs a flywheel of another name.",
            )
        last = _last_version(conn, spec.name)
        if last is None or (last.hash, last.written) != (digest, written):
            version = 1 if last is None else last.version + 1
            body = msgspec.json.decode(spec_to_json(spec))
            row = {
                "flywheel": spec.name,
                "version": version,
                "hash": digest,
                "written": written,
                "body": body,
            }
            conn.execute(specs.insert().values(**row, created_at=now))
    return kept


def spec_of(ledger: Ledger, name: str, spec_hash: str | None = None) -> Spec:
    """A flywheel's spec: the last version, or the one of a hash.

    Raises NotFound; StorageError when this Whorl cannot read it.
    """
    newest = sa.select(specs.c.body).where(specs.c.flywheel == name).order_by(specs.c.version.desc()).limit(1)
    if spec_hash is not None:
        newest = newest.where(specs.c.hash == spec_hash)
    with ledger.read() as conn:
        body = conn.execute(newest).scalar()
    if body is None:
        raise unknown(ledger, name)
    try:
        return spec_from_dict(body)
    except msgspec.ValidationError as error:
        raise StorageError(
            f"The recorded spec of {name!r} does not fit this version of Whorl: {error}.",
            where=ledger.place,
            hint="Open the flywheel with its flywheel.toml, brought up to date.",
        ) from error


def is_still(ledger: Ledger, spec: Spec, begun_with: str) -> bool:
    """Whether a spec is that of a hash, but for knobs and defaults that an upgrade of Whorl has brought since."""
    if spec_hash(spec) == begun_with:
        return True
    then = sa.select(specs.c.written, specs.c.body).where(
        specs.c.flywheel == spec.name, specs.c.hash == begun_with
    )
    with ledger.read() as conn:
        row = conn.execute(then.order_by(specs.c.version.desc()).limit(1)).one_or_none()
    if row is None or row.written == written_hash(spec):
        return row is not None
    try:
        # What was a default then may be written now, and the other way round.
        return spec_from_dict(row.body) == spec
    except msgspec.ValidationError:
        return False


def newest_hash(ledger: Ledger, name: str) -> str | None:
    """The hash of a flywheel's last spec; None when there is no such flywheel."""
    with ledger.read() as conn:
        last = _last_version(conn, name)
    return None if last is None else str(last.hash)


def names(ledger: Ledger) -> list[str]:
    """Every flywheel, in order of name."""
    with ledger.read() as conn:
        return list(conn.execute(sa.select(flywheels.c.name).order_by(flywheels.c.name)).scalars())


def spec_versions(ledger: Ledger, name: str) -> list[SpecVersion]:
    """Every version of a flywheel's spec, oldest first; empty when there is no such flywheel."""
    wanted = sa.select(specs.c.version, specs.c.hash, specs.c.created_at).where(specs.c.flywheel == name)
    with ledger.read() as conn:
        return [SpecVersion(**row._mapping) for row in conn.execute(wanted.order_by(specs.c.version))]


def unknown(ledger: Ledger, name: str) -> NotFound:
    """The error for a flywheel that is not there."""
    known = names(ledger)
    hint = did_you_mean(name, known) if known else "Register it by opening its flywheel.toml."
    return NotFound(f"There is no flywheel {name!r}.", where=ledger.place, hint=hint)


def _last_version(conn: Connection, name: str) -> sa.Row[Any, Any, Any] | None:
    newest = sa.select(specs.c.version, specs.c.hash, specs.c.written).where(specs.c.flywheel == name)
    return conn.execute(newest.order_by(specs.c.version.desc()).limit(1)).one_or_none()
