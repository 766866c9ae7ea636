"""Which attributes mean the same: one table for GenAI conventions of today, of before, and of OpenInference and OpenLLMetry.

Attributes are looked for in the order of the table; the first that has a value counts. A change that gives an
attribute another meaning raises VERSION, which every prediction keeps as `extra.conventions`.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

from whorl.capture.paths import ABSENT

VERSION = 2

# Values of `operation`, in lower case, that are model calls; whatever else a span does is a step.
MODEL_CALLS = frozenset(("chat", "text_completion", "generate_content", "completion", "llm"))
# Who said an evaluation, by its kind.
JUDGES = {"llm": "LLM_JUDGE", "code": "CODE", "human": "HUMAN"}


class Alias(NamedTuple):
    """One meaning.

    Attributes:
        becomes: The field of the record; `extra.` where a record has none of its own.
        keys: Attributes; one that ends in `.N` stands for all with such a prefix, counted from 0.
    """

    becomes: str
    keys: tuple[str, ...]


ALIASES: dict[str, Alias] = {
    "operation": Alias(
        "extra.operation", ("gen_ai.operation.name", "openinference.span.kind", "llm.request.type")
    ),
    "provider": Alias(
        "extra.provider", ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system")
    ),
    "request_model": Alias(
        "extra.request_model", ("gen_ai.request.model", "llm.request.model_name", "llm.request.model")
    ),
    "response_model": Alias(
        "model_version", ("gen_ai.response.model", "llm.response.model_name", "llm.model_name")
    ),
    "response_id": Alias("id", ("gen_ai.response.id",)),
    "input_tokens": Alias(
        "input_tokens",
        ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt"),
    ),
    "output_tokens": Alias(
        "output_tokens",
        ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion"),
    ),
    "cost": Alias("cost_usd", ("llm.cost.total",)),
    "finish_reasons": Alias(
        "extra.finish_reasons",
        ("gen_ai.response.finish_reasons", "llm.finish_reason", "gen_ai.response.finish_reason"),
    ),
    "conversation": Alias(
        "session",
        ("gen_ai.conversation.id", "session.id", "traceloop.association.properties.session_id"),
    ),
    "user": Alias(
        "group", ("user.id", "enduser.id", "gen_ai.user", "traceloop.association.properties.user_id")
    ),
    "agent": Alias("extra.agent", ("gen_ai.agent.name", "agent.name")),
    "service": Alias("extra.service", ("service.name",)),
    "system_instructions": Alias("messages", ("gen_ai.system_instructions",)),
    "input_messages": Alias("messages", ("gen_ai.input.messages", "llm.input_messages.N", "gen_ai.prompt.N")),
    "output_messages": Alias(
        "output", ("gen_ai.output.messages", "llm.output_messages.N", "gen_ai.completion.N")
    ),
    "raw_input": Alias("messages", ("input.value",)),
    "raw_output": Alias("id, output", ("output.value",)),
    "evaluation_name": Alias(
        "feedback.name", ("gen_ai.evaluation.name", "evaluation.name", "annotation.name")
    ),
    "evaluation_score": Alias(
        "feedback.value", ("gen_ai.evaluation.score.value", "evaluation.score", "annotation.score")
    ),
    "evaluation_label": Alias(
        "feedback.value", ("gen_ai.evaluation.score.label", "evaluation.label", "annotation.label")
    ),
    "evaluation_comment": Alias(
        "feedback.comment",
        ("gen_ai.evaluation.explanation", "evaluation.explanation", "annotation.explanation"),
    ),
    "evaluation_kind": Alias("feedback.kind", ("evaluation.annotator_kind", "annotation.annotator_kind")),
    "evaluation_source": Alias("feedback.source", ("evaluation.identifier", "annotation.identifier")),
    "annotations": Alias("feedback", ("annotations.N",)),
    "evaluations": Alias("feedback", ("evaluations.N",)),
    "trace_annotations": Alias("feedback", ("trace.annotations.N",)),
    "trace_evaluations": Alias("feedback", ("trace.evaluations.N",)),
    "session_annotations": Alias("feedback", ("session.annotations.N",)),
    "session_evaluations": Alias("feedback", ("session.evaluations.N",)),
}


ATTRIBUTES = frozenset(key for alias in ALIASES.values() for key in alias.keys)
# What an attribute would have become, for those that stay what they are: all but what feedback alone has.
_FIELDS = {
    key: alias.becomes.rpartition(" ")[2].removeprefix("extra.")
    for alias in ALIASES.values()
    if not alias.becomes.startswith("feedback")
    for key in alias.keys
}
_COUNTED = tuple((key.removesuffix("N"), field) for key, field in _FIELDS.items() if key.endswith(".N"))


class Door(Protocol):
    """What [capture] asks for, as `Scrubber` knows it."""

    def named(self, raw: dict[str, Any]) -> dict[str, Any]: ...

    def as_field(self, name: str, field: str, value: Any) -> Any: ...


class Attributes:
    """Attributes of one span or log record, read by meaning; what was read is left out of the rest.

    Args:
        door: What [capture] asks for by the names of attributes is done to those that are read: they become fields of
            another name, where the scrubber at the door would not find them. What it asks for by the names of fields is done
            to those that are left.

    >>> found = Attributes({"gen_ai.system": "openai", "gen_ai.request.seed": 7, "llm.system": "openai"})
    >>> found.take("provider"), found.take("agent"), found.rest()
    ('openai', None, {'gen_ai.request.seed': 7})
    """

    def __init__(self, values: dict[str, Any], door: Door | None = None) -> None:
        self._values, self._door = values, door
        self._taken: set[str] = set()

    def take(self, meaning: str) -> Any:
        """The first value that is there; None where there is none."""
        found = None
        for key in ALIASES[meaning].keys:
            value = self._values.get(key)
            if value is not None and value != "":
                self._taken.add(key)
                found = self._named({key: value}).get(key) if found is None else found
        return found

    def take_counted(self, meaning: str) -> list[dict[str, Any]]:
        """What lies under the first counted prefix that is there, one object a number, in their order."""
        found: list[dict[str, Any]] = []
        for prefix in _counted(meaning):
            below = {key: value for key, value in self._values.items() if key.startswith(prefix)}
            self._taken.update(below)
            kept = self._named(below)
            found = found or _tree({key.removeprefix(prefix): value for key, value in kept.items()})
        return found

    def leave(self, meaning: str) -> None:
        """What was taken under a meaning could not be read: it stays with the rest."""
        self._taken.difference_update(ALIASES[meaning].keys)

    def untaken(self) -> dict[str, Any]:
        """What nobody took, to be read by others."""
        return {key: value for key, value in self._values.items() if key not in self._taken}

    def rest(self) -> dict[str, Any]:
        """What nobody took, as it may be kept."""
        kept = {key: self._as_field(key, value) for key, value in self.untaken().items()}
        return {key: value for key, value in kept.items() if value is not ABSENT}

    def _named(self, values: dict[str, Any]) -> dict[str, Any]:
        return values if self._door is None else self._door.named(values)

    def _as_field(self, key: str, value: Any) -> Any:
        field = _FIELDS.get(key) or next(
            (field for prefix, field in _COUNTED if key.startswith(prefix)), None
        )
        return value if self._door is None or field is None else self._door.as_field(key, field, value)


def listed(node: Any) -> list[dict[str, Any]]:
    """The objects of a counted node (`{"0": {...}, "1": {...}}`), in the order of their numbers."""
    if not isinstance(node, dict):
        return []
    numbered = sorted((int(key), value) for key, value in node.items() if key.isdecimal())
    return [value for _, value in numbered if isinstance(value, dict)]


def _counted(meaning: str) -> Iterator[str]:
    return (key.removesuffix("N") for key in ALIASES[meaning].keys if key.endswith(".N"))


def _tree(flat: dict[str, Any]) -> list[dict[str, Any]]:
    root: dict[str, Any] = {}
    for key, value in flat.items():
        node: Any = root
        *above, last = key.split(".")
        for part in above:
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                break
        else:
            node[last] = value
    return listed(root)
