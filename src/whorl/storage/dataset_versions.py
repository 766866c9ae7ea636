"""Dataset versions in the ledger: what each is called, its content hash, and the manifest that can make it again."""

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import func, insert, select

from whorl.errors import NotFound
from whorl.records import DatasetVersion, Record
from whorl.storage.ledger.ledger import Ledger
from whorl.storage.ledger.tables import dataset_versions as table

LEFT = "left:"


class Manifest(Record, frozen=True, kw_only=True):
    """How a version is made again: the query and the time and spec that it is asked with.

    `counts`: rows by role and by reason, and of `LEFT` members that are not among the rows.
    """

    as_of: datetime
    spec_hash: str
    table_versions: dict[str, int]
    query: str
    counts: dict[str, int]
    cycle_id: str | None = None
    notes: list[str] = msgspec.field(default_factory=list)

    @property
    def left(self) -> dict[str, int]:
        """Members that are not among the rows, by why."""
        return {name.removeprefix(LEFT): n for name, n in self.counts.items() if name.startswith(LEFT)}


def next_version(ledger: Ledger, flywheel: str, name: str) -> int:
    """1 for the first."""
    with ledger.read() as connection:
        last = connection.scalar(
            select(func.max(table.c.version)).where(table.c.flywheel == flywheel, table.c.name == name)
        )
    return int(last or 0) + 1


def record(ledger: Ledger, flywheel: str, made: DatasetVersion, manifest: Manifest) -> None:
    """Keep a version; the same id is kept once, so that a resumed cycle may say it again."""
    with ledger.write() as connection:
        if connection.scalar(select(table.c.id).where(table.c.id == made.id)):
            return
        connection.execute(
            insert(table).values(
                id=made.id,
                flywheel=flywheel,
                name=made.name,
                version=made.version,
                content_hash=made.content_hash,
                rows=made.rows,
                labelled_rows=made.labelled_rows,
                as_of=made.as_of,
                path=made.path,
                manifest=msgspec.to_builtins(manifest),
                created_at=ledger.clock.now(),
            )
        )


def get(ledger: Ledger, flywheel: str, ref: str) -> tuple[DatasetVersion, Manifest]:
    """By id, by `name@version`, or by name for its newest version."""
    name, _, version = ref.removeprefix(f"{flywheel}/").replace("/", "@").partition("@")
    found = [
        (d, m) for d, m in versions(ledger, flywheel) if d.name == name and version in ("", str(d.version))
    ]
    if not found:
        known = ", ".join(f"{d.name}@{d.version}" for d, _ in versions(ledger, flywheel)) or "none yet"
        raise NotFound(f"There is no dataset '{ref}'.", where=flywheel, hint=f"Known: {known}.")
    return found[-1]


def of_cycle(ledger: Ledger, flywheel: str, name: str, cycle_id: str) -> DatasetVersion | None:
    """The version that a cycle has made, if it has."""
    made = [d for d, m in versions(ledger, flywheel) if d.name == name and m.cycle_id == cycle_id]
    return made[-1] if made else None


def versions(ledger: Ledger, flywheel: str) -> list[tuple[DatasetVersion, Manifest]]:
    """Every version, by name and age."""
    with ledger.read() as connection:
        rows = connection.execute(
            select(table).where(table.c.flywheel == flywheel).order_by(table.c.name, table.c.version)
        ).all()
    return [_version(row) for row in rows]


def _version(row: Any) -> tuple[DatasetVersion, Manifest]:
    manifest = msgspec.convert(row.manifest, Manifest)
    made = DatasetVersion(
        id=row.id,
        name=row.name,
        version=row.version,
        content_hash=row.content_hash,
        rows=row.rows,
        labelled_rows=row.labelled_rows,
        as_of=row.as_of,
        path=row.path,
        left=manifest.left,
        notes=manifest.notes,
    )
    return made, manifest
