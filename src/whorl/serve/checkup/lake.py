"""The lake: every table that was written can be read, and every file of it is there in its full size."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import sqlalchemy as sa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from whorl.serve.checkup.check import Check
from whorl.storage import flywheels
from whorl.storage.ledger.ledger import Ledger
from whorl.storage.ledger.tables import inbox_slots
from whorl.storage.tables import TABLES

_RESTORE = "Restore the lake from a backup of the same time as the ledger's."


def tables(lake: Path, ledger: Ledger) -> Iterator[Check]:
    """One line a flywheel, or one for each table that is wrong."""
    for flywheel in flywheels.names(ledger):
        files, wrong = 0, 0
        for name in TABLES:
            place = lake / flywheel / name
            try:
                there, missing = _files(place)
            except (DeltaError, OSError) as error:
                wrong += 1
                yield Check.bad("lake", str(place), f"The table cannot be read ({error}).", _RESTORE)
                continue
            files += there
            if missing:
                wrong += 1
                message = f"{len(missing)} of its {there} files are missing or cut off, such as {missing[0]}."
                yield Check.bad("lake", str(place), message, _RESTORE)
            elif not place.is_dir() and _was_written(ledger, flywheel, name):
                wrong += 1
                yield Check.bad("lake", str(place), "Rows were moved here, and the table is gone.", _RESTORE)
        if not wrong:
            yield Check.ok("lake", str(lake / flywheel), f"Every table can be read ({files} files).")


def _files(place: Path) -> tuple[int, list[str]]:
    """How many files the table has, and those that are not there in their size."""
    if not place.is_dir():
        return 0, []
    added = (
        pa.table(DeltaTable(place).get_add_actions(flatten=True)).select(["path", "size_bytes"]).to_pylist()
    )
    return len(added), [
        one["path"] for one in added if _size(place / unquote(one["path"])) != one["size_bytes"]
    ]


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else -1


def _was_written(ledger: Ledger, flywheel: str, table: str) -> bool:
    slots = sa.select(sa.func.max(inbox_slots.c.last_batch)).where(
        inbox_slots.c.flywheel == flywheel, inbox_slots.c.kind == table
    )
    with ledger.read() as conn:
        return bool(conn.execute(slots).scalar())
