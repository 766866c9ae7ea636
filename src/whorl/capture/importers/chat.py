"""What tools log as the input and output of a call, in whatever shape, as messages and an answer.

Knows the shapes of chat APIs (OpenAI's first), of lists of messages, and of the arguments of a traced function. What has none
of them is kept as JSON text, so that nothing of a conversation is lost.
"""

from typing import Any

import msgspec

Message = dict[str, Any]
_ANSWERS = ("output", "output_text", "response", "answer", "content", "text")


def messages_of(value: Any) -> list[Message] | None:
    """The messages that were sent; None when there was no input.

    >>> messages_of({"question": "Why?"})
    [{'role': 'user', 'content': 'Why?'}]
    >>> messages_of('[{"role": "system", "content": "Be brief."}]')
    [{'role': 'system', 'content': 'Be brief.'}]
    """
    value = decoded(value)
    if value is None or value in ("", [], {}):
        return None
    if isinstance(value, dict):
        if isinstance(value.get("messages"), list):
            return messages_of(value["messages"])
        if _is_message(value):
            return [message_of(value)]
        if len(value) == 1:
            (only,) = value.values()
            return messages_of(only)
    if isinstance(value, list):
        if len(value) == 1 and isinstance(value[0], list):
            return messages_of(value[0])
        if all(_is_message(one) for one in value):
            return [message_of(one) for one in value]
    return [{"role": "user", "content": text(value)}]


def message_of(raw: dict[str, Any]) -> Message:
    """One message, with the fields that ours has; the content is text or a list of parts."""
    content = raw.get("content")
    message: Message = {"role": str(raw["role"]), "content": None if content is None else _content(content)}
    calls = raw.get("tool_calls")
    if isinstance(calls, list) and calls:
        message["tool_calls"] = [call for call in calls if isinstance(call, dict)]
    return {**message, **{key: raw[key] for key in ("name", "tool_call_id") if isinstance(raw.get(key), str)}}


def answer_of(value: Any) -> Any:
    """What was answered: a text, the whole message where it calls tools, or an object; None when there was nothing.

    >>> answer_of({"choices": [{"message": {"role": "assistant", "content": "Because."}}]})
    'Because.'
    """
    value = decoded(value)
    if value is None or value in ("", [], {}):
        return None
    if isinstance(value, list) and len(value) == 1:
        return answer_of(value[0])
    if not isinstance(value, dict):
        return value
    choices = value.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        return answer_of(choices[0].get("message", choices[0].get("text")))
    if _is_message(value):
        message = message_of(value)
        return message if message.get("tool_calls") else message["content"]
    if len(value) == 1 and (name := next(iter(value))) in _ANSWERS:
        return answer_of(value[name])
    return value


def decoded(value: Any) -> Any:
    """JSON text of an object or a list as what it says; anything else as it is."""
    if not isinstance(value, str) or not value.lstrip().startswith(("{", "[")):
        return value
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, RecursionError):
        return value


def text(value: Any) -> str:
    """A value as text: itself, or its JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def given(**fields: Any) -> dict[str, Any]:
    """Those of the fields that have a value.

    >>> given(id="a", session=None, group="", extra={}, score=0)
    {'id': 'a', 'score': 0}
    """
    return {name: value for name, value in fields.items() if value is not None and value not in ("", {}, [])}


def _is_message(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("role"), str)


def _content(value: Any) -> Any:
    if isinstance(value, list) and all(isinstance(part, (dict, str)) for part in value):
        return [{"type": "text", "text": part} if isinstance(part, str) else part for part in value]
    return text(value)
