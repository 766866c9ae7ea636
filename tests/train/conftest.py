"""A workspace with just what training asks of it, and datasets made on the spot."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from whorl.clock import SimulatedClock
from whorl.examples.late_truth import late_truth
from whorl.records import DatasetVersion
from whorl.spec import Spec, parse_spec, spec_hash
from whorl.storage.engine import Engine
from whorl.storage.ledger.ledger import Ledger
from whorl.storage.registry import Registry
from whorl.storage.tables import FEATURE, label_type, lake_schemas

AS_OF = datetime(2026, 1, 1, tzinfo=UTC)


class TablesByName:
    """A lake whose tables are tables of the engine, by their own names."""

    def relation(self, table: str) -> str:
        return table


class Bench:
    """What training asks of a `Workspace`: registry and engine are real, the lake's tables are given."""

    def __init__(self, root: Path, spec: Spec) -> None:
        self.root, self.spec, self.name, self.spec_hash = root, spec, spec.name, spec_hash(spec)
        self.clock = SimulatedClock(AS_OF)
        self.ledger = Ledger.open(f"sqlite:///{root / 'ledger.db'}", self.clock)
        self.registry = Registry(self.ledger, spec.name, root, self.clock)
        self.engine, self.lake = Engine(root / "spill", threads=1), TablesByName()
        self.engine.register("asked", lake_schemas(spec)["asked"].empty_table())
        self._served = self._held = pa.table({})
        self.serves({name: [] for name in spec.features})
        self.knows()

    def knows(self, holdout: Sequence[str] = (), golden: Sequence[str] = ()) -> None:
        """Which ids are held out, and which are golden."""
        self._held = pa.table({"id": pa.array(holdout, pa.string()), "split": ["holdout"] * len(holdout)})
        self._show()
        roles = ["golden"] * len(golden) + ["case"] * 2
        self.engine.register("members", pa.table({"id": [*golden, "r0", "r1"], "role": roles}))

    def serves(self, features: Mapping[str, Any]) -> None:
        """The newest predictions, one a minute."""
        rows = len(next(iter(features.values())))
        columns = {FEATURE + name: pa.array(features[name]) for name in self.spec.features}
        times = [AS_OF - timedelta(minutes=i) for i in range(rows)]
        named = {"id": [f"n{i}" for i in range(rows)], "time": pa.array(times, pa.timestamp("us", tz="UTC"))}
        status = {"split": ["train"] * rows, "status": ["known"] * rows}
        self._served = pa.table({**named, **status, **columns})
        self._show()

    def _show(self) -> None:
        rows = pa.concat_tables([self._served, self._held], promote_options="permissive")
        for name, kind in (
            ("label", label_type(self.spec.task)),
            ("age_days", pa.float64()),
            ("delay_days", pa.float64()),
        ):
            rows = rows.append_column(name, pa.nulls(len(rows), kind))
        self.engine.register("examples", rows)

    def examples(self, as_of: datetime) -> Any:
        assert as_of == AS_OF
        found = late_truth(self.engine, self.lake, "examples", self.spec, as_of)
        return SimpleNamespace(name="examples", late_truth=found)

    def place(self, *parts: str) -> Path:
        path = self.root.joinpath(*parts)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def dataset(
        self,
        features: Mapping[str, Any],
        label: Sequence[Any],
        *,
        open_from: int | None = None,
        **columns: Any,
    ) -> DatasetVersion:
        """Write a dataset file, one row an hour, and give its record; rows from `open_from` on have no label yet."""
        rows = len(label)
        labelled = rows if open_from is None else open_from
        time = columns.get("time", [AS_OF - timedelta(hours=rows - i) for i in range(rows)])
        said = columns.get("label_time", time)
        known = [*label[:labelled], *[None] * (rows - labelled)]
        table = pa.table(
            {
                "id": [f"r{i}" for i in range(rows)],
                "time": pa.array(time, pa.timestamp("us", tz="UTC")),
                "label": pa.array(known, label_type(self.spec.task)),
                "label_time": pa.array(
                    [*said[:labelled], *[None] * (rows - labelled)], pa.timestamp("us", tz="UTC")
                ),
                "delay_days": pa.array(
                    [
                        (told - made).total_seconds() / 86400
                        for told, made in zip(said[:labelled], time, strict=False)
                    ]
                    + [None] * (rows - labelled),
                    pa.float64(),
                ),
                "weight": pa.array(columns.get("weight", np.ones(rows)), pa.float64()),
                "role": ["labelled"] * labelled + ["open"] * (rows - labelled),
                "reason": ["random"] * rows,
                "probability": [1.0] * rows,
                "age_days": [(AS_OF - t).total_seconds() / 86400 for t in time],
                **{name: features[name] for name in self.spec.features},
            }
        )
        path = self.place("datasets") / "training-1.parquet"
        pq.write_table(table, path)
        return DatasetVersion(
            id=f"{self.name}/training/1",
            name="training",
            version=1,
            content_hash="c" * 64,
            rows=rows,
            labelled_rows=labelled,
            as_of=AS_OF,
            path=str(path),
        )


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Callable[[str], Any]]:
    """`bench(toml)` gives a workspace in a folder of its own."""
    opened: list[Bench] = []

    def make(toml: str) -> Bench:
        root = tmp_path / f"workspace-{len(opened)}"
        root.mkdir()
        opened.append(Bench(root, parse_spec(toml)))
        return opened[-1]

    yield make
    for one in opened:
        one.engine.close()
        one.ledger.close()
