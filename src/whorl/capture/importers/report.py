"""What became of a file or query, and the file that keeps what was refused."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from whorl.records import Record, Refusal

SHOWN = 20


class IngestReport(Record, frozen=True, kw_only=True):
    """Counts of records, after they are safe.

    Attributes:
        rejects: The first refusals; `index` is the line in a text file, else the row, from 1.
        rejects_path: All of them, one JSON object a line; None when nothing was refused.
        already: True when the same file had been taken in before: nothing was added.
    """

    source: str
    accepted: int
    refused: int = 0
    labels: int = 0
    rejects: list[Refusal] = msgspec.field(default_factory=list)
    rejects_path: str | None = None
    already: bool = False
    notes: list[str] = msgspec.field(default_factory=list)


class Rejects:
    """Collects refusals in a file that is made with the first of them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: Any = None
        self.first: list[Refusal] = []
        self.count = 0

    @property
    def path(self) -> str | None:
        return str(self._path) if self.count else None

    def add(self, refused: Sequence[Refusal]) -> None:
        for refusal in refused:
            if self._file is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self._path.open("wb")
            line = {
                "line": refusal.index,
                "code": refusal.code,
                "message": refusal.message,
                "hint": refusal.hint,
            }
            self._file.write(msgspec.json.encode(line) + b"\n")
        self.count += len(refused)
        self.first += refused[: SHOWN - len(self.first)]

    def __enter__(self) -> "Rejects":
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
