"""Model versions and the pointers that say which one serves.

The ledger decides: moving a pointer is one transaction, so a rollback takes milliseconds and never waits for a server.
MLflow holds the same versions and aliases for everyone else; `mlflow_mirror.py` brings it up to date afterwards.
"""

import os
import shutil
from collections.abc import Sequence
from datetime import datetime
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Row, Select, func, insert, select, update

from whorl.clock import Clock
from whorl.errors import NotFound, StateError, masked
from whorl.records import ModelVersion, Record
from whorl.storage import audit
from whorl.storage.ledger.ledger import Ledger
from whorl.storage.ledger.tables import model_versions, pointer_changes, pointers

Alias = Literal["champion", "challenger"]
# The trainer of a version that Whorl knows by the name its records give it, and nothing else: `uri` is that name.
ELSEWHERE = "elsewhere"


class PointerChange(Record, frozen=True, kw_only=True):
    """One move of a pointer: who, when, why, from what to what."""

    alias: str
    model_id: str | None
    previous: str | None
    by: str
    reason: str
    at: datetime


class Registry:
    """The versions of one flywheel's model."""

    def __init__(self, ledger: Ledger, flywheel: str, root: Path, clock: Clock) -> None:
        self.ledger, self.flywheel, self.root, self.clock = ledger, flywheel, root, clock

    def register(
        self,
        folder: Path | None,
        *,
        trainer: str,
        digest: str = "",
        uri: str | None = None,
        dataset_id: str | None = None,
        trained_through: datetime | None = None,
        spec_hash: str = "",
        cycle_id: str | None = None,
        seconds: float = 0.0,
        notes: Sequence[str] = (),
    ) -> ModelVersion:
        """Keep a model as the next version. A cycle registers once: a resumed one gets what it had registered.

        Args:
            folder: The model's files, moved into the workspace; None for a model that stays where it is (`uri`).
        """
        made = self._of_cycle(cycle_id) if cycle_id else None
        if made is not None:
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)
            return made
        number = self._next_number()
        if folder is not None:
            uri = str(self._keep(folder, number))
        with self.ledger.write() as connection:
            connection.execute(
                insert(model_versions).values(
                    id=f"{self.flywheel}/{number}",
                    flywheel=self.flywheel,
                    version=number,
                    digest=digest,
                    uri=uri or "",
                    trainer=trainer,
                    dataset_id=dataset_id,
                    trained_through=trained_through,
                    spec_hash=spec_hash,
                    code_version=package_version("whorl"),
                    cycle_id=cycle_id,
                    seconds=seconds,
                    notes=[masked(note) for note in notes],
                    created_at=self.clock.now(),
                )
            )
            audit.append(
                connection,
                self.flywheel,
                at=self.clock.now(),
                by="whorl",
                action="model.register",
                body={"version": number, "digest": digest},
            )
        return self.get(number)

    def get(self, ref: str | int) -> ModelVersion:
        """By number, id, 'champion', 'challenger' or 'previous'. Raises NotFound."""
        found = self._named(str(ref))
        if found is None:
            known = ", ".join(str(version.version) for version in self.versions()) or "none yet"
            raise NotFound(
                f"There is no model version '{ref}'.", where=self.flywheel, hint=f"Known: {known}."
            )
        return found

    def versions(self) -> list[ModelVersion]:
        """Every version, oldest first."""
        query = select(model_versions).where(model_versions.c.flywheel == self.flywheel)
        with self.ledger.read() as connection:
            return [_version(row) for row in connection.execute(query.order_by(model_versions.c.version))]

    def champion(self) -> ModelVersion | None:
        """The version that serves; None before the first promotion."""
        return self._pointed("champion")

    def challenger(self) -> ModelVersion | None:
        """The version on trial."""
        return self._pointed("challenger")

    def previous(self) -> ModelVersion | None:
        """The champion before this one: where a rollback goes. One that was taken back is not gone to again."""
        with self.ledger.read() as connection:
            moves = connection.scalars(
                self._changes("champion").with_only_columns(pointer_changes.c.model_id)
            )
            named = moves.all()[::-1]
        served: list[str | None] = []
        for model_id in named:
            if len(served) > 1 and served[-2] == model_id:
                served.pop()
            else:
                served.append(model_id)
        earlier = served[-2] if len(served) > 1 else None
        return self._by_id(earlier) if earlier else None

    def changes(self, alias: Alias = "champion", limit: int = 100) -> list[PointerChange]:
        """Moves of a pointer, newest first."""
        with self.ledger.read() as connection:
            rows = connection.execute(self._changes(alias).limit(limit)).all()
        return [
            PointerChange(
                alias=r.alias, model_id=r.model_id, previous=r.previous, by=r.by, reason=r.reason, at=r.at
            )
            for r in rows
        ]

    def point(
        self, alias: Alias, model_id: str | None, *, by: str, reason: str, expect: str | None = None
    ) -> str | None:
        """Move a pointer; returns what it named before. Naming the same version again changes nothing.

        Args:
            expect: Refuse unless the pointer names this version now (two people at once).

        Raises:
            NotFound: No such version. StateError: The pointer has moved meanwhile.
        """
        with self.ledger.write() as connection:
            known = select(model_versions.c.id).where(
                model_versions.c.id == model_id, model_versions.c.flywheel == self.flywheel
            )
            if model_id is not None and connection.scalar(known) is None:
                raise NotFound(f"There is no model version '{model_id}'.", where=self.flywheel)
            where = (pointers.c.flywheel == self.flywheel, pointers.c.alias == alias)
            row = connection.execute(select(pointers.c.model_id).where(*where)).one_or_none()
            previous = row.model_id if row else None
            if expect is not None and previous != expect:
                raise StateError(
                    f"The {alias} is {previous} by now, not {expect}.",
                    where=self.flywheel,
                    hint="Look again.",
                )
            if row is not None and previous == model_id:
                return previous
            now = self.clock.now()
            values = {"model_id": model_id, "changed_at": now, "mirrored": False}
            if row is None:
                connection.execute(insert(pointers).values(flywheel=self.flywheel, alias=alias, **values))
            else:
                connection.execute(update(pointers).where(*where).values(**values))
            change = {"alias": alias, "model_id": model_id, "previous": previous, "by": by, "reason": reason}
            connection.execute(insert(pointer_changes).values(flywheel=self.flywheel, at=now, **change))
            audit.append(connection, self.flywheel, at=now, by=by, action="model.point", body=change)
        return previous

    def path(self, version: ModelVersion) -> Path:
        """Where a version's files are."""
        return Path(version.uri)

    def _keep(self, folder: Path, number: int) -> Path:
        """Move into place by a rename; files of a version that never reached the ledger are replaced."""
        place = self.root / "models" / self.flywheel / str(number)
        if folder.absolute() == place.absolute():
            return place
        place.parent.mkdir(parents=True, exist_ok=True)
        draft = place.with_name(f".{number}.draft-{os.getpid()}")
        shutil.rmtree(draft, ignore_errors=True)
        shutil.move(folder, draft)
        shutil.rmtree(place, ignore_errors=True)
        draft.replace(place)
        return place

    def _named(self, ref: str) -> ModelVersion | None:
        if ref == "previous":
            return self.previous()
        if ref in ("champion", "challenger"):
            return self._pointed(ref)
        return self._by_id(ref if "/" in ref else f"{self.flywheel}/{ref}")

    def _pointed(self, alias: str) -> ModelVersion | None:
        query = (
            select(model_versions)
            .join(pointers, pointers.c.model_id == model_versions.c.id)
            .where(pointers.c.flywheel == self.flywheel, pointers.c.alias == alias)
        )
        with self.ledger.read() as connection:
            row = connection.execute(query).one_or_none()
        return _version(row) if row else None

    def _by_id(self, model_id: str) -> ModelVersion | None:
        query = select(model_versions).where(
            model_versions.c.id == model_id, model_versions.c.flywheel == self.flywheel
        )
        with self.ledger.read() as connection:
            row = connection.execute(query).one_or_none()
        return _version(row) if row else None

    def _of_cycle(self, cycle_id: str) -> ModelVersion | None:
        query = select(model_versions).where(
            model_versions.c.cycle_id == cycle_id, model_versions.c.flywheel == self.flywheel
        )
        with self.ledger.read() as connection:
            row = connection.execute(query).first()
        return _version(row) if row else None

    def _next_number(self) -> int:
        query = select(func.max(model_versions.c.version)).where(model_versions.c.flywheel == self.flywheel)
        with self.ledger.read() as connection:
            return int(connection.scalar(query) or 0) + 1

    def _changes(self, alias: str) -> Select[Any]:
        where = (pointer_changes.c.flywheel == self.flywheel, pointer_changes.c.alias == alias)
        return select(pointer_changes).where(*where).order_by(pointer_changes.c.seq.desc())


def _version(row: Row[tuple[object, ...]]) -> ModelVersion:
    return ModelVersion(
        id=row.id,
        version=row.version,
        digest=row.digest,
        uri=row.uri,
        trainer=row.trainer,
        dataset_id=row.dataset_id,
        trained_through=row.trained_through,
        spec_hash=row.spec_hash,
        seconds=row.seconds,
        notes=list(row.notes),
    )
