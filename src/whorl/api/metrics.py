"""`/metrics`: what the meter has counted and what the ledger says now, in Prometheus' text format 0.0.4.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from collections.abc import Iterable
from datetime import datetime
from importlib.metadata import version
from time import perf_counter
from typing import cast

from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from whorl.api.auth import Caller, needs
from whorl.api.failures import GATED
from whorl.monitor.overview import Overview, overview
from whorl.serve.meter import Family, Meter, Sample
from whorl.serve.service import Service
from whorl.storage.inbox import depth_of
from whorl.storage.outbox import failing
from whorl.storage.unreadable import listed

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class MetricsRoutes(Controller):
    tags = ("process",)

    @get(
        "/metrics", sync_to_thread=True, opt=needs("read", narrows=True), summary="Figures for Prometheus",
        media_type="text/plain", responses=GATED,
    )  # fmt: skip
    def metrics(self, service: NamedDependency[Service], caller: NamedDependency[Caller]) -> Response[str]:
        names = [name for name in service.wheels if caller.may_see(name)]
        families = [
            Family("whorl_build_info", "gauge", "The version that runs.", [Sample("", {"version": version("whorl")}, 1)]),
            Family("whorl_ready", "gauge", "1 when the background tasks run and the workspace is ours.",
                   [Sample("", {}, service.ready)]),
            *_of_ledger(service, names),
            *service.meter.families(caller.flywheel),
        ]  # fmt: skip
        return Response(exposition(families), headers={"Content-Type": MEDIA_TYPE})


class Timed(ASGIMiddleware):
    """Tells the meter how long each answer took, the guard and its refusals included."""

    scopes = (ScopeType.HTTP,)

    def __init__(self, service: Service) -> None:
        self._service = service

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        began, status = perf_counter(), 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await next_app(scope, receive, watched)
        finally:
            meter: Meter = self._service.meter
            meter.answered(
                cast(HTTPScope, scope)["method"], scope["path_template"], status, perf_counter() - began
            )


def exposition(families: Iterable[Family]) -> str:
    """Families as Prometheus reads them; those without samples are left out.

    >>> print(exposition([Family("up", "gauge", "It runs.", [Sample("", {"at": 'a "b"'}, 1)])]), end="")
    # HELP up It runs.
    # TYPE up gauge
    up{at="a \\"b\\""} 1
    """
    return "".join(f"{line}\n" for family in families if family.samples for line in _lines(family))


def _lines(family: Family) -> Iterable[str]:
    told = family.help.replace("\\", r"\\").replace("\n", r"\n")
    yield f"# HELP {family.name} {told}"
    yield f"# TYPE {family.name} {family.type}"
    for sample in family.samples:
        labels = ",".join(f'{name}="{_escaped(value)}"' for name, value in sample.labels.items())
        yield f"{family.name}{sample.suffix}{f'{{{labels}}}' if labels else ''} {_number(sample.value)}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))


def _of_ledger(service: Service, names: list[str]) -> list[Family]:
    """What is measured when it is asked for, of these flywheels."""
    now, ledger = service.clock.now(), service.ledger
    depths = {name: depth_of(ledger, name) for name in names}
    seen = {name: overview(service.root, ledger, name, findings=0) for name in names}

    def gauge(name: str, help: str, values: dict[str, float]) -> Family:
        samples = [Sample("", {"flywheel": flywheel}, value) for flywheel, value in values.items()]
        return Family(name, "gauge", help, samples)

    return [
        gauge("whorl_inbox_records", "Accepted records that wait for the lake.", {n: d.rows for n, d in depths.items()}),
        gauge("whorl_inbox_bytes", "Their size.", {n: d.bytes for n, d in depths.items()}),
        gauge(
            "whorl_inbox_oldest_seconds", "Since when the oldest of them waits; 0 when none does.",
            {n: _age_s(d.oldest, now) for n, d in depths.items()},
        ),
        gauge("whorl_unreadable_records", "Accepted records that could not be read, and are set aside.",
              {n: sum(one.rows for one in listed(ledger, n)) for n in names}),
        gauge("whorl_outbox_failing", "Messages that could not be delivered so far.",
              {n: len(failing(ledger, n)) for n in names}),
        Family("whorl_cycle_info", "gauge", "The last cycle and its state.",
               [_info(n, cycle=o.cycle, state=o.cycle_state) for n, o in seen.items() if o.cycle]),
        gauge("whorl_needs_somebody", "Things that wait for a person.", {n: len(o.needs) for n, o in seen.items()}),
        Family("whorl_champion_info", "gauge", "The version that the ledger's pointer names, and whether it answers here.",
               [_info(n, model_version=o.champion, answers_here=_answers(service, n, o)) for n, o in seen.items() if o.champion]),
    ]  # fmt: skip


def _age_s(oldest: datetime | None, now: datetime) -> float:
    return 0.0 if oldest is None else max(0.0, (now - oldest).total_seconds())


def _answers(service: Service, name: str, seen: Overview) -> str:
    return "true" if service.wheel(name).champion.loaded == seen.champion else "false"


def _info(name: str, **labels: str | None) -> Sample:
    return Sample("", {"flywheel": name, **{label: value or "" for label, value in labels.items()}}, 1)
