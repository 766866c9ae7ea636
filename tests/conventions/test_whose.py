"""Which flywheel telemetry is for: said by the header, the resource, the service's name, or by there being only one."""

from typing import Any

import pytest

from whorl.capture.conventions.whose import whose
from whorl.errors import RecordError

TWO = ["support", "search"]


@pytest.mark.parametrize(
    ("names", "header", "resource", "found"),
    [
        (TWO, "search", {"whorl.flywheel": "support", "service.name": "support"}, "search"),
        (TWO, None, {"whorl.flywheel": "support", "service.name": "search"}, "support"),
        (TWO, None, {"service.name": "search"}, "search"),
        (["support"], None, {"service.name": "unknown_service:python"}, "support"),
        (["support"], None, {}, "support"),
    ],
)
def test_the_first_that_says_so(
    names: list[str], header: str | None, resource: dict[str, Any], found: str
) -> None:
    assert whose(names, header, resource) == found


@pytest.mark.parametrize(
    ("names", "header", "resource", "said"),
    [
        (TWO, None, {"service.name": "shop"}, "OTEL_EXPORTER_OTLP_HEADERS"),
        (TWO, "serch", {"service.name": "search"}, "Did you mean 'search'?"),
        (["support"], None, {"whorl.flywheel": "search"}, "Known: support"),
        ([], None, {}, "the flywheels are none"),
        (TWO, None, {"service.name": ["search"]}, "OTEL_RESOURCE_ATTRIBUTES"),
    ],
)
def test_what_cannot_be_told_is_refused_with_what_to_do(
    names: list[str], header: str | None, resource: dict[str, Any], said: str
) -> None:
    with pytest.raises(RecordError, match=said.replace("?", r"\?")):
        whose(names, header, resource)
