"""Spans of time as people write them in a spec: `30s`, `15m`, `24h`, `14d`, `2w`."""

import re
from datetime import timedelta

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
# A time this long ago can still be written down.
MOST_S = 36_525 * 86_400
_FORM = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*([smhdw])\s*$")


class Duration:
    """A non-negative span of time, read from and written as `14d`.

    >>> Duration("36h").span
    datetime.timedelta(days=1, seconds=43200)
    """

    __slots__ = ("span", "text")

    def __init__(self, text: str) -> None:
        match = _FORM.match(text)
        if match is None:
            raise ValueError(f"expected a span such as '30s', '15m', '24h', '14d' or '2w', found {text!r}")
        seconds = float(match[1]) * _SECONDS[match[2]]
        if seconds > MOST_S:
            raise ValueError(f"expected a span of at most 100 years (36525d), found {text!r}")
        self.text = text.strip()
        self.span = timedelta(seconds=seconds)

    @property
    def days(self) -> float:
        return self.span.total_seconds() / 86400

    @property
    def seconds(self) -> float:
        return self.span.total_seconds()

    def __repr__(self) -> str:
        return self.text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Duration) and self.span == other.span

    def __hash__(self) -> int:
        return hash(self.span)
