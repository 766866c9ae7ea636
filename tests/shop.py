"""A shop's flywheel in simulated time, told straight what happened: rows go to the lake, not through capture.

Times are days since 2026-01-01; a row is received when it happens unless a test says otherwise. `scored` makes a model
version out of bare numbers, so that a test of gates need not train anything.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from whorl.clock import SimulatedClock
from whorl.curate.curate import curate
from whorl.datasets.build import build
from whorl.records import CaseSet, DatasetVersion, ModelVersion
from whorl.spec import Spec, parse_spec
from whorl.storage.tables import FEATURE, TIME, TableName, lake_schemas
from whorl.workspace import Workspace, open_workspace

FEATURES = 'amount = "float"\nage = "float"\nplace = "category"'
NO_REASONS = "reasons = { uncertain = 0, wrong = 0, large_error = 0, changed = 0, rare = 0, novel = 0 }"


def shop_spec(sections: str = "", *, head: str = "", schema: str = "") -> Spec:
    """A spec of three features; `head` and `schema` are lines of their own, `sections` is appended."""
    task = "" if "task" in head else 'task = "binary"\n'
    return parse_spec(
        f'name = "shop"\n{task}{head}\n[schema]\n{schema}\n[schema.features]\n{FEATURES}\n{sections}'
    )


class Shop:
    """A workspace and its clock."""

    def __init__(self, root: Path, spec: Spec, clock: SimulatedClock, **opened: Any) -> None:
        self.root, self.clock, self.start = root, clock, clock.now()
        self.ws: Workspace = open_workspace(
            spec, root / "workspace", clock=clock, mirror=False, holdout_key="ab" * 32, **opened
        )
        self._numbers = count(1)
        self._turned: dict[str, datetime] = {}

    def day(self, number: float) -> datetime:
        return self.start + timedelta(days=number)

    def until(self, number: float) -> datetime:
        """The clock moved to a day, which is returned."""
        return self.clock.move_to(self.day(number))

    def predicts(self, ids: Sequence[str], at: Any = 0.0, *, received: Any = None, **columns: Any) -> None:
        """Predictions of the training split; features by their bare names; a single value is that of all rows."""
        named = {FEATURE + name if name in self.ws.spec.features else name: v for name, v in columns.items()}
        self._append("predictions", ids, at, received, {"split": "train", **named})

    def learns(
        self, of: Sequence[str], value: Any, at: Any = 1.0, *, received: Any = None, **columns: Any
    ) -> None:
        """Labels."""
        ids = [f"label-{next(self._numbers)}-{one}" for one in of]
        told = {"prediction_id": list(of), "value": value, **columns}
        self._append("labels", ids, at, received, told)

    def sales(
        self,
        n: int,
        *,
        seed: int = 0,
        name: str = "s",
        days: tuple[float, float] = (0.0, 10.0),
        holdout: float = 0.3,
        labelled: bool = True,
        **columns: Any,
    ) -> dict[str, Any]:
        """n predictions at random whose truth goes by the amount and is known an hour later; what they are."""
        random = np.random.default_rng(seed)
        ids = [f"{name}{i:05d}" for i in range(n)]
        amount, at = random.normal(size=n), np.sort(random.uniform(*days, n))
        truth = random.random(n) < 1 / (1 + np.exp(-3 * amount))
        split = np.where(random.random(n) < holdout, "holdout", "train").tolist()
        told = {"amount": amount, "age": random.normal(size=n), "place": ["p"] * n, "split": split, **columns}
        self.predicts(ids, at, **told)
        if labelled:
            self.learns(ids, truth.tolist(), at + 1 / 24)
        return {"id": ids, "truth": truth, "at": at, **told}  # fmt: skip

    def curates(self, as_of: datetime, since: datetime | None = None) -> CaseSet:
        """A cycle's choice, after those that were made up to `since`."""
        earlier = [] if since is None else self.turned(since)
        cycle_id = f"shop-{next(self._numbers):04d}"
        self._turned[cycle_id] = as_of
        return curate(self.ws, cycle_id, as_of, earlier)

    def turned(self, by: datetime) -> list[str]:
        """Cycles that have chosen by a time."""
        return [cycle_id for cycle_id, as_of in self._turned.items() if as_of <= by]

    def dataset(self, as_of: datetime, since: datetime | None = None) -> DatasetVersion:
        """A cycle's choice, and the next version of the training dataset made of it."""
        cases = self.curates(as_of, since)
        return build(self.ws, cases.cycle_id, cases)

    def cases(self, cycle_id: str | None = None) -> dict[str, dict[str, Any]]:
        """Rows of the lake's `cases` by their id; of one cycle, or of all."""
        where = f"WHERE cycle_id = '{cycle_id}'" if cycle_id else ""
        return {
            row["id"]: row for row in self.asked(f"SELECT * FROM {self.lake('cases')} {where} ORDER BY as_of")
        }

    def asked(self, sql: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ws.engine.query(sql).to_pylist()
        return found

    def lake(self, table: TableName) -> str:
        return self.ws.lake.relation(table)

    def scored(self, scores: Mapping[str, Any], *, suffix: str = ".parquet") -> ModelVersion:
        """A version that gives these ids these scores (numbers, or {class: probability}), and no others an answer."""
        path = self.root / f"scores-{next(self._numbers)}{suffix}"
        values = list(scores.values())
        many = bool(values) and isinstance(values[0], dict)
        kind = pa.map_(pa.string(), pa.float64()) if many else pa.float64()
        given = [list(v.items()) for v in values] if many else values
        table = pa.table({"id": list(scores), "scores" if many else "score": pa.array(given, kind)})
        if suffix == ".csv":
            pa.csv.write_csv(table, path)
        else:
            pq.write_table(table, path)
        return self.ws.registry.register(None, trainer="scores", uri=str(path))

    def crowned(self, version: ModelVersion) -> ModelVersion:
        """The version as champion."""
        self.ws.registry.point("champion", version.id, by="test", reason="test")
        return version

    def close(self) -> None:
        self.ws.close()

    def _append(
        self, table: TableName, ids: Sequence[str], at: Any, received: Any, columns: Mapping[str, Any]
    ) -> None:
        n, schema = len(ids), lake_schemas(self.ws.spec)[table]
        times = self._times(at, n)
        told = {"id": list(ids), "time": times, "received_at": times if received is None else self._times(received, n),
                **{name: _column(value, n) for name, value in columns.items()}}  # fmt: skip
        fields = [schema.field(name) for name in told]
        rows = pa.table(
            [pa.array(told[field.name], field.type) for field in fields], schema=pa.schema(fields)
        )
        rows = rows.append_column("day", rows["time"].cast(TIME).cast(pa.date32()))
        self.ws.lake.append(table, rows, app=f"test/{table}", version=next(self._numbers))

    def _times(self, at: Any, n: int) -> list[datetime]:
        return [self.day(float(one)) for one in np.broadcast_to(np.asarray(at, dtype=np.float64), n)]


def _column(value: Any, n: int) -> list[Any]:
    if isinstance(value, np.ndarray):
        return list(value.tolist())
    return list(value) if isinstance(value, Iterable) and not isinstance(value, (str, dict)) else [value] * n
