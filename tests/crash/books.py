"""What was sent, what of it was acknowledged, and what is in the lake: compared id by id, not by counts."""

import threading
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from deltalake import DeltaTable


class Books:
    """Kept by those who send. Threads share it."""

    def __init__(self) -> None:
        self.sent: set[str] = set()
        self.acknowledged: set[str] = set()
        self._lock = threading.Lock()

    def send(self, ids: Iterable[str]) -> None:
        """They are about to be sent: from now on they may be in the lake."""
        with self._lock:
            self.sent.update(ids)

    def acknowledge(self, ids: Iterable[str]) -> None:
        """They were acknowledged: from now on they must come to the lake."""
        with self._lock:
            self.acknowledged.update(ids)


class Found(NamedTuple):
    """Ids that are wrong in the lake: acknowledged and not there, there more than once, there and never sent."""

    lost: list[str]
    doubled: list[str]
    unknown: list[str]


def compare(books: Books, there: Iterable[str]) -> Found:
    """What is wrong with a table's ids."""
    counts = Counter(there)
    return Found(
        lost=sorted(books.acknowledged - counts.keys()),
        doubled=sorted(id for id, count in counts.items() if count > 1),
        unknown=sorted(counts.keys() - books.sent),
    )


def check(books: Books, root: Path) -> None:
    """Every acknowledged record is in the lake exactly once, every other one at most once; and so is its truth."""
    assert books.acknowledged, "nothing was acknowledged: this shows nothing"
    for table, column in (("predictions", "id"), ("labels", "prediction_id")):
        assert compare(books, _stored(root, table, column)) == Found([], [], []), table


def _stored(root: Path, table: str, column: str) -> list[str]:
    rows = DeltaTable(root / "lake" / "fraud" / table).to_pyarrow_table(columns=[column])
    found: list[str] = rows[column].to_pylist()
    return found
