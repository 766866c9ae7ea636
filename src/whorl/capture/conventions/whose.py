"""Which flywheel a resource's telemetry is for: as the header says, the resource, its service's name, or the only one there is."""

from collections.abc import Sequence
from typing import Any

from whorl.errors import RecordError, did_you_mean

HEADER, ATTRIBUTE, SERVICE = "x-whorl-flywheel", "whorl.flywheel", "service.name"


def whose(names: Sequence[str], header: str | None, resource: dict[str, Any]) -> str:
    """The name of the flywheel.

    Args:
        names: Those there are.

    Raises:
        RecordError: There is none of the name that was said, or it cannot be told which is meant.

    >>> whose(["support", "search"], None, {"service.name": "search"}), whose(["support"], None, {})
    ('search', 'support')
    """
    for said, where in ((header, HEADER), (resource.get(ATTRIBUTE), ATTRIBUTE)):
        if said:
            if said in names:
                return str(said)
            raise RecordError(
                f"There is no flywheel {said!r} here.", where=where, hint=did_you_mean(str(said), list(names))
            )
    service = resource.get(SERVICE)
    if service in names:
        return str(service)
    if len(names) == 1:
        return names[0]
    known = ", ".join(names) or "none"
    raise RecordError(
        f"It does not say which flywheel it is for: the service is {service!r}, the flywheels are {known}.",
        where=ATTRIBUTE,
        hint=f'Set OTEL_EXPORTER_OTLP_HEADERS="{HEADER}=NAME" or OTEL_RESOURCE_ATTRIBUTES="{ATTRIBUTE}=NAME".',
    )
