"""What spans and log records become: raw records by kind, each with the places in the request that it came from."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from whorl.capture.conventions.aliases import VERSION, Attributes
from whorl.capture.conventions.messages import Said, decoded, messages_of, output_of, take_messages
from whorl.capture.mapping import Kind
from whorl.capture.scrub.scrubber import Scrubber
from whorl.records import Feedback, Prediction, Span
from whorl.spec import Spec

Raw = dict[str, Any]
# Names of native records: attributes that are called so must not be taken for them.
_RECORDS = (Prediction, Feedback, Span)
_RECORD_FIELDS = frozenset(name for record in _RECORDS for name in record.__struct_fields__) | {
    "label", "label_time", "label_source", "span_id"
}  # fmt: skip


@dataclass
class Telemetry:
    """Raw records of one flywheel, in the order in which they are to be accepted."""

    raws: dict[Kind, list[Raw]] = field(default_factory=dict)
    places: dict[Kind, list[tuple[int, ...]]] = field(default_factory=dict)

    def add(self, kind: Kind, raw: Raw, *places: int) -> None:
        """Keep a record that was made of what stood at these places of the request."""
        self.raws.setdefault(kind, []).append(raw)
        self.places.setdefault(kind, []).append(places)


class Declared:
    """What a spec looks for by path, found among attributes of that name, and what it wants done to attributes by name."""

    def __init__(self, spec: Spec, scrubber: Scrubber | None) -> None:
        self._features = {name: one.path for name, one in spec.features.items() if one.path}
        self._keys, self._protected = dict(spec.schema.keys), dict(spec.protected)
        self._single = {"group": spec.schema.group, "session": spec.schema.session}
        self._door = scrubber
        self._consent = spec.capture.consent

    def attributes(self, values: dict[str, Any]) -> Attributes:
        """Attributes to be read."""
        return Attributes(values, self._door)

    def consent(self, values: dict[str, Any]) -> Raw:
        """What a span says of consent, for a record that takes nothing else from its attributes."""
        return {key: value for key, value in values.items() if key == self._consent}

    def of(self, known: dict[str, Any]) -> Raw:
        """The fields that have something in them."""
        found: Raw = {
            "features": _named(self._features, known),
            "keys": _named(self._keys, known),
            "protected": _named(self._protected, known),
            **{name: known.get(path) for name, path in self._single.items() if path},
        }
        return {name: value for name, value in found.items() if value not in (None, {})}


def call_record(values: dict[str, Any], resource: dict[str, Any], declared: Declared, span_name: str) -> Raw:
    """A model call, without its id where the conventions have none, and without its time.

    Args:
        values: Attributes of the span or log record; those of its resource are only looked at for what the spec declares.
    """
    attributes = declared.attributes(values)
    asked, answered = take_messages(attributes)
    raw_in, raw_out = decoded(attributes.take("raw_input")), decoded(attributes.take("raw_output"))
    wire_id, asked, answered = _over_the_wire(raw_in, raw_out, asked, answered)
    if not asked:
        attributes.leave("raw_input")
    if not answered:
        attributes.leave("raw_output")
    conversation, user = attributes.take("conversation"), attributes.take("user")
    request_model = attributes.take("request_model")
    raw: Raw = {
        "id": attributes.take("response_id") or wire_id,
        "messages": asked,
        "output": output_of(answered),
        "model_version": attributes.take("response_model") or request_model,
        "input_tokens": attributes.take("input_tokens"),
        "output_tokens": attributes.take("output_tokens"),
        "cost_usd": attributes.take("cost"),
        "session": conversation,
        # Whose calls these are must not straddle the holdout; without a user, one conversation must not.
        "group": user or conversation,
        **declared.of({**resource, **values}),
    }
    ours = {
        "conventions": VERSION,
        "span": span_name,
        "request_model": request_model,
        "service": attributes.take("service") or service_of(resource, declared),
        **{
            name: attributes.take(name) for name in ("operation", "provider", "finish_reasons", "agent")
        },
    }  # fmt: skip
    return beside(raw, attributes.rest(), ours)


def beside(raw: Raw, rest: dict[str, Any], ours: dict[str, Any]) -> Raw:
    """A raw record with all that has no field of its own.

    Attributes lie at the top, under their own names, so that what [capture] scrubs by name is found; those with the
    name of a field, and what is ours, lie in `extra`.
    """
    named = {key: value for key, value in rest.items() if not _means_a_field(key)}
    other = {key: value for key, value in rest.items() if key not in named}
    extra = {key: value for key, value in {**other, **ours}.items() if value is not None}
    filled = {key: value for key, value in raw.items() if value is not None and value != []}
    return {**named, **filled, "extra": extra}


def service_of(resource: dict[str, Any], declared: Declared) -> Any:
    """Who speaks."""
    return declared.attributes(resource).take("service")


def at(trace_id: str | None, span_id: str | None) -> str | None:
    """The name of a model call by its place in a trace: its id where the answer brought none."""
    return f"{trace_id}-{span_id}" if trace_id and span_id else None


def at_span(span_id: str) -> str:
    """The name of a model call by its span alone, for those who do not know its trace."""
    return f"-{span_id}"


def _over_the_wire(raw_in: Any, raw_out: Any, asked: Said, answered: Said) -> tuple[str | None, Said, Said]:
    """The answer's id, and messages where only the request and the answer themselves were recorded."""
    wire_id = None
    if isinstance(raw_out, dict):
        found = raw_out.get("id")
        wire_id = found if isinstance(found, str) and found else None
        answered = answered or messages_of(_choices(raw_out.get("choices")), "assistant")
    if isinstance(raw_in, dict):
        asked = asked or messages_of(raw_in.get("messages"))
    return wire_id, asked, answered


def _choices(raws: Any) -> list[Any]:
    return [one.get("message") for one in raws if isinstance(one, dict)] if isinstance(raws, list) else []


def _named(paths: dict[str, str], known: dict[str, Any]) -> dict[str, Any]:
    return {name: known[path] for name, path in paths.items() if path in known}


def _means_a_field(key: str) -> bool:
    return key in _RECORD_FIELDS or key.partition(".")[0] in ("features", "keys", "protected")


def ids(raw_ids: Iterable[bytes]) -> tuple[str | None, ...]:
    """Trace and span ids as hexadecimal text; None where there is none."""
    return tuple(one.hex() if any(one) else None for one in raw_ids)
