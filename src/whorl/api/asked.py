"""Routes about the truths that people are asked for: which rows, what a draw of holdout rows would take, and making one."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec
from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter

from whorl.api.auth import Caller, needs
from whorl.api.cycles import MAX_WORDS_BYTES, Name, Words
from whorl.api.failures import ACTS, SHOWS, failures
from whorl.api.figures import Figures
from whorl.api.pages import Limit, Page, no_place, page
from whorl.evaluate.holdout_plan import PlanFacts, plan
from whorl.examples.asked_list import Purpose
from whorl.flywheel import Flywheel
from whorl.records import Record
from whorl.serve.wheel import Wheel

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_LABELS = 1 << 53
Labels = Annotated[
    int | None,
    QueryParameter(ge=1, le=_MOST_LABELS, description="Labels to ask for; default: [evaluate] ask."),
]
Precision = Annotated[
    float | None,
    QueryParameter(description="As many labels as it takes for an interval of plus and minus so much."),
]


class AskedShown(Record, frozen=True, kw_only=True, omit_defaults=False):
    """A row that people were asked for; `label` is null while its truth waits, `prediction` unless `with_prediction`."""

    draw: str
    purpose: Purpose
    strategy: str
    asked_at: datetime
    id: str
    time: datetime
    inputs: dict[str, Any]
    prediction: Any
    label: Any
    label_received_at: datetime | None


class AskFor(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many labels, or how precise: one of the two, or neither for `[evaluate] ask`; `by` goes into the audit trail."""

    labels: Annotated[int, msgspec.Meta(ge=1, le=_MOST_LABELS)] | None = None
    precision: float | None = None
    by: Name = "api"


class AskedRoutes(Controller):
    path = "/v1/flywheels/{name:str}"
    request_max_body_size = MAX_WORDS_BYTES
    opt = needs("read")

    @get("/asked", tags=["asked"], responses=SHOWS,
         summary="Rows that people were asked for, the last draw first, with inputs and the truth that came")  # fmt: skip
    async def asked(
        self,
        wheel: NamedDependency[Wheel],
        figures: NamedDependency[Figures],
        limit: Limit = 50,
        before: FromQuery[str | None] = None,
        purpose: FromQuery[Purpose | None] = None,
        draw: FromQuery[str | None] = None,
        waiting: FromQuery[bool] = False,
        with_prediction: FromQuery[bool] = False,
    ) -> Page[AskedShown]:
        after = None if before is None else _place(before)
        rows = await figures.of(
            wheel,
            lambda ws, _: Flywheel(ws).asked(
                purpose=purpose, draw=draw, waiting=waiting, with_prediction=with_prediction, after=after, limit=limit + 1,
            ),
        )  # fmt: skip
        return page([msgspec.convert(row, AskedShown) for row in rows], limit, _key)

    @get("/holdout/plan", tags=["asked"], responses=failures(409) | SHOWS,
         summary="How many labels, of which holdout rows, a precision takes, and what they cost; nothing is asked for")  # fmt: skip
    async def plan(
        self,
        wheel: NamedDependency[Wheel],
        figures: NamedDependency[Figures],
        labels: Labels = None,
        precision: Precision = None,
    ) -> PlanFacts:
        return await figures.of(
            wheel, lambda ws, now: plan(ws, now, labels=labels, precision=precision).facts()
        )

    @post("/holdout/ask", status_code=200, opt=needs("operate"), tags=["asked"], responses=ACTS,
          summary="Draw holdout rows and keep that they were asked for")  # fmt: skip
    async def ask(
        self,
        wheel: NamedDependency[Wheel],
        figures: NamedDependency[Figures],
        caller: NamedDependency[Caller],
        data: Words[AskFor],
    ) -> PlanFacts:
        by = caller.signed(data.by)
        return await figures.of(
            wheel,
            lambda ws, _: (
                Flywheel(ws).ask_holdout(labels=data.labels, precision=data.precision, by=by).facts()
            ),
        )


def _key(row: AskedShown) -> str:
    return f"{(row.asked_at - _EPOCH) // timedelta(microseconds=1)}:{row.draw}:{row.id}"


def _place(before: str) -> tuple[datetime, str, str]:
    at, _, rest = before.partition(":")
    draw, _, last_id = rest.partition(":")
    if not (draw and last_id):
        raise no_place(before)
    try:
        return _EPOCH + timedelta(microseconds=int(at)), draw, last_id
    except (ValueError, OverflowError):
        raise no_place(before) from None
