"""Routes about the flywheels themselves, and about this process."""

import logging

import sqlalchemy as sa
from litestar import Controller, get
from litestar.di import NamedDependency

from whorl.api.auth import Caller, needs
from whorl.api.failures import GATED, SHOWS, failures
from whorl.errors import StorageError
from whorl.monitor.overview import Overview, overview
from whorl.serve.service import Service
from whorl.serve.wheel import Wheel

log = logging.getLogger("whorl.api")


class FlywheelRoutes(Controller):
    path = "/v1/flywheels"
    tags = ("flywheels",)
    opt = needs("read", narrows=True)

    @get("/", sync_to_thread=True, summary="What turns, what is stuck, who is needed: every flywheel",
         responses=GATED)  # fmt: skip
    def every(self, service: NamedDependency[Service], caller: NamedDependency[Caller]) -> list[Overview]:
        return [
            overview(service.root, service.ledger, name) for name in service.wheels if caller.may_see(name)
        ]

    @get("/{name:str}", sync_to_thread=True, summary="The same for one flywheel", responses=SHOWS)
    def one(self, wheel: NamedDependency[Wheel]) -> Overview:
        return overview(wheel.ws.root, wheel.ws.ledger, wheel.name)


class HealthRoutes(Controller):
    tags = ("process",)
    opt = needs("open")

    @get("/healthz", sync_to_thread=False, summary="The process answers")
    def alive(self) -> dict[str, str]:
        return {"status": "alive"}

    @get(
        "/readyz",
        sync_to_thread=True,
        summary="The ledger answers and the tasks run",
        responses=failures(503),
    )
    def ready(self, service: NamedDependency[Service]) -> dict[str, str]:
        try:
            with service.ledger.read() as conn:
                conn.execute(sa.select(1))
        except StorageError as error:
            # Strangers may ask; where the ledger is, they need not know.
            log.error("Not ready: %s", error)
            raise StorageError("The ledger does not answer.", hint="Look at the server's log.") from error
        if not service.ready:
            raise StorageError(
                "The background tasks do not run.", hint="Look at the server's log; restart it."
            )
        return {"status": "ready"}
