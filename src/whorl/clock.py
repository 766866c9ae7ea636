"""The one source of "now". Real for production, simulated for replay and tests; nothing else asks the time."""

from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time as a timezone-aware UTC datetime."""

    def now(self) -> datetime: ...


class RealClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class SimulatedClock:
    """A clock that moves only when told, and never backwards.

    >>> clock = SimulatedClock(datetime(2026, 1, 1, tzinfo=UTC))
    >>> clock.advance(timedelta(days=1)).isoformat()
    '2026-01-02T00:00:00+00:00'
    """

    def __init__(self, start: datetime) -> None:
        self._now = as_utc(start)

    def now(self) -> datetime:
        return self._now

    def advance(self, by: timedelta) -> datetime:
        """Move on by a non-negative span; returns the new time."""
        return self.move_to(self._now + by)

    def move_to(self, when: datetime) -> datetime:
        """Move on to `when`; returns it. Raises ValueError when it lies in the past."""
        when = as_utc(when)
        if when < self._now:
            raise ValueError(
                f"The clock stands at {self._now.isoformat()}; it cannot go back to {when.isoformat()}."
            )
        self._now = when
        return when


def as_utc(when: datetime) -> datetime:
    """The same instant in UTC; a time without a zone is taken as UTC.

    >>> as_utc(datetime(2026, 1, 1, 12)).isoformat()
    '2026-01-01T12:00:00+00:00'
    """
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
