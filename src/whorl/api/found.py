"""Routes that list what the flywheel found and made: cases, labels that fit nowhere, datasets, findings."""

from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from math import isnan
from typing import Any

import msgspec
import pyarrow as pa
from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import FromQuery

from whorl.api.auth import needs
from whorl.api.failures import SHOWS
from whorl.api.pages import Before, Limit, Page, no_place, page
from whorl.examples.join import Examples
from whorl.records import DatasetVersion, Record
from whorl.serve.wheel import Wheel
from whorl.storage import dataset_versions, findings
from whorl.storage.findings import Raised


class CaseShown(Record, frozen=True, kw_only=True, omit_defaults=False):
    """A chosen row: why, by which policy, and with which probability."""

    cycle_id: str
    id: str
    time: datetime
    reason: str
    reasons: list[str]
    severity: float
    segment: str | None
    policy: str
    probability: float
    status: str
    score: float | None
    output: str | None
    label: Any
    model_version: str | None


class LabelShown(Record, frozen=True, kw_only=True, omit_defaults=False):
    """A label that is joined with no prediction; `candidates`: the predictions that an ambiguous one fits."""

    id: str | None
    prediction_id: str | None
    keys: dict[str, str] | None
    value: Any
    source: str | None
    time: datetime
    received_at: datetime
    candidates: list[str] = msgspec.field(default_factory=list)


class FoundRoutes(Controller):
    path = "/v1/flywheels/{name:str}"
    opt = needs("read")

    @get("/cases", sync_to_thread=True, tags=["cases"], responses=SHOWS,
         summary="Cases of a cycle (default: the last one that has any), most severe first")  # fmt: skip
    def cases(
        self,
        wheel: NamedDependency[Wheel],
        limit: Limit = 50,
        before: FromQuery[str | None] = None,
        cycle: FromQuery[str | None] = None,
    ) -> Page[CaseShown]:
        found = _cases(wheel, cycle, before, limit + 1)
        return page(found, limit, lambda case: f"{case.severity!r}:{case.id}")

    @get("/labels/unmatched", sync_to_thread=True, tags=["labels"], responses=SHOWS,
         summary="Labels that wait for their prediction, the longest waiting first")  # fmt: skip
    def unmatched_labels(
        self, wheel: NamedDependency[Wheel], limit: Limit = 50, before: Before = None
    ) -> Page[LabelShown]:
        return _labels(wheel, Examples.unmatched, limit, before or 0)

    @get("/labels/ambiguous", sync_to_thread=True, tags=["labels"], responses=SHOWS,
         summary="Labels that fit several predictions, the last received first")  # fmt: skip
    def ambiguous_labels(
        self, wheel: NamedDependency[Wheel], limit: Limit = 50, before: Before = None
    ) -> Page[LabelShown]:
        return _labels(wheel, Examples.ambiguous, limit, before or 0)

    @get("/datasets", sync_to_thread=True, tags=["datasets"], responses=SHOWS,
         summary="Dataset versions, newest first")  # fmt: skip
    def datasets(
        self, wheel: NamedDependency[Wheel], limit: Limit = 50, before: FromQuery[str | None] = None
    ) -> Page[DatasetVersion]:
        made = [dataset for dataset, _ in dataset_versions.versions(wheel.ws.ledger, wheel.name)]
        made.sort(key=_newest_first, reverse=True)
        if before is not None:
            at = {dataset.id: place for place, dataset in enumerate(made)}.get(before)
            if at is None:
                raise no_place(before)
            made = made[at + 1 :]
        return page(made[: limit + 1], limit, lambda dataset: dataset.id)

    @get("/findings", sync_to_thread=True, tags=["findings"], responses=SHOWS,
         summary="Findings, newest first")  # fmt: skip
    def findings(
        self, wheel: NamedDependency[Wheel], limit: Limit = 50, before: Before = None
    ) -> Page[Raised]:
        found = findings.listed(wheel.ws.ledger, wheel.name, limit=limit + 1, before=before)
        return page(found, limit, lambda raised: raised.id)


def _newest_first(dataset: DatasetVersion) -> tuple[datetime, str, int]:
    return dataset.as_of, dataset.name, dataset.version


def _cases(wheel: Wheel, cycle: str | None, before: str | None, limit: int) -> list[CaseShown]:
    relation = wheel.ws.lake.relation("cases")
    of_cycle = (
        "?" if cycle else f"(SELECT cycle_id FROM {relation} ORDER BY as_of DESC, cycle_id DESC LIMIT 1)"
    )
    where = [f"cycle_id = {of_cycle}"]
    params: list[Any] = [cycle] if cycle else []
    if before is not None:
        severity, last_id = _key(before)
        where.append("(severity < ? OR (severity = ? AND id > ?))")
        params += [severity, severity, last_id]
    columns = ", ".join(CaseShown.__struct_fields__)
    sql = f"SELECT {columns} FROM {relation} WHERE {' AND '.join(where)} ORDER BY severity DESC, id LIMIT {limit}"
    return [msgspec.convert(row, CaseShown) for row in wheel.ws.engine.query(sql, params).to_pylist()]


def _labels(
    wheel: Wheel, which: Callable[[Examples, int, int], pa.Table], limit: int, skipped: int
) -> Page[LabelShown]:
    """They have no key of their own: a place in the list is how many come before it."""
    ws = wheel.ws
    # Its own, for others may ask at the same time.
    with closing(Examples(ws.lake, ws.engine, ws.spec, ws.clock.now())) as examples:
        rows = which(examples, limit + 1, skipped).to_pylist()
    found = [msgspec.convert({**row, "keys": dict(row["keys"] or {})}, LabelShown) for row in rows]
    return page(found, limit, lambda _: skipped + limit)


def _key(before: str) -> tuple[float, str]:
    severity, _, last_id = before.partition(":")
    try:
        found = float(severity)
    except ValueError:
        raise no_place(before) from None
    # Every number is before NaN: that would be the first page.
    if isnan(found) or not last_id:
        raise no_place(before)
    return found, last_id
