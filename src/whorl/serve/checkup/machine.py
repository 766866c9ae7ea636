"""The machine under a workspace: versions, disk, rights, the file system's clock, what died halfway."""

import os
import platform
import shutil
import stat
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from whorl.serve.checkup.check import Check
from whorl.storage.inbox import CAPACITY_BYTES

# What the inbox may take must fit; the lake needs room to compact.
LEAST_FREE = CAPACITY_BYTES
LITTLE_FREE = 5 * CAPACITY_BYTES
SKEW = timedelta(seconds=5)
LEFT_BEHIND = timedelta(hours=1)


def versions() -> Iterator[Check]:
    """Python and the libraries against what Whorl declares."""
    running, wanted = platform.python_version(), metadata("whorl")["Requires-Python"] or ""
    if running not in SpecifierSet(wanted):
        yield Check.bad("python", "", f"Python {running} runs; Whorl needs {wanted}.", "Use a newer Python.")
    else:
        yield Check.ok("python", "", f"Python {running}, whorl {version('whorl')}.")
    needed = [r for r in map(Requirement, requires("whorl") or []) if r.marker is None or r.marker.evaluate()]
    wrong = [said for said in map(_unfit, needed) if said]
    if wrong:
        yield Check.bad("libraries", "", "; ".join(wrong) + ".", "Install whorl anew, with its requirements.")
    else:
        yield Check.ok("libraries", "", f"{len(needed)} are there, in versions that fit.")


def _unfit(needed: Requirement) -> str:
    try:
        found = version(needed.name)
    except PackageNotFoundError:
        return f"{needed.name} is missing (needs {needed.specifier})"
    fits = needed.specifier.contains(found, prereleases=True)
    return "" if fits else f"{needed.name} {found} is there, needs {needed.specifier}"


def disk(root: Path) -> Iterator[Check]:
    """Room on the workspace's disk."""
    free = shutil.disk_usage(_first_that_is_there(root)).free
    told = f"{free / 2**30:.1f} GiB are free."
    if free < LEAST_FREE:
        yield Check.bad("disk", str(root), told, "Free space: records are refused when it is full.")
    elif free < LITTLE_FREE:
        yield Check.warn("disk", str(root), told, "Free space, or move the workspace to a larger disk.")
    else:
        yield Check.ok("disk", str(root), told)


def _first_that_is_there(path: Path) -> Path:
    return next(place for place in (path, *path.parents) if place.exists())


def workspace(root: Path, now: datetime) -> Iterator[Check]:
    """The directory: there, writable by us and not by everybody; its file system's clock."""
    if not root.is_dir():
        hint = "Name it with --workspace, or start one with `whorl serve`."
        yield Check.bad("workspace", str(root), "There is no such directory.", hint)
        return
    try:
        # It has no name while it is there, so it can leave nothing behind.
        with tempfile.TemporaryFile(dir=root) as file:
            stamped = datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, UTC)
    except OSError as error:
        who = f"uid {os.geteuid()}"
        message = f"Nothing can be written here as {who} ({error.strerror})."
        yield Check.bad(
            "workspace", str(root), message, "Check its owner, its mode and how its disk is mounted."
        )
        return
    mode = stat.S_IMODE(root.stat().st_mode)
    if mode & stat.S_IWOTH:
        message = f"Everybody may write here (mode {mode:04o}), and so change labels, models and the ledger."
        yield Check.warn("workspace", str(root), message, f"chmod o-w {root}")
    else:
        yield Check.ok("workspace", str(root), "It can be written.")
    apart = abs(stamped - now)
    if apart > SKEW:
        message = f"The file system's clock and this machine's are {apart.total_seconds():.0f} s apart."
        yield Check.warn("file clock", str(root), message, "Synchronise both with NTP.")
    else:
        yield Check.ok("file clock", str(root), "It agrees with this machine's.")


def leftovers(root: Path, now: datetime) -> Iterator[Check]:
    """Drafts and scratch folders of work that died; the same work, done again, replaces them."""
    found = [*(root / "datasets").rglob("*.draft"), *(root / "scratch").glob("*/*")]
    old = [path for path in found if now - datetime.fromtimestamp(path.stat().st_mtime, UTC) > LEFT_BEHIND]
    if old:
        message = f"{len(old)} draft(s) of work that stopped halfway; the oldest kind: {old[0].name}."
        hint = "When no cycle runs, delete them: nothing refers to them."
        yield Check.warn("leftovers", str(old[0].parent), message, hint)
    else:
        yield Check.ok("leftovers", str(root), "Nothing was left halfway.")
