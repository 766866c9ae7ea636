"""Bring what is settled up to a time: index what was received since, and what was taken, so that the next cycle need not.

Costs what is new. Where it is stopped half-way, what counted before counts on.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from whorl.errors import StorageError
from whorl.examples.arrivals import USABLE_STATUS, Arrivals, can_settle
from whorl.examples.kept_list import mark_lake
from whorl.examples.settled import Settled, nothing_settled, settled_schemas
from whorl.examples.steps import PARTED
from whorl.examples.taken import contradicted, last_taken
from whorl.spec import Spec
from whorl.storage.disk_room import free_bytes
from whorl.storage.engine import Engine
from whorl.storage.lake import Lake
from whorl.storage.sql_types import instant_literal, quoted
from whorl.storage.tables import TableName

# A run of rows; in memory while it is written.
RUN_ROWS = 1_000_000
# A smaller lake is looked through in no time.
LEAST_ROWS = 2_000_000
# What a prediction or a label takes, roughly, with the join that is kept.
ROW_BYTES, MB = 155, 1_000_000
_KEPT: tuple[TableName, ...] = ("predictions", "labels")


def settle(
    lake: Lake,
    engine: Engine,
    spec: Spec,
    folder: Path,
    arrivals: Arrivals,
    cycles: Sequence[str],
    least_rows: int = LEAST_ROWS,
) -> Settled | None:
    """Go on from what `arrivals` went on from, to its time; None where keeping it is not possible, or not worth it.

    Args:
        folder: Where it is kept.
        cycles: Those whose considered rows had their chance.
        least_rows: Of predictions in the lake; with fewer nothing is kept.

    Raises:
        StorageError: The disk has too little room; nothing was written.
    """
    if not can_settle(lake, spec) or sum(file.rows for file in lake.stored_files("predictions")) < least_rows:
        return None
    _ = arrivals.labelled
    settled = arrivals.settled or nothing_settled(folder, lake, spec)
    _check_room(lake, folder, arrivals.since)
    return _Settling(lake, engine, spec, arrivals, settled).run(cycles)


def _check_room(lake: Lake, folder: Path, since: datetime | None) -> None:
    rows = sum(file.rows for table in _KEPT for file in lake.stored_files(table, since))
    needed, free = rows * ROW_BYTES, free_bytes(next(place for place in folder.parents if place.is_dir()))
    if needed > free:
        raise StorageError(
            f"It takes about {needed / MB:,.1f} MB, and {free / MB:,.1f} MB are free beside what the inbox needs.",
            where=str(folder),
            hint="Free space there; the next cycle tries again.",
        )


class _Settling:
    """One turn of it, from T0 to T."""

    def __init__(self, lake: Lake, engine: Engine, spec: Spec, arrivals: Arrivals, settled: Settled) -> None:
        self._lake, self._engine, self._spec = lake, engine, spec
        self._arrivals, self._settled = arrivals, settled
        self._since, self._as_of = settled.as_of, arrivals.as_of

    def run(self, cycles: Sequence[str]) -> Settled:
        files = self._lake.stored_files("members")
        self._index("predictions", "id")
        self._index("labels", "prediction_id")
        self._take()
        return self._settled.keep(
            self._as_of, mark_lake(self._lake, self._spec), tuple(cycles), tuple(file.path for file in files),
            waiting=self._waiting(), unmatched=self._unmatched(),
        )  # fmt: skip

    def _index(self, table: TableName, key: str) -> None:
        received = (
            f"received_at > {instant_literal(self._since)} AND received_at <= {instant_literal(self._as_of)}"
        )
        columns = ", ".join(quoted(name) for name in settled_schemas(self._spec)[table].names)
        for part in self._lake.parts(table, self._since, RUN_ROWS):
            rows = self._engine.query(
                f"SELECT {columns}, hash({key}) AS hash FROM {part} WHERE {received} AND {key} IS NOT NULL"
            )
            self._settled.add(table, rows["hash"].to_numpy(), rows.drop_columns("hash"))
            if table == "predictions":
                self._index_held(rows)

    def _index_held(self, rows: pa.Table) -> None:
        held = rows.filter((pc.field("split") == "holdout") & pc.field("group_id").is_valid())
        self._engine.register("held_rows", held.select(["group_id", "id"]))
        hashed = self._engine.query("SELECT *, hash(group_id) AS hash FROM held_rows")
        self._settled.add("holdout", hashed["hash"].to_numpy(), hashed.drop_columns("hash"))

    def _take(self) -> None:
        rows = self._engine.query(f"SELECT *, hash(id) AS hash FROM {self._arrivals.at('newly_taken')}")
        self._settled.add("taken", rows["hash"].to_numpy(), rows.drop_columns("hash"))

    def _waiting(self) -> pa.Table:
        """Labelled rows that no cycle has taken, or a label says otherwise since; not those whose side of the holdout is settled."""
        at = self._arrivals.at
        trained = (
            f"(split = 'train' OR group_id IS NULL) AND coalesce(group_id NOT IN (FROM {at('parted')}), true)"
        )
        parts = [
            f"SELECT id, time FROM {at('pairs')} WHERE id NOT IN (FROM {at('special')}) AND {trained}",
            f"SELECT id, time FROM {at('special_examples')} WHERE split <> '{PARTED}' AND {trained} "
            f"AND (status IN {USABLE_STATUS} OR id IN (SELECT prediction_id FROM {at('special_labels')}))",
        ]
        if self._arrivals.settled is not None:
            parts.append(
                f"SELECT id, time FROM {at('waiting')} WHERE id NOT IN (SELECT id FROM {at('pairs')}) "
                f"AND id NOT IN (FROM {at('special')})"
            )
        told = f"(SELECT * FROM {at('labels')} UNION ALL BY NAME SELECT * FROM {at('special_labels')})"
        last = last_taken(self._arrivals.taken)
        taken = f"SELECT id FROM {last} WHERE for_good OR id NOT IN ({contradicted(last, told)})"
        return self._engine.query(f"SELECT * FROM ({' UNION ALL '.join(parts)}) WHERE id NOT IN ({taken})")

    def _unmatched(self) -> pa.Table:
        at = self._arrivals.at
        new = (
            f"SELECT prediction_id AS id FROM {at('labels')} WHERE prediction_id NOT IN (SELECT id FROM {at('pairs')}) "
            f"AND prediction_id NOT IN (SELECT id FROM {at('special_predictions')})"
        )
        if self._arrivals.settled is None:
            return self._engine.query(f"SELECT DISTINCT id FROM ({new})")
        came = f"SELECT id FROM {self._arrivals.received('predictions')}"
        return self._engine.query(f"{new} UNION SELECT id FROM {at('unmatched')} WHERE id NOT IN ({came})")
