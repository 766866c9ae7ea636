"""The disk is full: nothing is acknowledged that is not kept, the server lives, and goes on by itself when there is room.

The disk is a tmpfs of 48 MB, which only root may mount.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from books import Books, check
from senders import Load
from serving import until

MEGABYTE = 1 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("A small disk cannot be mounted here: run it as root, with the right to mount.")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize("left", [0, 200_000, 2_000_000])
def test_it_goes_on_when_there_is_room_again(server: Any, disk: Path, left: int) -> None:
    """Another program fills the disk up to `left` bytes: SQLite, or the lake, finds no room, or we kept off in time."""
    books = Books()
    one = server(root=disk / "ws")
    load = Load(books, [one.url])
    load.wait_for_acknowledgements(5)
    ballast = disk / "ballast"
    _fill(ballast, left)
    load.wait_for_refusal()
    _fill(ballast, left)
    load.wait_for_refusal()
    assert one.process.is_alive()
    ballast.unlink()
    load.wait_for_acknowledgements(5)
    load.stop()
    assert load.retry_after == {"5"}
    until(lambda: one.figure("whorl_inbox_records") == 0, one.said)
    one.stop()
    check(books, one.root)


def test_an_inbox_that_is_full_takes_no_more_until_it_was_emptied(server: Any) -> None:
    books = Books()
    one = server(inbox_bytes=100_000)
    load = Load(books, [one.url], senders=4)
    load.wait_for_refusal()
    load.wait_for_acknowledgements(20)
    load.stop()
    one.stop()
    check(books, one.root)


def _fill(ballast: Path, left: int) -> None:
    """Write until only so many bytes are free."""
    with ballast.open("ab") as file:
        while (free := _free(ballast.parent)) > left:
            try:
                os.write(file.fileno(), bytes(min(MEGABYTE, max(4096, free - left))))
            except OSError:
                return


def _free(folder: Path) -> int:
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize
