"""A file as chunks of raw records, in a fixed order and size, so that a second reading gives the same chunks."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from whorl.records import Refusal

Progress = Callable[[float], None]


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Part of a file: a table or records, and what could not even be read as one.

    Attributes:
        numbers: Line or row of each record, from 1.
        share: How much of the file has been read with this chunk, in [0, 1].
    """

    share: float
    table: pa.Table | None = None
    records: list[Any] = field(default_factory=list)
    numbers: list[int] | range = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
