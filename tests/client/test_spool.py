"""The spool by itself: nothing that was appended is lost, whatever is torn; its bounds; who owns it."""

import contextlib
import os
from pathlib import Path
from typing import Any

import pytest

from whorl.client.frames import Logged, frame
from whorl.client.mark import Mark, read_mark, write_mark
from whorl.client.spool import Full, Spool, Window, dead

MAX = 1 << 20


def record(number: int) -> Logged:
    return Logged("predictions", b'{"id":"%d"}' % number)


def records(*numbers: int) -> list[Logged]:
    return [record(number) for number in numbers]


def drained(spool: Spool, most: int = 2) -> list[Logged]:
    """Everything in it, settled window by window."""
    found: list[Logged] = []
    while (window := spool.window(most, MAX)) is not None:
        spool.begin(window)
        spool.settled(window)
        found += window.records
    return found


def left_by_the_dead(spool: Spool, target: Path) -> Spool:
    """The same spool in the hands of the next process."""
    spool.forget()
    (taken,) = dead(target, MAX)
    return taken


def test_what_is_appended_comes_back_in_order(tmp_path: Path) -> None:
    spool = Spool.make(tmp_path, MAX)
    spool.append(records(1, 2, 3))
    spool.append(records(4))
    assert drained(spool) == records(1, 2, 3, 4)
    assert spool.empty
    spool.append(records(5))
    assert drained(spool) == records(5)
    spool.close()
    assert list(tmp_path.iterdir()) == []


def test_a_window_is_the_same_until_it_is_settled(tmp_path: Path) -> None:
    spool = Spool.make(tmp_path, MAX)
    spool.append(records(1, 2))
    window = spool.window(10, MAX)
    assert window is not None
    spool.begin(window)
    spool.append(records(3))
    assert spool.window(10, MAX) == window
    taken = left_by_the_dead(spool, tmp_path)
    assert taken.window(10, MAX) == window
    taken.settled(window)
    assert drained(taken) == records(3)
    taken.close()


def test_a_window_that_was_tried_from_memory_keeps_its_key(tmp_path: Path) -> None:
    spool = Spool.make(tmp_path, MAX)
    spool.append(records(1))
    drained(spool)
    spool.adopt(Window(b"k" * 16, records(2, 3)))
    spool.append(records(4))
    taken = left_by_the_dead(spool, tmp_path)
    window = taken.window(10, MAX)
    assert window is not None
    assert (window.key, window.records) == (b"k" * 16, records(2, 3))
    taken.settled(window)
    assert drained(taken) == records(4)
    taken.close()


class Killed(BaseException):
    """In place of a signal: nothing of what comes after it is done."""


@pytest.mark.parametrize("earlier", [False, True], ids=["new segment", "same segment"])
@pytest.mark.parametrize("call", range(8))
def test_killed_while_a_tried_window_is_written_down_it_has_its_key_or_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int, earlier: bool
) -> None:
    spool = Spool.make(tmp_path, MAX)
    if earlier:
        spool.append(records(1))
        drained(spool)
    calls: list[str] = []

    def deadly(name: str) -> Any:
        real = getattr(os, name)

        def call_or_die(fd: int, *rest: Any) -> Any:
            calls.append(name)
            if len(calls) == call + 1:
                if name == "write":
                    # Of a long write a part may be there.
                    real(fd, rest[0][: len(frame(record(2))) + 3])
                raise Killed
            return real(fd, *rest)

        return call_or_die

    with monkeypatch.context() as patch, contextlib.suppress(Killed):
        for name in ("write", "pwrite", "fdatasync", "fsync"):
            patch.setattr(os, name, deadly(name))
        spool.adopt(Window(b"k" * 16, records(2, 3)))
        spool.sync()
    taken = left_by_the_dead(spool, tmp_path)
    window = taken.window(10, MAX)
    assert window is None or (window.key, window.records) in [
        (b"k" * 16, records(2)),
        (b"k" * 16, records(2, 3)),
    ]
    taken.close()


def test_a_tried_window_that_there_is_no_room_for_leaves_no_key_behind(tmp_path: Path) -> None:
    spool = Spool.make(tmp_path, 200)
    with pytest.raises(Full):
        spool.adopt(Window(b"k" * 16, records(*range(50))))
    spool.append(records(1))
    taken = left_by_the_dead(spool, tmp_path)
    window = taken.window(10, MAX)
    assert window is not None
    assert window.key != b"k" * 16
    assert window.records == records(1)
    taken.close()


def test_a_window_that_could_not_be_written_down_was_not_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool.make(tmp_path, MAX)
    spool.append(records(1))

    def broken(_: int) -> None:
        raise OSError(5, "Input/output error")

    for _ in range(2):
        window = spool.window(10, MAX)
        assert window is not None
        with monkeypatch.context() as patch:
            patch.setattr(os, "fdatasync", broken)
            with pytest.raises(OSError, match="Input"):
                spool.begin(window)
    spool.close()


@pytest.mark.parametrize("kept", range(1, len(frame(record(3)))))
def test_a_torn_tail_is_cut_and_nothing_before_it(tmp_path: Path, kept: int) -> None:
    spool = Spool.make(tmp_path, MAX)
    spool.append(records(1, 2))
    whole = spool.folder / "00000001.seg"
    whole.write_bytes(whole.read_bytes() + frame(record(3))[:kept])
    taken = left_by_the_dead(spool, tmp_path)
    assert drained(taken) == records(1, 2)
    assert taken.cut_bytes == kept
    taken.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("junk", [bytes(4096), b"\xff" * 64], ids=["zeros", "ones"])
def test_junk_behind_the_records_is_cut(tmp_path: Path, junk: bytes) -> None:
    spool = Spool.make(tmp_path, 200)
    for number in range(8):
        spool.append(records(number))
    first = spool.folder / "00000001.seg"
    first.write_bytes(first.read_bytes() + junk)
    taken = left_by_the_dead(spool, tmp_path)
    assert drained(taken) == records(*range(8))
    taken.close()


def test_a_flipped_bit_is_not_read_as_a_record(tmp_path: Path) -> None:
    spool = Spool.make(tmp_path, MAX)
    spool.append(records(1, 2))
    path = spool.folder / "00000001.seg"
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    taken = left_by_the_dead(spool, tmp_path)
    assert drained(taken) == records(1)
    taken.close()


def test_a_segment_that_somebody_removed_holds_up_nothing(tmp_path: Path) -> None:
    spool = Spool.make(tmp_path, 200)
    for number in range(8):
        spool.append(records(number))
    (spool.folder / "00000001.seg").unlink()
    left = drained(spool)
    assert left
    assert left == records(*range(8 - len(left), 8))
    spool.close()


def test_a_mark_that_was_not_written_whole_is_none(tmp_path: Path) -> None:
    fd = os.open(tmp_path / "mark", os.O_RDWR | os.O_CREAT)
    write_mark(fd, Mark(3, 10, 20, b"k" * 16))
    assert read_mark(fd) == Mark(3, 10, 20, b"k" * 16)
    os.pwrite(fd, b"\x09", 8)
    assert read_mark(fd) == Mark()
    os.close(fd)


def test_it_holds_no_more_than_it_may_and_has_room_again(tmp_path: Path) -> None:
    size = len(frame(record(0)))
    spool = Spool.make(tmp_path, 8 * size)
    for _ in range(8):
        spool.append(records(0))
    with pytest.raises(Full):
        spool.append(records(0))
    assert sum(path.stat().st_size for path in spool.folder.glob("*.seg")) == 8 * size
    assert len(drained(spool)) == 8
    spool.append(records(*range(4)))
    assert drained(spool) == records(*range(4))
    spool.close()


def test_a_disk_that_takes_half_a_record_takes_none_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool.make(tmp_path, MAX)
    spool.append(records(1))
    write, calls = os.write, []

    def half(fd: int, data: bytes) -> int:
        calls.append(data)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        return write(fd, data[: len(data) // 2])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", half)
        with pytest.raises(OSError, match="No space"):
            spool.append(records(2))
    spool.append(records(3))
    assert drained(spool) == records(1, 3)
    spool.close()


def test_a_record_longer_than_a_batch_is_a_batch_of_its_own(tmp_path: Path) -> None:
    spool = Spool.make(tmp_path, MAX)
    long = Logged("labels", b'{"x":"' + b"y" * 5000 + b'"}')
    spool.append([record(1), long, record(2)])
    found: list[Logged] = []
    while (window := spool.window(10, 100)) is not None:
        spool.begin(window)
        spool.settled(window)
        found += window.records
    assert found == [record(1), long, record(2)]
    spool.close()


def test_a_living_process_keeps_its_spool_and_a_dead_ones_is_taken_once(tmp_path: Path) -> None:
    spool = Spool.make(tmp_path, MAX)
    spool.append(records(1))
    assert dead(tmp_path, MAX) == []
    spool.forget()
    (taken,) = dead(tmp_path, MAX)
    assert dead(tmp_path, MAX) == []
    assert drained(taken) == records(1)
    taken.close()
    assert dead(tmp_path, MAX) == []


def test_only_its_user_may_look_into_it(tmp_path: Path) -> None:
    open_to_all = os.umask(0)
    try:
        spool = Spool.make(tmp_path / "spool" / "target", MAX)
        spool.append(records(1))
    finally:
        os.umask(open_to_all)
    modes = {
        path: path.stat().st_mode & 0o777 for path in (tmp_path / "spool", *(tmp_path / "spool").rglob("*"))
    }
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}
    assert len(modes) > 4
    spool.close()
