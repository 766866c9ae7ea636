"""The ledger's tables. What they hold is written by one module each; migrations create them (see `migrations/`).

Rows of a flywheel name it in `flywheel`. Numbered keys (`seq`, `id` of verdicts, findings, outbox) count by themselves.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

from whorl.storage.ledger.column_types import Counter, Instant, Json, JsonWithPlaces, Place

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _key(name: str, type_: Any = Text, *args: Any) -> Column[Any]:
    return Column(name, type_, *args, primary_key=True, autoincrement=False)


def _seq(name: str = "seq") -> Column[Any]:
    return Column(name, Counter, primary_key=True, autoincrement=True)


def _must(name: str, type_: Any = Text, *args: Any, **kwargs: Any) -> Column[Any]:
    return Column(name, type_, *args, nullable=False, **kwargs)


def _may(name: str, type_: Any = Text, *args: Any) -> Column[Any]:
    return Column(name, type_, *args, nullable=True)


# The ledger's own facts: its uuid, where the workspace was when MLflow was told, and on PostgreSQL who holds a lock.
meta = Table("meta", metadata, _key("key"), _must("value"))

flywheels = Table("flywheels", metadata, _key("name"), _must("holdout_key"), _must("created_at", Instant))

specs = Table(
    "specs",
    metadata,
    _key("flywheel", Text, ForeignKey("flywheels.name")),
    _key("version", Integer),
    _must("hash"),
    _may("written"),
    _must("body", Json),
    _must("created_at", Instant),
)

# No foreign key here: in a group commit one stranger would take its neighbours down.
inbox = Table(
    "inbox",
    metadata,
    _seq(),
    _must("flywheel"),
    _must("kind"),
    _must("rows", Integer),
    _must("bytes", BigInteger),
    _must("received_at", Instant),
    _must("payload", LargeBinary),
    # Covers claiming and measuring, so that neither reads payloads.
    Index(None, "flywheel", "kind", "seq", "rows", "bytes"),
)

# Beside the rows, not in them: SQLite would write a payload anew to mark its row. One row is a run of claimed rows:
# those of this flywheel and kind from `first` to `last`.
inbox_claims = Table(
    "inbox_claims",
    metadata,
    _key("flywheel"),
    _key("kind"),
    _key("first", BigInteger),
    _must("last", BigInteger),
    _must("slot", Integer),
    _must("batch", BigInteger),
)

# Of the inbox, and out of the way: nothing could read them (`unreadable.py`).
unreadable = Table(
    "unreadable",
    metadata,
    _seq("id"),
    _must("flywheel"),
    _must("kind"),
    _must("rows", Integer),
    _must("bytes", BigInteger),
    _must("received_at", Instant),
    _must("payload", LargeBinary),
    _must("error"),
    _must("at", Instant),
)

# Answers to batches that named themselves (`Idempotency-Key`), so that a retry is answered, not accepted again.
idempotency = Table(
    "idempotency",
    metadata,
    _key("flywheel"),
    _key("kind"),
    _key("key"),
    _must("digest"),
    _must("answer", Json),
    _must("at", Instant, index=True),
)

inbox_slots = Table(
    "inbox_slots",
    metadata,
    _key("flywheel"),
    _key("kind"),
    _key("slot", Integer),
    _must("last_batch", BigInteger, default=0),
)

cycles = Table(
    "cycles",
    metadata,
    _key("id"),
    _must("flywheel", Text, ForeignKey("flywheels.name")),
    _must("number", Integer),
    _must("state"),
    _must("trigger"),
    _must("as_of", Instant),
    _must("spec_hash"),
    _may("step"),
    _may("waiting_for", JsonWithPlaces),
    _may("error", JsonWithPlaces),
    _must("created_at", Instant),
    _must("updated_at", Instant),
    _may("finished_at", Instant),
    UniqueConstraint("flywheel", "number"),
)

steps = Table(
    "steps",
    metadata,
    _key("cycle_id", Text, ForeignKey("cycles.id")),
    _key("name"),
    _must("position", Integer),
    _must("result", JsonWithPlaces),
    _must("seconds", Float),
    _must("finished_at", Instant),
)

decisions = Table(
    "decisions",
    metadata,
    _key("cycle_id", Text, ForeignKey("cycles.id")),
    _key("before"),
    _must("decision"),
    _must("by"),
    _must("reason"),
    _must("at", Instant),
)

submissions = Table(
    "submissions",
    metadata,
    _seq(),
    _must("cycle_id", Text, ForeignKey("cycles.id"), index=True),
    _must("kind"),
    _must("uri", Place),
    _must("by"),
    _must("at", Instant),
)

dataset_versions = Table(
    "dataset_versions",
    metadata,
    _key("id"),
    _must("flywheel"),
    _must("name"),
    _must("version", Integer),
    _must("content_hash"),
    _must("rows", BigInteger),
    _must("labelled_rows", BigInteger),
    _must("as_of", Instant),
    _must("path", Place),
    _must("manifest", Json),
    _must("created_at", Instant),
    UniqueConstraint("flywheel", "name", "version"),
)

model_versions = Table(
    "model_versions",
    metadata,
    _key("id"),
    _must("flywheel"),
    _must("version", Integer),
    _must("digest"),
    _must("uri", Place),
    _must("trainer"),
    _may("dataset_id"),
    _may("trained_through", Instant),
    _must("spec_hash", default=""),
    _must("code_version", default=""),
    _may("cycle_id"),
    _must("seconds", Float, default=0.0),
    _must("notes", Json, default=list),
    _may("registry_version"),
    _must("created_at", Instant),
    UniqueConstraint("flywheel", "version"),
)

# What serves: the truth that MLflow's aliases mirror.
pointers = Table(
    "pointers",
    metadata,
    _key("flywheel"),
    _key("alias"),
    _may("model_id", Text, ForeignKey("model_versions.id")),
    _must("changed_at", Instant),
    _must("mirrored", Boolean, default=False),
)

pointer_changes = Table(
    "pointer_changes",
    metadata,
    _seq(),
    _must("flywheel"),
    _must("alias"),
    _may("model_id", Text, ForeignKey("model_versions.id")),
    _may("previous", Text, ForeignKey("model_versions.id")),
    _must("by"),
    _must("reason"),
    _must("at", Instant),
    Index(None, "flywheel", "alias", "seq"),
)

verdicts = Table(
    "verdicts",
    metadata,
    _seq("id"),
    _must("flywheel"),
    _may("cycle_id"),
    _must("challenger"),
    _may("champion"),
    _must("decision"),
    _must("body", Json),
    _must("look", Integer),
    _must("created_at", Instant),
    Index(None, "flywheel", "id"),
)

findings = Table(
    "findings",
    metadata,
    _seq("id"),
    _must("flywheel"),
    _must("kind"),
    _must("severity"),
    _must("body", Json),
    _must("at", Instant),
    _may("delivered_at", Instant),
    Index(None, "flywheel", "at"),
)

outbox = Table(
    "outbox",
    metadata,
    _seq("id"),
    _must("flywheel"),
    _must("url"),
    _must("body", Json),
    _must("attempts", Integer, default=0),
    _must("next_at", Instant),
    _may("delivered_at", Instant),
    _may("error"),
    Index(None, "delivered_at", "next_at"),
)

watermarks = Table(
    "watermarks",
    metadata,
    _key("flywheel"),
    _key("source"),
    _must("value", Json),
    _must("updated_at", Instant),
)

# Files that were taken in, by digest of their bytes, so that the same file is not taken in twice.
ingests = Table(
    "ingests",
    metadata,
    _key("flywheel"),
    _key("digest"),
    _must("source"),
    _must("kind"),
    _must("rows", BigInteger, default=0),
    _must("refused", BigInteger, default=0),
    _must("started_at", Instant),
    _may("finished_at", Instant),
)

audit = Table(
    "audit",
    metadata,
    _seq(),
    _may("flywheel"),
    _must("at", Instant),
    _must("by"),
    _must("action"),
    _must("body", Json),
    Index(None, "flywheel", "seq"),
)

# Who may call the server: the secret's hash, what it may do, and for which flywheel (NULL: all).
api_keys = Table(
    "api_keys",
    metadata,
    _key("id"),
    _must("name"),
    _may("flywheel"),
    _must("scopes", Json),
    _must("hash"),
    _may("rate_per_s", Float),
    _must("created_at", Instant),
    _may("expires_at", Instant),
    _may("last_used_at", Instant),
    _may("revoked_at", Instant),
)
