"""What /schema publishes, held against what the server answers: every operation, by schemathesis, the same cases in every run."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
import schemathesis
from hypothesis import strategies as st
from litestar import Litestar, get
from litestar.testing import TestClient
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from schemathesis.python.asgi import shutdown_lifespans

from whorl.api.app import make_app
from whorl.serve.service import Service

# Names that there are; the other requests name something else.
THERE = {"name": ["shop"], "cycle_id": ["shop-0001", "shop-0002"], "version": ["1", "2"]}
ROW = {"id": "good", "order": "good", "amount": 1.0, "time": "2026-01-20T00:00:00Z"}
GOOD: dict[str, dict[str, Any]] = {
    "predictions": ROW,
    "predict": ROW,
    "labels": {"order": "good", "label": True},
    "feedback": {"prediction_id": "good", "name": "thumbs", "value": 1},
}
# What can be wrong with a request that is as it is described: with records, 422, as [schema] says what they are.
NOT_TOLD: dict[str, list[str]] = {
    "/readyz": ["503"],
    "/v1/flywheels/{name}/asked": ["400"],
    "/v1/flywheels/{name}/cases": ["400"],
    "/v1/flywheels/{name}/datasets": ["400"],
    "/v1/flywheels/{name}/insights": ["400"],
    "/v1/traces": ["400"],
    "/v1/logs": ["400"],
}
ACCEPTED = ["2xx", "404", "409", "422"]
CHECKS: dict[str, Any] = {
    "not_a_server_error": {"expected-statuses": ["2xx", "4xx", "503"]},
    "positive_data_acceptance": {"expected-statuses": ACCEPTED},
    # OPTIONS is the framework's own: on a path of two methods it names the first.
    "allow_header_conformance": {"enabled": False},
}


class Found(NamedTuple):
    """What a run came to: complaints, and the statuses of each operation's answers."""

    complaints: list[str]
    statuses: dict[str, set[int]]


@pytest.fixture
def run() -> Iterator[Callable[..., Found]]:
    def against(app: Litestar, phase: str, *, there: float) -> Found:
        return _run(app, phase, there)

    yield against
    shutdown_lifespans()


@pytest.mark.filterwarnings("ignore:Generating overly large repr")
@pytest.mark.parametrize(("phase", "there"), [("coverage", 1.0), ("fuzzing", 0.8)])
def test_every_operation_answers_as_it_is_published(
    service: Service, run: Callable[..., Found], phase: str, there: float
) -> None:
    found = run(make_app(service), phase, there=there)
    assert not found.complaints, "\n\n".join(found.complaints)
    assert len(found.statuses) >= 25
    if phase == "fuzzing":
        refused = {name for name, codes in found.statuses.items() if not codes & {200, 202}}
        assert refused <= NEVER, "these were never answered with a success, so little was looked at"


# Nothing waits for a model; there is no champion before the first; a cycle waits; the tasks do not run here; no prediction has a score,
# so there is no holdout row to ask about.
NEVER = {
    "POST /v1/flywheels/{name}/cycles/{cycle_id}/submit",
    "POST /v1/flywheels/{name}/models/rollback",
    "POST /v1/flywheels/{name}/cycles",
    "POST /v1/flywheels/{name}/cycles/{cycle_id}/approve",
    "POST /v1/flywheels/{name}/cycles/{cycle_id}/reject",
    "GET /readyz",
    "GET /v1/flywheels/{name}/holdout/plan",
    "POST /v1/flywheels/{name}/holdout/ask",
}


@pytest.mark.parametrize("route", ["cycles", "findings", "models", "labels/unmatched", "labels/ambiguous"])
@pytest.mark.parametrize("before", [-1, 1 << 62, 1 << 63, 1 << 70])
def test_a_place_that_no_database_can_count_to(service: Service, route: str, before: int) -> None:
    with TestClient(make_app(service), base_url="http://127.0.0.1") as client:
        answer = client.get(f"/v1/flywheels/shop/{route}", params={"before": before})
    assert (answer.status_code, answer.json()["error"]["where"]) == (400, "before")


@get("/wrong", sync_to_thread=False)
def wrong() -> dict[str, int]:
    return {"number": "seven"}  # type: ignore[dict-item]


@get("/breaks", sync_to_thread=False)
def breaks() -> dict[str, int]:
    raise ValueError("a defect")


def test_an_app_that_does_not_do_what_it_publishes_is_found(run: Callable[..., Found]) -> None:
    said = "\n".join(run(Litestar([wrong, breaks], logging_config=None), "fuzzing", there=0.8).complaints)
    assert "GET /wrong: response_schema_conformance" in said
    assert "GET /breaks: not_a_server_error" in said


def _run(app: Litestar, phase: str, there: float) -> Found:
    described = schemathesis.openapi.from_asgi(
        "/schema/openapi.json", app, config=_config(phase, there), headers={"Host": "127.0.0.1"}
    )

    @described.hook
    def flatmap_body(context: Any, body: Any) -> st.SearchStrategy[Any]:
        good = GOOD.get(context.operation.path.rpartition("/")[2])
        # What is no object was made to be refused.
        return st.sampled_from([good, body]) if good and isinstance(body, dict) else st.just(body)

    complaints: dict[str, str] = {}
    statuses: dict[str, set[int]] = {}
    for event in from_schema(described).execute():
        if isinstance(event, (events.NonFatalError, events.FatalError)):
            complaints[str(event)] = str(event)
        elif isinstance(event, events.ScenarioFinished):
            answers = [one.response for one in event.recorder.interactions.values()]
            statuses.setdefault(event.recorder.label, set()).update(a.status_code for a in answers if a)
            for check in (check for checks in event.recorder.checks.values() for check in checks):
                if (failed := check.failure_info) is not None:
                    # One of a kind is enough.
                    name = f"{event.recorder.label}: {check.name}"
                    complaints.setdefault(name, f"{name}: {failed.failure.message}\n{failed.code_sample}")
    return Found(list(complaints.values()), statuses)


def _config(phase: str, there: float) -> SchemathesisConfig:
    others = {"examples", "coverage", "fuzzing", "stateful"} - {phase}
    return SchemathesisConfig.from_dict(
        {
            "seed": 1,
            "base-url": "http://127.0.0.1",
            "continue-on-failure": True,
            # A busy machine is slow: that says nothing about what is tested.
            "request-timeout": 300,
            "generation": {"deterministic": True, "max-examples": 25, "database": "none"},
            "phases": {other: {"enabled": False} for other in others},
            "checks": CHECKS,
            "dictionaries": {name: {"values": values} for name, values in THERE.items()},
            "parameters": {
                f"path.{name}": values[-1] if there == 1 else {"dictionary": name, "probability": there}
                for name, values in THERE.items()
            },
            "operations": [
                {
                    "include-path": path,
                    "checks": {"positive_data_acceptance": {"expected-statuses": [*ACCEPTED, *more]}},
                }
                for path, more in NOT_TOLD.items()
            ],
        }
    )
