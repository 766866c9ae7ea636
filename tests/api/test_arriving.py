"""Slow bodies and too many bodies: an answer, and no memory held."""

import asyncio
from typing import Any

import pytest

from whorl.api import arriving as module
from whorl.api.arriving import Held, Share, arriving
from whorl.api.body import SLICE_BYTES
from whorl.api.failures import BodyError
from whorl.errors import InboxFull


class Sent:
    """A body whose chunks come at once, and then nothing, or the end."""

    def __init__(self, *chunks: bytes, ends: bool = True) -> None:
        self._messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
        if ends:
            self._messages.append({"type": "http.request", "body": b"", "more_body": False})

    async def __call__(self) -> Any:
        if not self._messages:
            await asyncio.Event().wait()
        return self._messages.pop(0)


def taken(sent: Any, held: Held, *, keeps: int = 0) -> list[tuple[int, bool]]:
    """What comes of a body whose taker keeps so much of it."""

    async def take() -> list[tuple[int, bool]]:
        found = list[tuple[int, bool]]()
        with Share(held) as share:
            async for data, last in arriving(sent, share):
                found.append((len(data), last))
                share.keep(min(keeps, sum(size for size, _ in found)))
        return found

    return asyncio.run(take())


def test_a_long_body_comes_in_parts_and_none_is_kept() -> None:
    held = Held(SLICE_BYTES + 10)
    chunk = b"x" * (SLICE_BYTES // 2)
    assert taken(Sent(*[chunk] * 5), held) == [(SLICE_BYTES, False)] * 2 + [(SLICE_BYTES // 2, True)]
    held.change(SLICE_BYTES + 10)


def test_what_is_kept_of_a_body_counts_to_its_end() -> None:
    held, chunk = Held(2 * SLICE_BYTES), b"x" * SLICE_BYTES
    with pytest.raises(InboxFull):
        taken(Sent(*[chunk] * 3), held, keeps=3 * SLICE_BYTES)
    taken(Sent(*[chunk] * 3), held, keeps=SLICE_BYTES)
    held.change(2 * SLICE_BYTES)


def test_an_empty_body_is_one_empty_part() -> None:
    assert taken(Sent(), Held()) == [(0, True)]


def test_a_body_that_does_not_come_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PART_WITHIN_S", 0.01)
    held = Held(10)
    with pytest.raises(BodyError) as refused:
        taken(Sent(b"x" * 9, ends=False), held)
    assert refused.value.status == 408
    held.change(10)


def test_more_than_may_be_held_is_for_later() -> None:
    held = Held(10)
    with pytest.raises(InboxFull):
        taken(Sent(b"x" * 9, b"x" * 9), held)
    held.change(10)
