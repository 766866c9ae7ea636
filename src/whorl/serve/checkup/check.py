"""One line of the answer."""

from typing import Literal

from whorl.records import Record

Level = Literal["ok", "warn", "bad"]


class Check(Record, frozen=True, kw_only=True, omit_defaults=False):
    """What was looked at, where, what was found, and what to do next."""

    level: Level
    what: str
    where: str
    message: str
    hint: str

    @classmethod
    def ok(cls, what: str, where: str, message: str) -> "Check":
        return cls(level="ok", what=what, where=where, message=message, hint="")

    @classmethod
    def warn(cls, what: str, where: str, message: str, hint: str) -> "Check":
        """It works, and should not stay so."""
        return cls(level="warn", what=what, where=where, message=message, hint=hint)

    @classmethod
    def bad(cls, what: str, where: str, message: str, hint: str) -> "Check":
        """It does not work, or will not for long."""
        return cls(level="bad", what=what, where=where, message=message, hint=hint)
