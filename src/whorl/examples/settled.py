"""What earlier cycles have looked at, kept so that a cycle costs what is new: derived from the lake, and never the truth.

Everything here was received by one time, `as_of`. When it is made anew: `kept_list.py`.
"""

import shutil
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from whorl.examples.columns import prediction_columns
from whorl.examples.kept_list import (
    BEGINNING,
    KeptList,
    clear_away,
    let_go,
    made_from,
    read_list,
    reading,
    write_list,
)
from whorl.examples.steps import LABEL_COLUMNS
from whorl.spec import Spec
from whorl.storage.keyed_rows import Hashes, KeyedRows, Made
from whorl.storage.lake import Lake
from whorl.storage.tables import TEXT, TIME, lake_schemas

FORM = "settled 4"
# Where, in the folder, the join is kept (`joined.py`).
JOINED = "joined"
WAITING = pa.schema([pa.field("id", TEXT), pa.field("time", TIME)])
UNMATCHED = pa.schema([pa.field("id", TEXT)])


class Contents(KeptList, frozen=True, kw_only=True):
    """How far each kind has been written; `number`: of the small tables beside them."""

    cycles: tuple[str, ...] = ()
    members_seen: tuple[str, ...] = ()
    predictions: Made = Made()
    labels: Made = Made()
    taken: Made = Made()
    holdout: Made = Made()
    number: int = 0


class Settled:
    """The predictions and labels that were received by `as_of`, by id.

    Attributes:
        predictions: Their records, by `id`. labels: By `prediction_id`.
        taken: Ids that were considered, by `id`, with the time and the label of then; members and golden rows without.
        holdout: `group_id` and `id` of the records of groups that are held out, by group.
        waiting: `id` and `time` of labelled predictions that may become candidates, be it again. unmatched: ids that labels wait for.
    """

    def __init__(self, folder: Path, contents: Contents) -> None:
        self.folder, self.contents = folder, contents
        self.predictions = KeyedRows(folder / "predictions", contents.predictions)
        self.labels = KeyedRows(folder / "labels", contents.labels)
        self.taken = KeyedRows(folder / "taken", contents.taken)
        self.holdout = KeyedRows(folder / "holdout", contents.holdout)

    @property
    def as_of(self) -> datetime:
        return self.contents.as_of

    def find(self, kind: str, hashes: Hashes, spec: Spec) -> pa.Table:
        """The rows of a kind whose key has one of these hashes (n,), by `hash` of the engine; two keys may share one."""
        schema = settled_schemas(spec)[kind]
        with reading(self.folder):
            found = getattr(self, kind).find(hashes)
            return schema.empty_table() if found is None else _whole(found, schema)

    def add(self, kind: str, hashes: Hashes, rows: pa.Table) -> None:
        """Write rows of a kind with the hash (n,) of each one's key; they count when `keep` says so."""
        try:
            getattr(self, kind).add(hashes, rows)
        except ValueError as error:
            raise let_go(self.folder, error) from error

    def waiting(self) -> pa.Table:
        return self._small("waiting", WAITING)

    def unmatched(self) -> pa.Table:
        return self._small("unmatched", UNMATCHED)

    def keep(
        self,
        as_of: datetime,
        mark: str,
        cycles: tuple[str, ...],
        members_seen: tuple[str, ...],
        *,
        waiting: pa.Table,
        unmatched: pa.Table,
    ) -> "Settled":
        """Make what was added count, as of a later time."""
        number = self.contents.number + 1
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, rows in (("waiting", waiting), ("unmatched", unmatched)):
            pq.write_table(rows, self.folder / f"{name}-{number}.parquet")
        contents = msgspec.structs.replace(
            self.contents, as_of=as_of, mark=mark, cycles=cycles, members_seen=members_seen, number=number,
            predictions=self.predictions.made, labels=self.labels.made, taken=self.taken.made, holdout=self.holdout.made,
        )  # fmt: skip
        kept = Settled(
            self.folder, write_list(self.folder, contents, Settled(self.folder, contents)._files())
        )
        kept._sweep(self.contents)
        return kept

    def _small(self, name: str, schema: pa.Schema) -> pa.Table:
        path = self.folder / f"{name}-{self.contents.number}.parquet"
        if not self.contents.number:
            return schema.empty_table()
        with reading(self.folder):
            return _sound(pq.read_table(path, schema=schema))

    def _files(self) -> set[Path]:
        small = {self.folder / f"{name}-{self.contents.number}.parquet" for name in ("waiting", "unmatched")}
        return small.union(
            *(rows.files() for rows in (self.predictions, self.labels, self.taken, self.holdout))
        )

    def _sweep(self, before: Contents) -> None:
        self.predictions.sweep(before.predictions)
        self.labels.sweep(before.labels)
        self.taken.sweep(before.taken)
        self.holdout.sweep(before.holdout)
        for path in self.folder.glob("*.parquet"):
            if not path.stem.endswith((f"-{self.contents.number}", f"-{before.number}")):
                path.unlink()


def settled_by(folder: Path, lake: Lake, spec: Spec, as_of: datetime) -> Settled | None:
    """What is settled, if it can be gone on from at a time; None: everything is looked at anew."""
    contents = read_list(folder, Contents, lake, made_from(FORM, lake, spec), as_of)
    return None if contents is None else Settled(folder, contents)


def nothing_settled(folder: Path, lake: Lake, spec: Spec) -> Settled:
    """A new beginning; what lay there is removed."""
    shutil.rmtree(folder, ignore_errors=True)
    return Settled(
        folder, Contents(as_of=BEGINNING, made_from=made_from(FORM, lake, spec), mark="", sizes={})
    )


def clear_away_settled(folder: Path) -> None:
    """Remove what was written and does not count, after a failure; also of the join that is kept beside."""
    with suppress(OSError):
        clear_away(folder / JOINED)
        clear_away(folder, ("", "predictions", "labels", "taken", "holdout"))


def settled_schemas(spec: Spec) -> dict[str, pa.Schema]:
    """The columns of the rows that are kept by key."""
    stored = lake_schemas(spec)
    return {
        "predictions": pa.schema([stored["predictions"].field(name) for name in prediction_columns(spec)]),
        "labels": pa.schema([stored["labels"].field(name) for name in LABEL_COLUMNS.split(", ")]),
        "taken": pa.schema([stored["considered"].field(name) for name in ("id", "as_of", "label")]),
        "holdout": pa.schema([stored["predictions"].field(name) for name in ("group_id", "id")]),
    }


def _whole(found: pa.Table, schema: pa.Schema) -> pa.Table:
    n = found.num_rows
    columns = [
        found[field.name].cast(field.type) if field.name in found.column_names else pa.nulls(n, field.type)
        for field in schema
    ]
    return _sound(pa.table(columns, schema=pa.schema([field.with_nullable(True) for field in schema])))


def _sound(rows: pa.Table) -> pa.Table:
    """The rows, in which no text is broken; raises ArrowInvalid."""
    rows.validate(full=True)
    return rows
