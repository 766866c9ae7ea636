"""What a mapper of another tool's rows gives: our records, with the field names of `records.py`, each with its kind.

A mapper is a pure function of one decoded row, which it scrubs under the tool's own names before it gives them ours. A row that it does not know gives None, and is listed among the rejects; one that
it knows and that holds nothing for us gives no records and says why.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec

from whorl.capture.mapping import Kind

Raw = dict[str, Any]


class Native(NamedTuple):
    """Records of one row, in their order.

    Attributes:
        passed_over: Why it has none, or not all of what the row holds; `{n}` in it is a count.
    """

    records: list[tuple[Kind, Raw]]
    passed_over: str = ""


# What [capture] asks for by the names that a tool gives, done to an object of its own.
Own = Callable[[Raw], Raw]
MapRow = Callable[[Own, Raw], Native | None]


def content_id(prefix: str, row: Any) -> str:
    """The id of a row that brings none: the same content has the same id.

    >>> content_id("nvidia", {"a": 1, "b": 2}) == content_id("nvidia", {"b": 2, "a": 1})
    True
    """
    content = msgspec.json.encode(row, order="sorted")
    return f"{prefix}-{blake2b(content, digest_size=12).hexdigest()}"


def uuid7_time(value: Any) -> str | None:
    """The time within a UUID of version 7, to the millisecond; None when it is none.

    >>> uuid7_time("018f2f3e-8a00-7000-8000-000000000000")
    '2024-04-30T13:42:58.816000+00:00'
    """
    digits = value.replace("-", "") if isinstance(value, str) else ""
    if len(digits) != 32 or digits[12] != "7":
        return None
    try:
        return datetime.fromtimestamp(int(digits[:12], 16) / 1000, UTC).isoformat()
    except (ValueError, OverflowError):
        return None
