"""That a Delta table in a directory is on the disk, and not only in the machine's memory.

Whoever writes such a table leaves that to the system, which does it within half a minute: a power cut before would take
what the inbox has deleted. The log's layout is Delta's: https://github.com/delta-io/delta/blob/master/PROTOCOL.md
"""

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote

import msgspec

_AT_ONCE = 8


class _Add(msgspec.Struct):
    path: str


class _Action(msgspec.Struct):
    """A line of a commit."""

    add: _Add | None = None


class _Checkpoint(msgspec.Struct):
    version: int


_actions = msgspec.json.Decoder(_Action)
_checkpoint = msgspec.json.Decoder(_Checkpoint)


def sync_table(table: Path, files: Iterable[Path], version: int) -> None:
    """Sync a whole table.

    Args:
        files: Those of the version.
    """
    checkpoint = _sync_checkpoint(table)
    commits = [_commit(table, number) for number in range(max(checkpoint, 0), version + 1)]
    # Up to the workspace, which may have been made with it.
    _sync([*files, *commits], table, *list(table.parents)[:3])


def sync_commits(table: Path, since: int) -> int | None:
    """Sync what was committed after a version; returns the last one, or None where the log does not go back so far."""
    if not _commit(table, since).exists():
        return None
    commits, files = list[Path](), list[Path]()
    while (commit := _commit(table, since + 1 + len(commits))).exists():
        commits.append(commit)
        files += (table / unquote(added) for added in _added(commit))
    if commits:
        _sync_checkpoint(table)
        _sync([*files, *commits], table)
    return since + len(commits)


def _sync(files: list[Path], *directories: Path) -> None:
    folders = dict.fromkeys((*(file.parent for file in files), *directories))
    # A disk syncs several in the time of one.
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for paths in (files, folders):
            list(pool.map(_fsync, paths))


def _sync_checkpoint(table: Path) -> int:
    """Sync the log's last checkpoint, from which it is read; returns its version, -1 when there is none."""
    named = table / "_delta_log" / "_last_checkpoint"
    if not named.exists():
        return -1
    version = _checkpoint.decode(named.read_bytes()).version
    _fsync(named.with_name(f"{version:020}.checkpoint.parquet"))
    _fsync(named)
    return version


def _added(commit: Path) -> list[str]:
    """Paths of the files that a commit adds, as it writes them."""
    actions = _actions.decode_lines(commit.read_bytes())
    return [action.add.path for action in actions if action.add is not None]


def _commit(table: Path, version: int) -> Path:
    return table / "_delta_log" / f"{version:020}.json"


def _fsync(path: Path) -> None:
    try:
        opened = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        # Merged into another one, and removed since.
        return
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
