"""Whatever is asked, an answer that is not a success has the one error shape."""

from typing import Any

import httpx
import pytest

GARBAGE = [b"", b"{", b"[]", b'{"by": 7}', b"\x00\xff", b'{"unknown": 1}']


def must_be_in_shape(answer: httpx.Response) -> None:
    assert answer.headers["content-type"].startswith("application/json"), (answer.request.url, answer.text)
    if answer.request.url.path in ("/v1/traces", "/v1/logs") and answer.status_code != 405:
        # OpenTelemetry's exporters expect OTLP's own.
        assert set(answer.json()) == {"code", "message"}
        assert answer.status_code < 500, answer.text
        return
    error: dict[str, Any] = answer.json()["error"]
    assert set(error) == {"code", "message", "where", "hint"}
    assert error["message"]
    assert error["code"] != "internal", answer.text
    assert answer.status_code < 500 or answer.status_code == 503, answer.text


def routes(http: httpx.Client) -> list[tuple[str, str, str]]:
    paths = http.get("/schema").json()["paths"]
    return [
        (path, method, operation["operationId"])
        for path, item in paths.items()
        for method, operation in item.items()
    ]


def test_every_route_with_garbage(http: httpx.Client) -> None:
    known = routes(http)
    assert len(known) >= 19
    for path, method, _ in known:
        for name in ("fraud", "nobody", "%00", "a'b\"c", "x" * 300):
            url = path.replace("{name}", name).replace("{cycle_id}", "no-such").replace("{version}", "9999")
            for query in ("", "?limit=many&before=%00", "?limit=0", "?before=-1"):
                for body in GARBAGE if method == "post" else GARBAGE[:1]:
                    headers = {"content-type": "application/json"}
                    # Starting a cycle takes no body, so garbage would start one.
                    if path.endswith("/cycles") and method == "post" and name == "fraud":
                        continue
                    answer = http.request(method, url + query, content=body, headers=headers)
                    if not answer.is_success:
                        must_be_in_shape(answer)


def test_every_route_with_a_method_it_has_not(http: httpx.Client) -> None:
    known = routes(http)
    for path, _, _ in known:
        taken = {method.upper() for other, method, _ in known if other == path}
        for method in ("PUT", "PATCH", "DELETE", "TRACE"):
            answer = http.request(method, path.replace("{name}", "fraud"))
            assert answer.status_code == 405, (method, path)
            assert set(answer.headers["allow"].split(", ")) - {"HEAD", "OPTIONS"} == taken, path
            must_be_in_shape(answer)


@pytest.mark.parametrize(
    "path", ["/nope", "/v1", "/v1/flywheels/fraud/nope", "/schema/swagger", "/schema/x/y", "/..%2f"]
)
def test_no_such_route(http: httpx.Client, path: str) -> None:
    answer = http.get(path)
    assert answer.status_code == 404
    must_be_in_shape(answer)


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"host": "evil.example"},
        {"host": "[broken"},
        {"host": "127.0.0.1.evil.example:80"},
    ],
)
def test_a_strange_page_in_a_browser_is_refused(http: httpx.Client, headers: dict[str, str]) -> None:
    answer = http.post("/v1/flywheels/fraud/cycles", headers=headers)
    if answer.headers.get("content-length") == "0":
        assert answer.status_code == 400, "refused by the HTTP parser itself"
        return
    assert answer.status_code == 403
    must_be_in_shape(answer)


def test_the_schema_is_json_and_loads_nothing_from_elsewhere(http: httpx.Client) -> None:
    answer = http.get("/schema")
    assert answer.json()["openapi"].startswith("3.1")
    assert "json" in answer.headers["content-type"]
    assert "cdn" not in answer.text
    failure = answer.json()["components"]["schemas"]["Failure"]
    assert list(failure["properties"]) == ["error"]
