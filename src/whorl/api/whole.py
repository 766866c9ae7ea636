"""A body that is needed whole: it comes in time, and all of them together take no more memory than bodies may.

Where records are taken they are read part by part instead: `arriving.py`.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from litestar import Request

from whorl.api.arriving import Share, arriving, bodies
from whorl.api.unpacked import MAX_BODY_BYTES, too_large


@asynccontextmanager
async def whole_body(request: Request[Any, Any, Any]) -> AsyncIterator[bytes]:
    """The body as it came, at most MAX_BODY_BYTES; it counts as held until the block ends.

    Raises:
        BodyError: It is too large (413), did not come in time (408), or not to its end (400).
        InboxFull: Too much is in memory.
    """
    parts, size = list[bytes](), 0
    with Share(bodies) as share:
        async for data, _ in arriving(request.receive, share):
            size += len(data)
            if size > MAX_BODY_BYTES:
                raise too_large()
            parts.append(data)
        yield b"".join(parts)
