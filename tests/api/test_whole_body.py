"""Bodies that are read whole: in time, of a bounded size each and together, and nothing is held once they are done."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from whorl.api import arriving, whole
from whorl.api.arriving import Held
from whorl.api.failures import BodyError
from whorl.api.whole import whole_body
from whorl.errors import InboxFull

MOST = 1000


@pytest.fixture(autouse=True)
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    monkeypatch.setattr(whole, "MAX_BODY_BYTES", MOST)
    monkeypatch.setattr(whole, "bodies", Held(2 * MOST))
    return whole.bodies


def asked(chunks: Sequence[bytes], *, ends: bool = True) -> Any:
    """A request whose body comes in chunks, and then its end, or nothing."""

    async def messages() -> AsyncIterator[dict[str, Any]]:
        for chunk in chunks:
            yield {"type": "http.request", "body": chunk, "more_body": True}
        if not ends:
            await asyncio.Event().wait()
        yield {"type": "http.request", "body": b"", "more_body": False}

    return SimpleNamespace(receive=messages().__anext__)


def read(request: Any) -> bytes:
    async def body() -> bytes:
        async with whole_body(request) as found:
            return found

    return asyncio.run(body())


def test_it_comes_whole_and_nothing_is_held_after_it(held: Held) -> None:
    assert read(asked([b"x" * 600, b"y" * 400])) == b"x" * 600 + b"y" * 400
    held.change(2 * MOST)


def test_one_that_does_not_come_is_given_up(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arriving, "PART_WITHIN_S", 0.01)
    with pytest.raises(BodyError) as refused:
        read(asked([b"x" * 600], ends=False))
    assert refused.value.status == 408
    held.change(2 * MOST)


def test_one_that_is_too_large_is_refused(held: Held) -> None:
    with pytest.raises(BodyError) as refused:
        read(asked([b"x" * 600, b"x" * 600]))
    assert refused.value.status == 413
    held.change(2 * MOST)


def test_many_at_once_must_wait(held: Held) -> None:
    held.change(MOST + 401)
    with pytest.raises(InboxFull):
        read(asked([b"x" * 600]))
    held.change(MOST - 401)
