"""Routes with figures over all rows: insights, quality by period, how much of the truth is known."""

from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, TypeVar

import anyio
import msgspec
from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter

from whorl.api.auth import needs
from whorl.api.failures import SHOWS, HttpError, failures
from whorl.errors import StateError
from whorl.monitor.insights.insights import Insights, begin_of, insights
from whorl.monitor.told_quality import QualityTold, told_quality
from whorl.records import Record
from whorl.serve.wheel import Wheel
from whorl.workspace import Workspace

T = TypeVar("T")
Since = Annotated[
    str | None,
    QueryParameter(
        description="Where the rows begin that got worse; UTC where it names no zone. Default: where decay was found, else the last period.",
        schema_extra={"format": "date-time"},
    ),
]


class AgeShown(Record, frozen=True, kw_only=True, omit_defaults=False):
    """Predictions of an age in days, up to `to_days` (null: and older), and how many of them have their truth."""

    from_days: int
    to_days: int | None
    predictions: int
    known: int
    open: int
    share: float | None
    reason: str | None = None


class Within(Record, frozen=True, kw_only=True, omit_defaults=False):
    """The share of labels that came within so many days."""

    days: int
    share: float


class Delays(Record, frozen=True, kw_only=True, omit_defaults=False):
    """Days between a prediction and its label: quantiles, and the longest."""

    labels: int
    p10: float | None
    p50: float | None
    p90: float | None
    max: float | None
    within: list[Within] = msgspec.field(default_factory=list)
    reason: str | None = None


class Hidden(Record, frozen=True, kw_only=True, omit_defaults=False):
    """Predictions whose truth an action hid."""

    action: str | None
    predictions: int


class Coverage(Record, frozen=True, kw_only=True, omit_defaults=False):
    """How much of the truth is known, and how late it comes; `delays` by class, and by segment, its value, and class.

    `corrected`: predictions whose labels said different things; the last received counts. `contradictory`: of them those whose last labels
    are of the same moment, so that which one counts is as good as drawn at random.
    """

    as_of: datetime
    predictions: int
    known: int
    defaulted: int
    open: int
    censored: int
    expired: int
    corrected: int
    contradictory: int
    known_share: float | None
    by_age: list[AgeShown]
    delays: dict[str, Delays]
    delays_by_segment: dict[str, dict[str, dict[str, Delays]]]
    censored_by_action: list[Hidden]
    reason: str | None = None


class Figures:
    """Computes figures of a flywheel one at a time, for they share its engine. Whoever waits takes no thread."""

    def __init__(self) -> None:
        self._one: defaultdict[str, anyio.Lock] = defaultdict(anyio.Lock)

    async def of(self, wheel: Wheel, compute: Callable[[Workspace, datetime], T]) -> T:
        """What `compute` finds as of now, in a thread of its own."""
        async with self._one[wheel.name]:
            return await anyio.to_thread.run_sync(_computed, compute, wheel.ws)


def _computed(compute: Callable[[Workspace, datetime], T], ws: Workspace) -> T:
    try:
        return compute(ws, ws.clock.now())
    finally:
        # The next one is asked for as of another time: nobody needs the joined rows again.
        ws.drop_examples()


class FigureRoutes(Controller):
    path = "/v1/flywheels/{name:str}"
    opt = needs("read")

    @get("/insights", tags=["insights"], responses=failures(409) | SHOWS,
         summary="Where the champion errs more than elsewhere, and why it got worse")  # fmt: skip
    async def insights(
        self,
        wheel: NamedDependency[Wheel],
        figures: NamedDependency[Figures],
        why: FromQuery[bool] = False,
        since: Since = None,
    ) -> Insights:
        begin = _begin(since)
        return await figures.of(wheel, lambda ws, now: insights(ws, now, why=why, since=begin))

    @get("/quality", tags=["quality"], responses=failures(409) | SHOWS,
         summary="The watched metric by period, and how it was told")  # fmt: skip
    async def quality(self, wheel: NamedDependency[Wheel], figures: NamedDependency[Figures]) -> QualityTold:
        return await figures.of(wheel, told_quality)

    @get("/labels/coverage", tags=["labels"], responses=SHOWS,
         summary="How much of the truth is known by age, and how late it comes")  # fmt: skip
    async def coverage(self, wheel: NamedDependency[Wheel], figures: NamedDependency[Figures]) -> Coverage:
        return await figures.of(wheel, _coverage)


def _begin(since: str | None) -> datetime | None:
    try:
        return begin_of(since)
    except StateError as error:
        raise HttpError(400, error.message, where="since", hint=error.hint) from error


def _coverage(ws: Workspace, as_of: datetime) -> Coverage:
    found: dict[str, Any] = ws.examples(as_of).coverage()
    return msgspec.convert(found, Coverage)
