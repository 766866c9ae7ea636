"""MLflow's copy of the registry: every version with its digest, and the aliases `champion` and `challenger`.

The ledger's pointers decide; this brings MLflow up to them, for everyone who serves or looks there. A server that is
down costs nothing but time: what could not be mirrored is tried again. See docs/decisions/002-mlflow-as-registry.md.
"""

import logging
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update
from sqlalchemy.engine import URL
from sqlalchemy.exc import SADeprecationWarning

from whorl.errors import masked
from whorl.records import ModelVersion
from whorl.storage.ledger.ledger import Ledger
from whorl.storage.ledger.tables import meta, model_versions, pointers
from whorl.storage.ledger.upsert import insert_or_replace
from whorl.storage.lock import wait_for
from whorl.storage.registry import ELSEWHERE, Registry

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger("whorl.mlflow")


class MlflowMirror:
    """Mirrors one flywheel's registry to an MLflow server, or to a store of its own beside the ledger.

    Args:
        tracking_uri: An MLflow server; None: a SQLite store in the workspace.
    """

    def __init__(self, ledger: Ledger, registry: Registry, root: Path, tracking_uri: str | None) -> None:
        self._ledger, self._registry = ledger, registry
        # A file of its own: MLflow and the ledger both keep a table called alembic_version.
        self.uri = tracking_uri or URL.create("sqlite", database=str(root / "mlflow.db")).render_as_string()
        self._client: Any = None

    def reconcile(self) -> list[str]:
        """Mirror what is not mirrored yet; returns what could not be done, and why."""
        self._forget_old_places()
        if not self._unmirrored() and not self._unknown_versions():
            return []
        try:
            # Two at once would both find that MLflow lacks a version, and both make it.
            with wait_for(self._registry.root, self._ledger, "mirror"):
                client = self._open()
                for version in self._unknown_versions():
                    self._create(client, version)
                for alias, model_id in self._unmirrored():
                    self._point(client, alias, model_id)
        except Exception as error:  # noqa: BLE001 - whatever MLflow's server throws, serving must not depend on it
            message = masked(f"MLflow at {self.uri} is behind: {type(error).__name__}: {error}")
            log.warning("%s: %s", self._registry.flywheel, message)
            return [message]
        return []

    def _open(self) -> "MlflowClient":
        if self._client is None:
            os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # read once, when mlflow is imported
            warnings.filterwarnings(
                "ignore",
                message="The ``noload`` loader strategy is deprecated",
                category=SADeprecationWarning,
            )
            # It says on standard error that it makes and updates its tables.
            logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)
            from mlflow import MlflowClient

            self._client = MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
        client: MlflowClient = self._client
        return client

    def _create(self, client: "MlflowClient", version: ModelVersion) -> None:
        name = self._registry.flywheel
        if not client.search_registered_models(filter_string=f"name = '{name}'"):
            client.create_registered_model(name)
        if version.trainer == ELSEWHERE:
            # MLflow may know it by the alias it had before ours first moved; if not, there is none to go back to.
            self._know(version, client.get_registered_model(name).aliases.get("champion", ""))
            return
        tags = {
            "whorl_id": version.id,
            # Of another workspace's flywheel of this name, on the same server, there is a version of this id too.
            "whorl_ledger": self._ledger.uuid,
            "sha256": version.digest,
            "dataset": version.dataset_id or "",
            "spec": version.spec_hash,
        }
        source = Path(version.uri).as_uri() if version.digest else version.uri
        known = client.search_model_versions(
            f"name = '{name}' and tags.whorl_id = '{version.id}' and tags.whorl_ledger = '{self._ledger.uuid}'"
        )
        there = [one for one in known if one.source == source]
        made = there[0] if there else client.create_model_version(name, source=source, tags=tags)
        self._know(version, str(made.version))

    def _know(self, version: ModelVersion, number: str) -> None:
        with self._ledger.write() as connection:
            connection.execute(
                update(model_versions)
                .where(model_versions.c.id == version.id)
                .values(registry_version=number)
            )

    def _point(self, client: "MlflowClient", alias: str, model_id: str | None) -> None:
        name = self._registry.flywheel
        with self._ledger.read() as connection:
            number = connection.scalar(
                select(model_versions.c.registry_version).where(model_versions.c.id == model_id)
            )
        if not number:
            client.delete_registered_model_alias(name, alias)
        else:
            client.set_registered_model_alias(name, alias, number)
        where = (
            pointers.c.flywheel == name,
            pointers.c.alias == alias,
            pointers.c.model_id.is_not_distinct_from(model_id),
        )
        with self._ledger.write() as connection:
            # Only if it has not moved meanwhile.
            connection.execute(update(pointers).where(*where).values(mirrored=True))

    def _forget_old_places(self) -> None:
        """A workspace that was moved: MLflow cannot change where a version's files are, so it gets the versions anew."""
        name, root = self._registry.flywheel, str(self._registry.root)
        entry = {"key": f"mlflow-root/{name}", "value": root}
        with self._ledger.read() as connection:
            before = connection.scalar(select(meta.c.value).where(meta.c.key == entry["key"]))
        if before == root:
            return
        with self._ledger.write() as connection:
            if before is not None:
                here = (model_versions.c.flywheel == name, model_versions.c.trainer != ELSEWHERE)
                connection.execute(update(model_versions).where(*here).values(registry_version=None))
                connection.execute(update(pointers).where(pointers.c.flywheel == name).values(mirrored=False))
            insert_or_replace(connection, meta, entry)

    def _unmirrored(self) -> list[tuple[str, str | None]]:
        query = select(pointers.c.alias, pointers.c.model_id).where(
            pointers.c.flywheel == self._registry.flywheel, pointers.c.mirrored.is_(False)
        )
        with self._ledger.read() as connection:
            return [(row.alias, row.model_id) for row in connection.execute(query)]

    def _unknown_versions(self) -> list[ModelVersion]:
        query = select(model_versions.c.id).where(
            model_versions.c.flywheel == self._registry.flywheel, model_versions.c.registry_version.is_(None)
        )
        with self._ledger.read() as connection:
            ids = set(connection.scalars(query))
        return [version for version in self._registry.versions() if version.id in ids]
