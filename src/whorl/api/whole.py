"""A body that is needed whole: it comes in time, and all of them together take no more memory than bodies may.

Where records are taken they are read part by part instead: `arriving.py`.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from litestar import Request

from whorl.api.arriving import arriving, bodies
from whorl.api.unpacked import MAX_BODY_BYTES, too_large


@asynccontextmanager
async def whole_body(request: Request[Any, Any, Any]) -> AsyncIterator[bytes]:
    """The body as it came, at most MAX_BODY_BYTES; it counts as held until the block ends.

    Raises:
        BodyError: It is too large (413), did not come in time (408), or not to its end (400).
        InboxFull: Too much is in memory.
    """
    parts, size = list[bytes](), 0
    try:
        async for data, _ in arriving(request.receive, bodies):
            if size + len(data) > MAX_BODY_BYTES:
                raise too_large()
            bodies.add(len(data))
            size += len(data)
            parts.append(data)
        yield b"".join(parts)
    finally:
        bodies.free(size)
