"""Routes about cycles: list, look, start, answer. Whoever runs cycles goes on from what is written here."""

from typing import Annotated, Literal, TypeVar

import msgspec
from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import Body, FromPath

from whorl.api.auth import Caller, needs
from whorl.api.failures import ACTS, SHOWS
from whorl.api.pages import Before, Limit, Page, page
from whorl.cycle import start
from whorl.records import Record
from whorl.serve.wheel import Wheel
from whorl.storage import cycles
from whorl.storage.cycles import Cycle, Submission, Submitted
from whorl.storage.journal import Step

T = TypeVar("T")
# Such a body is a few words; what else is in it is refused, and so it is described.
MAX_WORDS_BYTES = 1 << 20
Words = Annotated[T, Body(schema_extra={"additionalProperties": False})]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class Decided(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who decides, and why; both go into the audit trail."""

    by: Name
    reason: str = ""


class HandedIn(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a cycle waits for: where the model or its scores are, or the version that serves now."""

    kind: Submitted
    uri: Annotated[str, msgspec.Meta(max_length=4096)]
    by: Name = "api"


class CycleShown(Record, frozen=True, kw_only=True, omit_defaults=False):
    """A cycle with what its steps gave and what was handed in for it."""

    cycle: Cycle
    steps: list[Step]
    submissions: list[Submission]


class CycleRoutes(Controller):
    path = "/v1/flywheels/{name:str}/cycles"
    tags = ("cycles",)
    request_max_body_size = MAX_WORDS_BYTES
    opt = needs("read")

    @get("/", sync_to_thread=True, summary="Cycles, newest first", responses=SHOWS)
    def listed(self, wheel: NamedDependency[Wheel], limit: Limit = 50, before: Before = None) -> Page[Cycle]:
        found = cycles.listed(wheel.ws.ledger, wheel.name, limit=limit + 1, before=before)
        return page(found, limit, lambda cycle: cycle.number)

    @get("/{cycle_id:str}", sync_to_thread=True, summary="One cycle with its steps", responses=SHOWS)
    def shown(self, wheel: NamedDependency[Wheel], cycle_id: FromPath[str]) -> CycleShown:
        ledger = wheel.ws.ledger
        return CycleShown(
            cycle=cycles.get(ledger, wheel.name, cycle_id),
            steps=wheel.ws.journal.done(cycle_id),
            submissions=cycles.submissions_for(ledger, wheel.name, cycle_id),
        )

    @post("/", status_code=202, sync_to_thread=True, opt=needs("operate"),
          summary="Start a cycle", responses=ACTS)  # fmt: skip
    def start(self, wheel: NamedDependency[Wheel]) -> Cycle:
        begun = start(wheel.ws, "manual", wheel.tell)
        return cycles.get(wheel.ws.ledger, wheel.name, begun)

    @post("/{cycle_id:str}/approve", status_code=202, sync_to_thread=True, opt=needs("operate"),
          summary="Say yes to what a cycle waits to do", responses=ACTS)  # fmt: skip
    def approve(
        self,
        wheel: NamedDependency[Wheel],
        caller: NamedDependency[Caller],
        cycle_id: FromPath[str],
        data: Words[Decided],
    ) -> Cycle:
        return _decide(wheel, cycle_id, "approve", caller.signed(data.by), data.reason)

    @post("/{cycle_id:str}/reject", status_code=202, sync_to_thread=True, opt=needs("operate"),
          summary="Say no: the cycle ends", responses=ACTS)  # fmt: skip
    def reject(
        self,
        wheel: NamedDependency[Wheel],
        caller: NamedDependency[Caller],
        cycle_id: FromPath[str],
        data: Words[Decided],
    ) -> Cycle:
        return _decide(wheel, cycle_id, "reject", caller.signed(data.by), data.reason)

    @post("/{cycle_id:str}/submit", status_code=202, sync_to_thread=True, opt=needs("operate"),
          summary="Hand in a model, its scores, or the confirmation of a release", responses=ACTS)  # fmt: skip
    def submit(
        self,
        wheel: NamedDependency[Wheel],
        caller: NamedDependency[Caller],
        cycle_id: FromPath[str],
        data: Words[HandedIn],
    ) -> Cycle:
        cycles.submit(wheel.ws.ledger, wheel.name, cycle_id, data.kind, data.uri, caller.signed(data.by))
        return cycles.get(wheel.ws.ledger, wheel.name, cycle_id)


def _decide(
    wheel: Wheel, cycle_id: str, decision: Literal["approve", "reject"], by: str, reason: str
) -> Cycle:
    cycles.decide(wheel.ws.ledger, wheel.name, cycle_id, decision, by, reason)
    return cycles.get(wheel.ws.ledger, wheel.name, cycle_id)
