"""The HTTP application over a Service: routes, the one error shape, and OpenAPI 3.1 as JSON at /schema.

No page here loads scripts from anywhere: the description is JSON only.
"""

from importlib.metadata import version
from typing import Any

from litestar import Controller, Litestar, Response, Router
from litestar.di import Provide
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.params import FromPath

from whorl.api.asked import AskedRoutes
from whorl.api.auth import Gate, needs, the_caller
from whorl.api.capture import CaptureRoutes, Door
from whorl.api.cycles import CycleRoutes
from whorl.api.failures import HANDLERS, no_route
from whorl.api.figures import FigureRoutes, Figures
from whorl.api.flywheels import FlywheelRoutes, HealthRoutes
from whorl.api.found import FoundRoutes
from whorl.api.metrics import MetricsRoutes, Timed
from whorl.api.models import ModelRoutes
from whorl.api.otlp import OtlpRoutes
from whorl.api.predict import PredictRoutes
from whorl.api.queries import known_parameters
from whorl.api.unpacked import MAX_BODY_BYTES
from whorl.serve.service import Only, Service
from whorl.serve.wheel import Wheel

# What a process answers, by the part of the work that it does.
ROUTES: dict[Only | None, list[type[Controller]]] = {
    None: [HealthRoutes, MetricsRoutes, CaptureRoutes, OtlpRoutes, PredictRoutes],
    "capture": [HealthRoutes, MetricsRoutes, CaptureRoutes, OtlpRoutes],
    "flush": [HealthRoutes, MetricsRoutes],
}  # fmt: skip
# What a whole server shows and is told to do besides: a parameter that these do not know is refused.
_QUESTIONS: list[type[Controller]] = [
    FlywheelRoutes,
    CycleRoutes,
    ModelRoutes,
    FoundRoutes,
    FigureRoutes,
    AskedRoutes,
]
_KEY = "A key from `whorl key create`, with the scope that the route needs."


def _in_our_shape(response: Response[Any]) -> Response[Any]:
    """The framework answers unknown paths below /schema with a page of its own."""
    return no_route("/schema") if response.status_code == 404 else response


def make_app(service: Service) -> Litestar:
    """The application; it starts and stops nothing of the service."""

    def the_service() -> Service:
        return service

    def the_wheel(name: FromPath[str]) -> Wheel:
        return service.wheel(name)

    gate, figures = Gate(service), Figures()

    def the_figures() -> Figures:
        return figures

    handlers = _QUESTIONS if service.only is None else []
    questions = Router("/", route_handlers=handlers, guards=[known_parameters])
    return Litestar(
        route_handlers=[*ROUTES[service.only], questions],
        dependencies={
            "service": Provide(the_service, sync_to_thread=False),
            "wheel": Provide(the_wheel, sync_to_thread=False),
            "figures": Provide(the_figures, sync_to_thread=False),
            "caller": Provide(the_caller, sync_to_thread=False),
        },
        exception_handlers=HANDLERS,
        middleware=[Timed(service), Door(service, gate)],
        guards=[gate.guard],
        request_max_body_size=MAX_BODY_BYTES,
        openapi_config=OpenAPIConfig(
            title="Whorl",
            version=version("whorl"),
            description="A data flywheel: log what your model said, log the truth, let it learn.",
            openapi_router=Router(
                "/schema",
                route_handlers=[],
                include_in_schema=False,
                after_request=_in_our_shape,
                opt=needs("open"),
            ),
            render_plugins=[JsonRenderPlugin(path=["/", "/openapi.json"])],
            components=Components(
                security_schemes={"key": SecurityScheme(type="http", scheme="bearer", description=_KEY)}
            ),
            # A server without keys asks for none.
            security=[{"key": []}, {}],
        ),
        logging_config=None,
    )  # fmt: skip
