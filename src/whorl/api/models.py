"""Routes about model versions. Moving the champion is one ledger transaction: what serves follows within a second."""

from typing import Literal

from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from whorl.api.auth import Caller, needs
from whorl.api.cycles import MAX_WORDS_BYTES, Decided, Words
from whorl.api.failures import ACTS, SHOWS
from whorl.api.pages import Before, Limit, Page, page
from whorl.records import ModelVersion, Record, Release
from whorl.release.release import promote, rollback
from whorl.serve.wheel import Wheel


class ModelShown(Record, frozen=True, kw_only=True, omit_defaults=False):
    """A version, what it is now, and whether it answers in this process."""

    model: ModelVersion
    alias: Literal["champion", "challenger"] | None
    answers_here: bool


class ModelRoutes(Controller):
    path = "/v1/flywheels/{name:str}/models"
    tags = ("models",)
    request_max_body_size = MAX_WORDS_BYTES
    opt = needs("read")

    @get("/", sync_to_thread=True, summary="Model versions, newest first", responses=SHOWS)
    def listed(
        self, wheel: NamedDependency[Wheel], limit: Limit = 50, before: Before = None
    ) -> Page[ModelShown]:
        registry, loaded = wheel.ws.registry, wheel.champion.loaded
        champion, challenger = registry.champion(), registry.challenger()
        found = [v for v in reversed(registry.versions()) if before is None or v.version < before]
        shown = [
            ModelShown(
                model=version,
                alias="champion" if version == champion else "challenger" if version == challenger else None,
                answers_here=version.id == loaded,
            )
            for version in found[: limit + 1]
        ]
        return page(shown, limit, lambda s: s.model.version)

    @post("/{version:str}/promote", status_code=200, sync_to_thread=True, opt=needs("operate"),
          summary="Make a version champion, whatever the gates said", responses=ACTS)  # fmt: skip
    def promote(
        self,
        wheel: NamedDependency[Wheel],
        caller: NamedDependency[Caller],
        version: FromPath[str],
        data: Words[Decided],
    ) -> Release:
        return promote(wheel.ws, version, by=caller.signed(data.by), reason=data.reason)

    @post("/rollback", status_code=200, sync_to_thread=True, opt=needs("operate"),
          summary="Bring back the champion before this one", responses=ACTS)  # fmt: skip
    def rollback(
        self, wheel: NamedDependency[Wheel], caller: NamedDependency[Caller], data: Words[Decided]
    ) -> Release:
        return rollback(wheel.ws, by=caller.signed(data.by), reason=data.reason)
