"""Who may call what: every route of the application, with every key that is not enough for it.

A new route fails here until it says which scope it needs; until then only admin keys open it.
"""

from types import SimpleNamespace
from typing import Any, get_args

import pytest
from litestar.routes import HTTPRoute
from litestar.testing import TestClient

from whorl.api.app import make_app
from whorl.serve.service import Service
from whorl.storage.api_keys import Scope

OPEN = {"/healthz", "/readyz", "/schema", "/schema/openapi.json", "/schema/{path:str}"}
OTLP_PERMISSION_DENIED, OTLP_UNAUTHENTICATED = 7, 16
PARAMETERS = {"name": "fraud", "cycle_id": "fraud-0001", "version": "1"}


def _routes() -> list[tuple[str, str, Any]]:
    """(method, path, what it needs) of everything that is served, in an order that every process gives alike."""
    found = [
        (method, route.path, handler.opt)
        for route in make_app(SimpleNamespace(only=None)).routes  # type: ignore[arg-type]
        if isinstance(route, HTTPRoute)
        for method, (handler, _) in route.route_handler_map.items()
        if method != "OPTIONS"
    ]
    return sorted(found, key=lambda route: (route[1], route[0]))


ROUTES = _routes()
CLOSED = [route for route in ROUTES if route[1] not in OPEN]
IDS = [f"{method} {path}" for method, path, _ in CLOSED]


@pytest.fixture(scope="module")
def service(shared_service: Service) -> Service:
    return shared_service


def call(
    client: TestClient[Any], method: str, path: str, headers: dict[str, str], name: str = "fraud"
) -> Any:
    for parameter, value in {**PARAMETERS, "name": name}.items():
        path = path.replace(f"{{{parameter}:str}}", value)
    assert "{" not in path, f"This test knows no value for a parameter of {path}."
    headers = {"Content-Type": "application/json", **headers}
    return client.request(method, path, headers=headers, content=b"")


def said(answer: Any) -> dict[str, Any]:
    """What an error says: in our shape, or in that of OTLP."""
    body: dict[str, Any] = answer.json()
    return body.get("error", body)


def test_every_route_says_what_it_needs() -> None:
    assert len(CLOSED) > 15
    told = {*get_args(Scope), "open"}
    assert [f"{method} {path}" for method, path, opt in ROUTES if opt.get("scope") not in told] == []
    assert {path for _, path, opt in ROUTES if opt["scope"] == "open"} == OPEN


@pytest.mark.parametrize(("method", "path", "opt"), CLOSED, ids=IDS)
def test_no_key_and_no_good_key_get_the_same_answer(
    client: TestClient[Any], make_key, method: str, path: str, opt: dict[str, Any]
) -> None:
    _, good = make_key("admin", flywheel=None)
    presented = good["Authorization"]
    answers = [
        call(client, method, path, headers)
        for headers in (
            {},
            {"Authorization": ""},
            {"Authorization": "Bearer"},
            {"Authorization": f"Bearer whorl_{'0' * 12}_{'x' * 43}"},
            {"Authorization": presented[:-1] + ("A" if presented[-1] != "A" else "B")},
            {"Authorization": presented.replace("Bearer", "Basic")},
            {"X-Api-Key": presented.partition(" ")[2]},
        )
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1, "nothing tells a stranger which keys there are"
    assert answers[0].headers["www-authenticate"] == "Bearer"
    error = said(answers[0])
    assert error["code"] in ("key", OTLP_UNAUTHENTICATED)
    assert f"'{opt['scope']}'" in error["message"]


@pytest.mark.parametrize(("method", "path", "opt"), CLOSED, ids=IDS)
def test_a_key_does_what_its_scope_says_and_no_more(
    client: TestClient[Any], make_key, method: str, path: str, opt: dict[str, Any]
) -> None:
    needed = opt["scope"]
    keys = {scope: make_key(scope, flywheel=None)[1] for scope in get_args(Scope)}
    _, all_but_it = make_key(*(set(keys) - {needed, "admin"}), flywheel=None)
    for scope, headers in keys.items():
        answer = call(client, method, path, headers)
        let_in = scope in (needed, "admin")
        assert (answer.status_code not in (401, 403)) == let_in, (scope, answer.text)
        if not let_in:
            assert said(answer)["code"] in ("forbidden", OTLP_PERMISSION_DENIED)
            assert f"'{needed}'" in said(answer)["message"]
    assert call(client, method, path, all_but_it).status_code == 403


@pytest.mark.parametrize(("method", "path", "opt"), CLOSED, ids=IDS)
def test_a_key_of_one_flywheel_opens_no_other(
    client: TestClient[Any], make_key, method: str, path: str, opt: dict[str, Any]
) -> None:
    _, headers = make_key("admin", flywheel="fraud")
    if "{name:str}" in path:
        assert call(client, method, path, headers).status_code not in (401, 403)
        answers = [call(client, method, path, headers, name) for name in ("churn", "no-such-flywheel")]
        assert {answer.status_code for answer in answers} == {403}
        told = [answer.text.replace("no-such-flywheel", "churn") for answer in answers]
        assert told[0] == told[1], "nothing tells which other flywheels there are"
    elif opt["narrows"]:
        assert "churn" not in call(client, method, path, headers).text
    else:
        assert call(client, method, path, headers).status_code == 403


@pytest.mark.parametrize("path", ["/v1/traces", "/v1/logs"])
def test_a_key_of_one_flywheel_exports_to_no_other(
    client: TestClient[Any], make_key, service: Service, path: str
) -> None:
    _, headers = make_key("capture", flywheel="fraud")
    span = {
        "traceId": "0" * 31 + "1",
        "spanId": "0" * 15 + "1",
        "name": "s",
        "startTimeUnixNano": "1",
        "endTimeUnixNano": "2",
    }
    body = {
        "/v1/traces": {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]},
        "/v1/logs": {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"eventName": "gen_ai.choice"}]}]}]},
    }
    answer = client.post(path, json=body[path], headers={**headers, "X-Whorl-Flywheel": "churn"})
    assert answer.status_code in (400, 403, 404), answer.text
    assert service.wheel("churn").ws.inbox.depth("churn").rows == 0


@pytest.mark.parametrize("path", ["/v1/traces", "/v1/logs"])
def test_an_exporter_that_is_too_fast_is_told_so_in_the_way_it_understands(
    client: TestClient[Any], make_key, path: str
) -> None:
    _, headers = make_key("capture", rate_per_s=0.1)
    assert client.post(path, json={}, headers=headers).status_code == 200
    answer = client.post(path, json={}, headers=headers)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")


def test_health_and_the_description_stay_open(client: TestClient[Any], make_key) -> None:
    make_key("admin", flywheel=None)
    for path in OPEN - {"/readyz", "/schema/{path:str}"}:
        assert client.get(path).status_code == 200, path
    assert client.get("/readyz").status_code == 503, "the tasks do not run here"
