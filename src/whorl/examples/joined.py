"""The join as of a time, kept in files: predictions with the label that counts. Derived from the lake, and never the truth.

Runs of rows are Parquet files, written once. A row that something came for is joined anew and stands in a later run; where
it stood is listed as gone, and left out by a bit a row. Within a run the holdout's rows stand apart, and of each side those
with a label, each in order of time: who asks for a side, for labels or for a span reads little else.

Columns: those of the step `joined` (`steps.py`); `hash` of the id and `group_hash` of the group, by the engine's `hash`;
how many `labels` there are for it, how many of them came too `late`, and whether its records are `conflicting`.
"""

import shutil
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from whorl.errors import StorageError
from whorl.examples.kept_list import (
    BEGINNING,
    KeptDamaged,
    KeptList,
    let_go,
    listed,
    made_from,
    read_list,
    write_list,
)
from whorl.records import Record
from whorl.spec import Spec
from whorl.storage.engine import Engine
from whorl.storage.lake import Lake
from whorl.storage.sql_types import file_literal

FORM = "joined 3"
# A last run with fewer rows is written anew with the next ones, so that many small cycles do not leave as many files.
FULL_RUN = 1_000_000
# Small tables beside the runs, and their columns.
_SMALL = {
    "gone": "NULL::BIGINT AS run, NULL::BIGINT AS row",
    "unmatched": "NULL::UBIGINT AS hash",
    "parted": "NULL::VARCHAR AS group_id",
}


class Run(Record, frozen=True):
    """One file."""

    number: int
    rows: int


class Contents(KeptList, frozen=True, kw_only=True):
    """The runs that count; `number`: of the small tables beside them."""

    runs: tuple[Run, ...] = ()
    number: int = 0


class Changes(NamedTuple):
    """Tables of the engine that bring the join from one time to a later one.

    Args:
        fresh: Rows joined anew. gone: `run` and `row` where they stood.
        bits: As `Joined.gone_bits`, these with them.
        unmatched, parted: As the methods of `Joined`, of the later time.
    """

    as_of: datetime
    fresh: str
    gone: str
    bits: str
    unmatched: str
    parted: str


class Joined:
    """The rows of a folder, as of a time."""

    def __init__(self, folder: Path, contents: Contents) -> None:
        self.folder, self.contents = folder, contents

    @property
    def as_of(self) -> datetime:
        return self.contents.as_of

    def rows(self, bits: str, runs: Sequence[Run] | None = None) -> str:
        """SQL relation of the rows that count, with their `run` and `file_row_number`. There must be a run.

        Args:
            bits: Table that `gone_bits` has filled.
            runs: Some only.
        """
        files = ", ".join(file_literal(str(self._run(run.number))) for run in runs or self.contents.runs)
        return (
            f"(SELECT r.* FROM read_parquet([{files}], file_row_number = true) r LEFT JOIN {bits} b ON b.run = r.run\n"
            "WHERE b.bits IS NULL OR get_bit(b.bits, r.file_row_number::INT) = 0)"
        )

    def gone_bits(self, also: str | None = None) -> str:
        """SQL: `run`, and in `bits` a bit for each of its rows, 1 where it is gone.

        Args:
            also: Relation of `run` and `row` that are gone too.
        """
        last = max((run.rows for run in self.contents.runs), default=1) - 1
        gone = self._gone() + (f" UNION ALL SELECT run, row FROM {also}" if also else "")
        return f"SELECT run, bitstring_agg(row::INT, 0, {last}) AS bits FROM ({gone}) GROUP BY run"

    def unmatched(self) -> str:
        """SQL relation of the hashes of ids that labels wait for."""
        return self._small("unmatched")

    def parted(self) -> str:
        """SQL relation of the groups that stand on both sides of the holdout."""
        return self._small("parted")

    def add(self, engine: Engine, changes: Changes, mark: str) -> "Joined":
        """Write what changed, and make it count."""
        number, runs = self.contents.number + 1, list(self.contents.runs)
        self.folder.mkdir(parents=True, exist_ok=True)
        rows = f"SELECT * FROM {changes.fresh}"
        if runs and runs[-1].rows < FULL_RUN:
            last = self.rows(changes.bits, [runs.pop()])
            rows += f" UNION ALL BY NAME SELECT * EXCLUDE (run, file_row_number) FROM {last}"
        written = engine.write(
            self._run(number), f"SELECT {number} AS run, * FROM ({rows}) ORDER BY split, labelled, time, id"
        )
        runs += [Run(number=number, rows=written)] if written else []
        standing = ", ".join(str(run.number) for run in runs) or "NULL"
        gone = f"SELECT * FROM ({self._gone()} UNION ALL SELECT run, row FROM {changes.gone}) WHERE run IN ({standing})"
        engine.write(self._table("gone", number), gone)
        engine.write(self._table("unmatched", number), f"FROM {changes.unmatched}")
        engine.write(self._table("parted", number), f"FROM {changes.parted}")
        contents = msgspec.structs.replace(
            self.contents, as_of=changes.as_of, mark=mark, runs=tuple(runs), number=number
        )  # fmt: skip
        return Joined(self.folder, write_list(self.folder, contents, Joined(self.folder, contents)._files()))

    def sweep(self, counted: "Sequence[Joined]") -> None:
        """Remove files but those that count, or `counted` until now: they are left to who is reading them."""
        kept = self._files().union(*(one._files() for one in counted))
        for path in self.folder.glob("*.parquet"):
            if path not in kept:
                path.unlink()

    def _gone(self) -> str:
        return f"SELECT run, row FROM {self._small('gone')}"

    def _small(self, name: str) -> str:
        number = self.contents.number
        if not number:
            return f"(SELECT {_SMALL[name]} WHERE false)"
        return f"read_parquet({file_literal(str(self._table(name, number)))})"

    def _run(self, number: int) -> Path:
        return self.folder / f"run-{number:06d}.parquet"

    def _table(self, name: str, number: int) -> Path:
        return self.folder / f"{name}-{number:06d}.parquet"

    def _files(self) -> set[Path]:
        small = {self._table(name, self.contents.number) for name in _SMALL}
        return small | {self._run(run.number) for run in self.contents.runs}


def joined_by(folder: Path, lake: Lake, spec: Spec, as_of: datetime) -> Joined | None:
    """What is kept of the join, if it can be gone on from at a time; None: everything is joined anew."""
    contents = read_list(folder, Contents, lake, made_from(FORM, lake, spec), as_of)
    return Joined(folder, contents) if contents and contents.runs else None


def damage(folder: Path, engine: Engine) -> KeptDamaged | None:
    """Look through every file that is kept of the join, after a query failed; None: it was not for one of them.

    Args:
        engine: That may fail: another one than the one that failed.
    """
    try:
        files = [folder / name for name in listed(folder).sizes]
    except (OSError, msgspec.DecodeError) as error:
        return let_go(folder, error)
    for path in files:
        try:
            engine.query(f"SELECT max(hash(kept)) FROM read_parquet({file_literal(str(path))}) kept")
        except StorageError as error:
            return let_go(folder, error, path)
    return None


def nothing_joined(folder: Path, lake: Lake, spec: Spec) -> Joined:
    """A new beginning; what lay there is removed."""
    shutil.rmtree(folder, ignore_errors=True)
    return Joined(folder, Contents(as_of=BEGINNING, made_from=made_from(FORM, lake, spec), mark="", sizes={}))
