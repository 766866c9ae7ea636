"""Make the next version of the training dataset from this cycle's cases, and make old versions again.

A version is immutable: its members are rows of the lake's append-only `members` table, its content hash is over its
logical rows, and its manifest says how to get them back. The Parquet file is a copy for the trainer.
"""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from whorl.datasets.composition import composition_notes
from whorl.datasets.content_hash import content_hash
from whorl.datasets.rows import dataset_steps
from whorl.errors import TooFewRows
from whorl.examples.join import Examples
from whorl.records import CaseSet, DatasetVersion
from whorl.storage import dataset_versions
from whorl.storage.dataset_versions import LEFT, Manifest
from whorl.storage.flywheels import spec_of
from whorl.storage.lake import Lake
from whorl.storage.steps import Steps
from whorl.storage.tables import CAPTURED, lake_schemas
from whorl.workspace import Workspace

TRAINING = "training"


def build(ws: Workspace, cycle_id: str, cases: CaseSet) -> DatasetVersion:
    """The next version of `training`: earlier members, this cycle's cases and, where delays are modelled, open rows.

    Raises:
        TooFewRows: No labelled row is there.
    """
    made = dataset_versions.of_cycle(ws.ledger, ws.name, TRAINING, cycle_id)
    if made is not None:
        return made
    version = dataset_versions.next_version(ws.ledger, ws.name, TRAINING)
    ws.lake.append(
        "members", _new_members(ws, cycle_id, cases, version), app=f"members/{cycle_id}", version=1
    )
    return publish(ws, TRAINING, version, cases.as_of, cycle_id=cycle_id)


def publish(
    ws: Workspace,
    name: str,
    version: int,
    as_of: datetime,
    *,
    cycle_id: str | None = None,
    allow_empty: bool = False,
) -> DatasetVersion:
    """Query the rows of a version whose members are in the lake, write its file, record its manifest."""
    steps = dataset_steps(
        ws.examples(as_of).name, ws.lake.relation("members"), ws.spec, name=name, version=version, as_of=as_of
    )
    query = steps.sql("dataset_rows")
    rows = ws.engine.query(query)
    labelled = sum(rows["role"].to_numpy(zero_copy_only=False) == "labelled")
    if not labelled and not allow_empty:
        raise TooFewRows(
            f"Not one labelled training row is known by {as_of.isoformat()}.",
            where=f"dataset {name} {version}",
            hint="Send labels for rows outside the holdout, or wait until they are older than [labels] lag.",
        )
    path = ws.place("datasets", ws.name, name) / f"{version}.parquet"
    write_atomically(rows, path)
    left = _left(ws, steps, rows.num_rows)
    notes = composition_notes(ws.engine, steps, ws.spec) if name == TRAINING else []
    made = DatasetVersion(
        id=f"{ws.name}/{name}/{version}",
        name=name,
        version=version,
        content_hash=content_hash(rows),
        rows=rows.num_rows,
        labelled_rows=int(labelled),
        as_of=as_of,
        path=str(path),
        left=left,
        notes=notes,
    )
    manifest = Manifest(
        as_of=as_of,
        spec_hash=ws.spec_hash,
        table_versions={table: ws.lake.version(table) for table in (*CAPTURED, "members")},
        query=query,
        counts=_counts(rows)
        | {LEFT + why: n for why, n in left.items()}
        | _corrected(rows, path.with_name(f"{version - 1}.parquet")),
        cycle_id=cycle_id,
        notes=notes,
    )
    dataset_versions.record(ws.ledger, ws.name, made, manifest)
    return made


def rebuild(ws: Workspace, dataset_id: str) -> str:
    """Query the rows of an old version again, with the spec of then; returns their content hash."""
    return content_hash(rows_of(ws, dataset_id))


def rows_of(ws: Workspace, dataset_id: str) -> pa.Table:
    """The rows of a version, queried anew from what was received by its as-of time."""
    made, manifest = dataset_versions.get(ws.ledger, ws.name, dataset_id)
    spec = spec_of(ws.ledger, ws.name, manifest.spec_hash)
    # Features that the spec of now does not declare any more are still stored.
    lake = Lake(ws.root / "lake", ws.name, spec, ws.ledger.uuid)
    examples = Examples(lake, ws.engine, spec, made.as_of)
    try:
        steps = dataset_steps(
            examples.name,
            lake.relation("members"),
            spec,
            name=made.name,
            version=made.version,
            as_of=made.as_of,
        )
        return ws.engine.query(steps.sql("dataset_rows"))
    finally:
        examples.close()


def write_atomically(rows: pa.Table, path: Path) -> None:
    """A reader sees the whole file or none."""
    draft = path.with_suffix(".draft")
    pq.write_table(rows, draft, compression="zstd")
    draft.replace(path)


def _new_members(ws: Workspace, cycle_id: str, cases: CaseSet, version: int) -> pa.Table:
    chosen = ws.engine.query(
        "SELECT id, CASE WHEN reason IN ('initial', 'random', 'asked') THEN reason ELSE 'case' END AS role, reason, "
        f"probability, blind_probability FROM {ws.lake.relation('cases')} WHERE cycle_id = '{cycle_id}' ORDER BY id"
    )
    parts = [chosen]
    if ws.spec.labels.open_rows and ws.examples(cases.as_of).late_truth.modelled:
        parts.append(_open_members(ws, cases.as_of))
    found = pa.concat_tables(parts, promote_options="permissive")
    return member_rows(ws, found, TRAINING, version, cases.as_of, cycle_id)


def _open_members(ws: Workspace, as_of: datetime) -> pa.Table:
    """`[labels] open_rows` still-open training rows, drawn by a hash of their id; all of them when there are fewer."""
    wanted = ws.spec.labels.open_rows
    return ws.engine.query(
        "SELECT id, 'open' AS role, 'open' AS reason, least(1.0, "
        f"{wanted} / count(*) OVER ()) AS probability FROM {ws.examples(as_of).name} "
        "WHERE split = 'train' AND status = 'open' "
        f"ORDER BY md5(id || '{as_of.isoformat()}/{ws.spec.train.seed}'), id LIMIT {wanted}"
    )


def member_rows(
    ws: Workspace, chosen: pa.Table, name: str, version: int, as_of: datetime, cycle_id: str | None
) -> pa.Table:
    """`members` rows for chosen(id, role, reason, probability), and blind_probability where it differs."""
    n = chosen.num_rows
    blind = "blind_probability" if "blind_probability" in chosen.column_names else "probability"
    columns = {
        "dataset": pa.array([name] * n, pa.string()),
        "version": pa.array([version] * n, pa.int64()),
        "day": pa.array([as_of.astimezone(UTC).date()] * n, pa.date32()),
        "id": chosen["id"],
        "role": chosen["role"],
        "reason": chosen["reason"],
        "probability": chosen["probability"],
        "blind_probability": chosen[blind],
        "cycle_id": pa.array([cycle_id] * n, pa.string()),
    }
    return pa.table(columns).cast(lake_schemas(ws.spec)["members"])


def _counts(rows: pa.Table) -> dict[str, int]:
    """Rows by role and by reason."""
    counts: dict[str, int] = {}
    for column in ("role", "reason"):
        for found in rows[column].value_counts().to_pylist():
            counts[f"{column}:{found['values']}"] = found["counts"]
    return dict(sorted(counts.items()))


def _corrected(rows: pa.Table, before: Path) -> dict[str, int]:
    """Rows whose label the version before had otherwise, if there are any."""
    if not before.exists():
        return {}
    earlier = pq.read_table(before, columns=["id", "label"]).rename_columns(["id", "before"])
    both = rows.select(["id", "label"]).join(earlier, keys="id", join_type="inner")
    changed = pc.sum(pc.not_equal(both["label"], both["before"])).as_py()
    return {"corrected": changed} if changed else {}


def _left(ws: Workspace, steps: Steps, rows: int) -> dict[str, int]:
    """Members that are not among the rows, by why: of the holdout after all, without a usable truth, older than
    `[train] window`, thinned by `[train.composition]`. What left nothing is not named.
    """
    stages = ("version_members", "became_holdout", "member_examples", "weighted_members")
    counted = ", ".join(f"(SELECT count(*) FROM {stage}) AS {stage}" for stage in stages)
    found = ws.engine.query(steps.sql(f"SELECT {counted}")).to_pylist()[0]
    left = {
        "holdout": found["became_holdout"],
        "no truth": found["version_members"] - found["became_holdout"] - found["member_examples"],
        "window": found["member_examples"] - found["weighted_members"],
        "composition": found["weighted_members"] - rows,
    }
    return {why: n for why, n in left.items() if n}
