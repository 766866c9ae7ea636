"""A lake with a few predictions and labels, said in days since 2026-01-01, and its examples as of a day."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa

from whorl.examples.join import Examples
from whorl.spec import Spec, parse_spec
from whorl.storage.engine import Engine
from whorl.storage.lake import Lake
from whorl.storage.tables import TableName, lake_schemas

START = datetime(2026, 1, 1, tzinfo=UTC)
HEAD = """
name = "fraud"
task = "binary"
[schema]
action = "action"
censored = ["blocked"]
protected = ["age_band"]
keys = { order = "order", shop = "shop" }
[schema.features]
amount = "float"
"""


def spec_with(labels: str = "") -> Spec:
    return parse_spec(f"{HEAD}[labels]\n{labels}")


def day(number: float) -> datetime:
    return START + timedelta(days=number)


class Story:
    """Appends records as they are received; asks for examples as of a day."""

    def __init__(self, root: Path, spec: Spec) -> None:
        self.spec = spec
        self.lake = Lake(root / "lake", spec.name, spec, "u")
        self.engine = Engine(root / "spill", threads=1)
        self._batches = count(1)

    def prediction(self, id: str, at: float, received: float | None = None, **columns: Any) -> None:
        self._append("predictions", id, at, received, {"split": "train", **columns})

    def label(
        self, of: str | None, value: Any, at: float, received: float | None = None, **columns: Any
    ) -> None:
        id = columns.pop("id", f"{of}/{at}/{value}")
        self._append("labels", id, at, received, {"prediction_id": of, "value": value, **columns})

    def as_of(self, number: float) -> Examples:
        return Examples(self.lake, self.engine, self.spec, day(number))

    def rows(self, number: float, columns: str = "*") -> list[dict[str, Any]]:
        return self.as_of(number).select(columns, order="id").to_pylist()

    def row(self, number: float, id: str = "a") -> dict[str, Any]:
        return next(row for row in self.rows(number) if row["id"] == id)

    def _append(
        self, table: TableName, id: str, at: float, received: float | None, columns: dict[str, Any]
    ) -> None:
        row = {"id": id, "time": day(at), "received_at": day(at if received is None else received)}
        row |= {"day": day(at).date(), **columns}
        schema = lake_schemas(self.spec)[table]
        self.lake.append(table, pa.Table.from_pylist([row], schema=schema), "test", next(self._batches))


@contextmanager
def story(root: Path, labels: str = "", spec: Spec | None = None) -> Iterator[Story]:
    told = Story(root, spec or spec_with(labels))
    try:
        yield told
    finally:
        told.engine.close()
