"""A request's body as it arrives, a few megabytes at a time; neither slow nor many bodies can fill the memory."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Self

from litestar.types import Receive

from whorl.api.body import SLICE_BYTES
from whorl.api.failures import BodyError
from whorl.errors import InboxFull

# So long a part may take to arrive: 70 kB/s fill one.
PART_WITHIN_S = 60.0
HELD_BYTES = 256 << 20


class Held:
    """Bytes of bodies that are in memory at once, in one process. Used by the event loop alone."""

    def __init__(self, most: int = HELD_BYTES) -> None:
        self._most = most
        self._now = 0

    def change(self, size: int) -> None:
        """Raises InboxFull, so that the client tries again later."""
        if size > 0 and self._now + size > self._most:
            raise InboxFull(
                f"Bodies of {self._now:,} bytes are just being read; that is the most.",
                where="body",
                hint="Send it again later, or in smaller requests.",
            )
        self._now += size


class Share:
    """What one request has of them, until its block ends."""

    def __init__(self, held: Held) -> None:
        self._held = held
        self.size = 0

    def keep(self, size: int) -> None:
        """It is so much from now on. Raises InboxFull."""
        self._held.change(size - self.size)
        self.size = size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.keep(0)


# Of all bodies that this process is just reading.
bodies = Held()


async def arriving(receive: Receive, share: Share) -> AsyncGenerator[tuple[bytes, bool]]:
    """What has come, and whether it is all. It counts as held until the taker says that it keeps less.

    Raises:
        BodyError: Nothing more came in time (408), or the connection broke (400).
        InboxFull: Too much is in memory.
    """
    parts, size, more = list[bytes](), 0, True
    clock = asyncio.get_running_loop().time
    try:
        async with asyncio.timeout(PART_WITHIN_S) as limit:
            while more:
                message = await receive()
                if message["type"] != "http.request":
                    raise BodyError(400, "The connection broke before the body's end.")
                chunk, more = message.get("body", b""), message.get("more_body", False)
                share.keep(share.size + len(chunk))
                size += len(chunk)
                parts.append(chunk)
                if size < SLICE_BYTES or not more:
                    continue
                limit.reschedule(None)
                yield b"".join(parts), False
                parts, size = [], 0
                limit.reschedule(clock() + PART_WITHIN_S)
        yield b"".join(parts), True
    except TimeoutError:
        raise BodyError(
            408, f"{SLICE_BYTES:,} bytes, or the rest of the body, did not come within {PART_WITHIN_S:g} s.",
            hint="What had come before was kept; see Idempotency-Key.",
        ) from None  # fmt: skip
