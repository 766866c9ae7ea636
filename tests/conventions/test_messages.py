"""Messages in every shape that emitters give them become those of OpenAI's API, or stay where they were."""

import json
from typing import Any

import pytest
from exports import CALL, rows, span, traced

from whorl.capture.flush import flush
from whorl.workspace import Workspace

TEXT = {"type": "text", "content": "What is on it?"}
USER = {"role": "user", "content": "Hello"}
CALLED = {
    "role": "assistant",
    "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "find", "arguments": '{"q":"x"}'}}],
}
INDEXED_CALL = {
    "role": "assistant",
    "tool_calls.0.id": "c1",
    "tool_calls.0.name": "find",
    "tool_calls.0.arguments": '{"q":"x"}',
}


def prefixed(prefix: str, fields: dict[str, Any]) -> dict[str, Any]:
    return {f"{prefix}.{key}": value for key, value in fields.items()}


def parts(key: str, *messages: tuple[str, list[dict[str, Any]]]) -> dict[str, str]:
    return {key: json.dumps([{"role": role, "parts": several} for role, several in messages])}


SHAPES: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "text parts": (
        parts("gen_ai.input.messages", ("user", [{"type": "text", "content": "Hello"}])),
        [USER],
    ),
    "attributes that are no JSON text but values": (
        {"gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": "Hello"}]}]},
        [USER],
    ),
    "instructions of their own": (
        {"gen_ai.system_instructions": '[{"type":"text","content":"Be brief."}]'}
        | parts("gen_ai.input.messages", ("user", [{"type": "text", "content": "Hello"}])),
        [{"role": "system", "content": "Be brief."}, USER],
    ),
    "an image beside text": (
        parts(
            "gen_ai.input.messages", ("user", [TEXT, {"type": "uri", "modality": "image", "uri": "s3://a"}])
        ),
        [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is on it?"},
                    {"type": "uri", "modality": "image", "uri": "s3://a"},
                ],
            }
        ],
    ),
    "a tool call and two answers": (
        parts(
            "gen_ai.input.messages",
            ("assistant", [{"type": "tool_call", "id": "c1", "name": "find", "arguments": {"q": "x"}}]),
            (
                "tool",
                [
                    {"type": "tool_call_response", "id": "c1", "response": "one"},
                    {"type": "tool_call_response", "id": "c2", "result": {"n": 2}},
                ],
            ),
        ),
        [
            CALLED,
            {"role": "tool", "content": "one", "tool_call_id": "c1"},
            {"role": "tool", "content": '{"n":2}', "tool_call_id": "c2"},
        ],
    ),
    "counted attributes of OpenLLMetry": (
        prefixed("gen_ai.prompt.0", {"role": "user", "content": "Hello"})
        | prefixed("gen_ai.prompt.1", INDEXED_CALL),
        [USER, CALLED],
    ),
    "more than ten of them": (
        {
            key: told
            for n in range(12)
            for key, told in prefixed(
                f"llm.input_messages.{n}.message", {"role": "user", "content": str(n)}
            ).items()
        },
        [{"role": "user", "content": str(n)} for n in range(12)],
    ),
    "counted contents of OpenInference": (
        prefixed(
            "llm.input_messages.0.message",
            {
                "role": "user",
                "contents.0.message_content.type": "text",
                "contents.0.message_content.text": "What is on it?",
                "contents.1.message_content.type": "image",
                "contents.1.message_content.image.image.url": "https://example.org/a.png",
            },
        ),
        [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is on it?"},
                    {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
                ],
            }
        ],
    ),
    "the request as it went out": (
        {"input.value": '{"messages":[{"role":"user","content":"Hello"}],"model":"m"}'},
        [USER],
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_what_was_said(ws: Workspace, shape: str) -> None:
    about, expected = SHAPES[shape]
    traced(ws, span({**CALL, **about}))
    flush(ws)
    (row,) = rows(ws, "predictions")
    assert json.loads(row["messages"]) == expected
    # What was told as messages is not kept a second time, where a scrubber of messages would not look.
    assert not set(about) & set(json.loads(row["extra"]))


def test_several_answers_are_a_list(ws: Workspace) -> None:
    about = parts("gen_ai.input.messages", ("user", [{"type": "text", "content": "Hello"}])) | parts(
        "gen_ai.output.messages",
        ("assistant", [{"type": "text", "content": "Hi"}]),
        ("assistant", [{"type": "text", "content": "Good day"}]),
    )
    traced(ws, span({**CALL, **about}))
    flush(ws)
    (row,) = rows(ws, "predictions")
    assert json.loads(row["output"]) == ["Hi", "Good day"]
    assert [message["content"] for message in json.loads(row["messages"])] == ["Hello"]


@pytest.mark.parametrize(
    "about",
    [{"gen_ai.input.messages": '[{"role":"user","parts":[{"type":"te'}, {"gen_ai.input.messages": "hello"},
     {"input.value": "hello"}, {"gen_ai.input.messages": "7"}, {"output.value": '["a"]'}],
)  # fmt: skip
def test_what_cannot_be_read_stays_as_it_came(ws: Workspace, about: dict[str, str]) -> None:
    assert not traced(ws, span({**CALL, **about})).rejected
    flush(ws)
    (row,) = rows(ws, "predictions")
    assert row["messages"] is None
    assert {key: json.loads(row["extra"])[key] for key in about} == about


@pytest.mark.parametrize("entry", ["tool_calls.0.tool_call", "contents.0.message_content"])
def test_an_entry_of_another_shape_breaks_nothing(ws: Workspace, entry: str) -> None:
    told = {"llm.input_messages.0.message.role": "user", f"llm.input_messages.0.message.{entry}": ["x"]}
    assert traced(ws, span({**CALL, **told})).rejected == set()
