"""Messages in the shapes that emitters give them, as those of `records.py`: OpenAI's roles, contents and tool calls.

Parts (`[{"role", "parts": [{"type", "content"}]}]`), attributes that count (`llm.input_messages.0.message.role`), the
request and the answer as they went over the wire, and bodies of log records.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from whorl.capture.conventions.aliases import Attributes, listed

Said = list[dict[str, Any]]


def take_messages(attributes: Attributes) -> tuple[Said, Said]:
    """What went in, and what came out; empty where nothing was recorded, or not in a shape that is known."""
    system = _take_parts(attributes, "system_instructions", as_system=True)
    asked = _take_parts(attributes, "input_messages") or _counted(attributes, "input_messages")
    answered = _take_parts(attributes, "output_messages") or _counted(attributes, "output_messages")
    return system + asked, answered


def output_of(answered: Said) -> Any:
    """An answer as a prediction's output: its text, or all of the message where it calls tools; several as a list.

    >>> output_of([{"role": "assistant", "content": "Hi"}])
    'Hi'
    """
    outputs = [one["content"] if set(one) == {"role", "content"} else one for one in answered]
    return outputs[0] if len(outputs) == 1 else outputs or None


def wire_message(raw: Any, role: str = "user") -> dict[str, Any] | None:
    """A message as OpenAI's API has it, down to what a Message holds; None when it says nothing."""
    if not isinstance(raw, dict):
        return None
    content, calls = raw.get("content"), raw.get("tool_calls")
    made = {
        "role": str(raw.get("role") or role),
        "content": content if isinstance(content, (str, list)) and content else None,
        "name": raw.get("name"),
        "tool_calls": calls if isinstance(calls, list) and calls else None,
        "tool_call_id": raw.get("tool_call_id"),
    }
    said = {key: value for key, value in made.items() if value is not None}
    return said if "content" in said or "tool_calls" in said else None


def messages_of(raws: Any, role: str = "user") -> Said:
    """Those of a list that say something."""
    if not isinstance(raws, list):
        return []
    return [said for raw in raws if (said := wire_message(raw, role)) is not None]


def decoded(value: Any) -> Any:
    """A value that may have come as JSON text; None when it is text of another kind."""
    if not isinstance(value, str):
        return value
    try:
        return msgspec.json.decode(str(value))
    except (msgspec.DecodeError, RecursionError):
        return None


def _take_parts(attributes: Attributes, meaning: str, *, as_system: bool = False) -> Said:
    raw = attributes.take(meaning)
    if raw is None:
        return []
    found = decoded(raw)
    if as_system:
        parts = found if isinstance(found, list) else [{"type": "text", "content": raw}]
        found = [{"role": "system", "parts": parts}]
    said = _from_parts(found) if isinstance(found, list) else []
    if not said:
        # Text that was cut off is not JSON any more.
        attributes.leave(meaning)
    return said


def _from_parts(raws: Iterable[Any]) -> Said:
    said: Said = []
    for raw in raws:
        if not isinstance(raw, dict):
            continue
        if not isinstance(raw.get("parts"), list):
            said += messages_of([raw])
            continue
        message, answers = _one(str(raw.get("role") or "user"), raw["parts"])
        named = message | ({"name": raw["name"]} if isinstance(raw.get("name"), str) else {})
        said += [*messages_of([named]), *answers]
    return said


def _one(role: str, parts: list[Any]) -> tuple[dict[str, Any], Said]:
    """The message of some parts, and the answers of tools among them, which are messages of their own."""
    content: list[dict[str, Any]] = []
    calls: list[dict[str, Any]] = []
    answers: Said = []
    for part in parts:
        if not isinstance(part, dict):
            continue
        kind = part.get("type")
        if kind == "text":
            content.append({"type": "text", "text": str(part.get("content") or part.get("text") or "")})
        elif kind == "tool_call":
            calls.append(_call(part.get("id"), part.get("name"), part.get("arguments")))
        elif kind == "tool_call_response":
            answer = part.get("response", part.get("result"))
            answers.append({"role": "tool", "tool_call_id": part.get("id"), "content": _text(answer)})
        else:
            content.append(part)
    return {"role": role, "content": _plain(content), "tool_calls": calls}, answers


def _plain(content: list[dict[str, Any]]) -> str | list[dict[str, Any]]:
    """Text alone is text."""
    if len(content) == 1 and content[0].get("type") == "text":
        return str(content[0]["text"])
    return content


def _call(known_id: Any, name: Any, arguments: Any) -> dict[str, Any]:
    """A tool call as OpenAI's API has it, where arguments are JSON text."""
    function = {"name": name, "arguments": "{}" if arguments is None else _text(arguments)}
    return {"id": known_id, "type": "function", "function": function}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _counted(attributes: Attributes, meaning: str) -> Said:
    role = "assistant" if meaning == "output_messages" else "user"
    return messages_of([_flat(node.get("message", node)) for node in attributes.take_counted(meaning)], role)


def _flat(node: Any) -> dict[str, Any]:
    """A message whose lists were counted: OpenInference's nests each entry under its name, OpenLLMetry's does not."""
    if not isinstance(node, dict):
        return {}
    calls = [_within(one, "tool_call") for one in listed(node.get("tool_calls"))]
    contents = [_within(one, "message_content") for one in listed(node.get("contents"))]
    return {
        **node,
        "content": node.get("content") or [_content(one) for one in contents],
        "tool_calls": [_counted_call(call) for call in calls],
    }


def _within(entry: dict[str, Any], name: str) -> dict[str, Any]:
    inner = entry.get(name)
    return inner if isinstance(inner, dict) else entry


def _counted_call(call: dict[str, Any]) -> dict[str, Any]:
    function = call.get("function")
    named = function if isinstance(function, dict) else call
    return _call(call.get("id"), named.get("name"), named.get("arguments"))


def _content(node: dict[str, Any]) -> dict[str, Any]:
    image = node.get("image")
    if isinstance(image, dict) and isinstance(image.get("image"), dict):
        return {"type": "image_url", "image_url": {"url": image["image"].get("url")}}
    return node
