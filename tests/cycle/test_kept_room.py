"""A disk without room for what is kept of earlier cycles: it says so, stays as free as it was, and cycles go on."""

import errno
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shop import Shop
from whorl.examples import settle
from whorl.storage.keyed_rows import KeyedRows


@pytest.fixture
def one(shop: Callable[..., Shop]) -> Shop:
    opened = shop(settle_from_rows=0)
    opened.sales(60)
    return opened


def files(one: Shop) -> set[Path]:
    return {path for path in (one.ws.root / "settled").rglob("*") if path.is_file()}


def fills_up_at(patch: pytest.MonkeyPatch, calls: int) -> None:
    """The disk is full when the rows of so many runs were written."""
    add, left = KeyedRows.add, [calls]

    def full(self: KeyedRows, *args: Any) -> None:
        add(self, *args)
        left[0] -= 1
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")

    patch.setattr(KeyedRows, "add", full)


def test_what_was_written_in_vain_is_removed(
    one: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patch:
        fills_up_at(patch, 2)
        assert not one.ws.settle(one.until(11), [])
    assert "is not kept" in caplog.text
    assert "No space left" in caplog.text
    assert files(one) == set()
    assert one.ws.settle(one.until(11), [])
    first = files(one)
    one.sales(60, seed=1, name="t", days=(11, 12))
    assert one.ws.settle(one.until(13), [])
    counts = files(one)
    assert first - counts == set(), "those of before are left to who is reading them"
    one.sales(60, seed=2, name="u", days=(13, 14))
    with monkeypatch.context() as patch:
        fills_up_at(patch, 3)
        assert not one.ws.settle(one.until(15), [])
    assert files(one) == counts
    settled = one.ws.arrivals(one.until(16), []).settled
    assert settled is not None
    assert settled.as_of == one.day(13)


def test_it_is_not_begun_without_room(
    one: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(settle, "free_bytes", lambda _: 100 * settle.ROW_BYTES)
        assert not one.ws.settle(one.until(11), [])
    assert "0.0 MB are free" in caplog.text
    assert "Free space there" in caplog.text
    assert files(one) == set()
    assert one.ws.settle(one.until(11), [])
    one.sales(20, seed=1, name="t", days=(11, 12))
    monkeypatch.setattr(settle, "free_bytes", lambda _: 100 * settle.ROW_BYTES)
    assert one.ws.settle(one.until(13), []), "there is room for what is new"
