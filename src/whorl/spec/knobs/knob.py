"""What a knob is made of: a struct's field whose annotation says what it does, and in which unit."""

from typing import Annotated

import msgspec
from msgspec import Meta

Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=0)]


def knob(help: str, unit: str = "") -> Meta:
    return Meta(description=help, extra={"unit": unit})


class Knobs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every section: frozen, keyword-only, unknown keys refused."""
