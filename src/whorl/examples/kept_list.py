"""The list of what is kept of the lake: which files count, and what they were made from. It is written last.

What is kept is derived, and never the truth: where its list is missing, of another form, of another lake or spec, or its
files are not as they were written, it is thrown away and made again.
"""

import hashlib
import logging
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import duckdb
import msgspec

from whorl.errors import StorageError
from whorl.examples.columns import label_keys, prediction_columns
from whorl.records import Record
from whorl.spec import Spec
from whorl.storage.file_sizes import as_written, file_sizes
from whorl.storage.lake import Lake
from whorl.storage.tables import TableName, feature_fields, lake_schemas

log = logging.getLogger("whorl.examples")

LIST = "contents.json"
# Before anything was received.
BEGINNING = datetime.fromisoformat("0001-01-02T00:00Z")
# Tables of the lake that are read.
_READ: tuple[TableName, ...] = ("predictions", "labels", "considered", "members")


class KeptList(Record, frozen=True, kw_only=True):
    """What every list says.

    Attributes:
        as_of: Everything was received by then.
        made_from: As `made_from` said.
        mark: As `mark_lake` gave it, when all that is kept was in the lake.
        sizes: Bytes of each file, by its path in the folder.
    """

    as_of: datetime
    made_from: str
    mark: str
    sizes: dict[str, int]


Kept = TypeVar("Kept", bound=KeptList)


class KeptDamaged(StorageError):
    """A file of what is kept cannot be read. Its list is gone, so it is made anew."""


def read_list(folder: Path, kind: type[Kept], lake: Lake, made_from: str, as_of: datetime) -> Kept | None:
    """The list in a folder, if it can be gone on from at a time."""
    try:
        kept = msgspec.json.decode((folder / LIST).read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError):
        return None
    same = kept.made_from == made_from and kept.as_of <= as_of
    marked = same and all(lake.appended(table, _mark_app(kept.mark)) >= 0 for table in _READ)
    return kept if marked and as_written(folder, kept.sizes) else None


def listed(folder: Path) -> KeptList:
    """What the list in a folder says, whether or not it can be gone on from. Raises OSError, DecodeError."""
    return msgspec.json.decode((folder / LIST).read_bytes(), type=KeptList)


def write_list(folder: Path, kept: Kept, files: Iterable[Path]) -> Kept:
    """Make files of a folder count, all at once.

    Args:
        kept: With the sizes of the list before: those are not looked up again.

    Returns:
        The list as it was written, with the sizes of these files.
    """
    listed = msgspec.structs.replace(kept, sizes=file_sizes(folder, files, kept.sizes))
    draft = folder / "contents.draft"
    draft.write_bytes(msgspec.json.encode(listed))
    draft.replace(folder / LIST)
    return listed


def let_go(folder: Path, error: Exception, path: Path | None = None) -> KeptDamaged:
    """Remove the list of a folder, after an error in reading a file of it; returns what to raise.

    The files stay, for who is reading them, until what is kept is made anew.
    """
    with suppress(OSError):
        (folder / LIST).unlink(missing_ok=True)
    return _unreadable(folder, error, path)


def _unreadable(folder: Path, error: Exception, path: Path | None = None) -> KeptDamaged:
    return KeptDamaged(
        f"What is kept of the lake cannot be read ({type(error).__name__}: {error}).",
        where=str(path or folder),
        hint="Try again: it counts no more, and is made anew from the lake. If it happens again, look at the disk.",
    )


def clear_away(folder: Path, within: Sequence[str] = ("",)) -> None:
    """Remove what a writer has left that failed: files that the list does not name, and that are newer than it.

    Those of the list before are older: they are left to who is reading them. Where there is no list, all goes.

    Args:
        within: Folders in this one, as far as files are of this list.
    """
    try:
        sizes, written = listed(folder).sizes, _written(folder / LIST)
    except (OSError, msgspec.DecodeError):
        shutil.rmtree(folder, ignore_errors=True)
        return
    for path in (path for name in within for path in (folder / name).glob("*.*")):
        if path.relative_to(folder).as_posix() not in {*sizes, LIST} and _written(path) > written:
            path.unlink(missing_ok=True)


def _written(path: Path) -> int:
    return path.stat().st_mtime_ns


@contextmanager
def reading(folder: Path) -> Iterator[None]:
    """For what does nothing but read files of a folder: damage, whatever error it shows by, becomes KeptDamaged."""
    try:
        yield
    except MemoryError:
        raise
    except FileNotFoundError as error:
        # Another process may have gone on meanwhile: its list counts, and one that names a missing file does not.
        raise _unreadable(folder, error) from error
    except Exception as error:
        raise let_go(folder, error) from error


def mark_lake(lake: Lake, spec: Spec) -> str:
    """Lay a new name into the log of each table that is read, in a commit without rows; returns the name.

    It stays, whatever is appended, merged or cleaned up afterwards. A lake from a backup of before does not have it, and
    does not get it by what is appended then, as it would a number that grows.
    """
    mark, schemas = uuid4().hex, lake_schemas(spec)
    for table in _READ:
        lake.append(table, schemas[table].empty_table(), _mark_app(mark), 0)
    return mark


def _mark_app(mark: str) -> str:
    return f"kept/{mark}"


def made_from(form: str, lake: Lake, spec: Spec) -> str:
    """A name for all that decides what is kept, apart from the rows."""
    labels = spec.labels
    parts = [
        form, duckdb.__version__, lake.identity("predictions"), spec.task, prediction_columns(spec), label_keys(spec),
        [str(field.type) for field in feature_fields(spec)], labels.window, labels.default_after, spec.schema.censored,
    ]  # fmt: skip
    return hashlib.sha256(msgspec.json.encode(parts, enc_hook=str)).hexdigest()
