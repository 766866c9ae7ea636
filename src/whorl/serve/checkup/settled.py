"""What is kept of earlier cycles: whether the next one can go on from it, or why it looks at the whole lake."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from whorl.examples.kept_list import listed
from whorl.examples.settled import JOINED
from whorl.serve.checkup.check import Check
from whorl.storage import flywheels
from whorl.storage.file_sizes import as_written
from whorl.storage.ledger.ledger import Ledger

_ANEW = "Nothing need be done: the next cycle looks at the whole lake, and makes it anew."


def kept(settled: Path, ledger: Ledger) -> Iterator[Check]:
    """One line a flywheel."""
    for flywheel in flywheels.names(ledger):
        yield _kept(settled / flywheel)


def _kept(folder: Path) -> Check:
    above = next(place for place in (folder, *folder.parents) if place.exists())
    if not above.is_dir():
        message = "A file is where the folder should be, so nothing can be kept."
        return Check.warn("settled", str(above), message, "Move it away.")
    try:
        # It has no name while it is there, so it can leave nothing behind.
        with tempfile.TemporaryFile(dir=above):
            pass
    except OSError as error:
        message = f"Nothing can be written here ({error.strerror}), so each cycle looks at more than is new."
        return Check.warn("settled", str(above), message, "Check its owner and its mode.")
    if not folder.exists():
        return Check.ok("settled", str(folder), "Nothing is kept: small lakes are looked at whole.")
    return _listed(folder)


def _listed(folder: Path) -> Check:
    parts = []
    for place in (folder, folder / JOINED):
        try:
            found = listed(place)
        except (OSError, msgspec.DecodeError) as error:
            message = f"Its list cannot be read ({error}), so what is here does not count."
            return Check.warn("settled", str(place), message, _ANEW)
        if not as_written(place, found.sizes):
            message = "Files that its list names are missing or cut off, so what is here does not count."
            return Check.warn("settled", str(place), message, _ANEW)
        parts.append(found)
    size = sum(sum(part.sizes.values()) for part in parts)
    told = f"What was received by {parts[0].as_of:%Y-%m-%d %H:%M:%S} UTC is kept ({size / 1e6:,.1f} MB)."
    return Check.ok("settled", str(folder), told)
