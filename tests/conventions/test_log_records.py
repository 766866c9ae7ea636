"""Messages that come as log records meet the span of their call, whichever comes first, and in however many requests."""

import json
from collections.abc import Callable
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest
from exports import CALL, PLACE, SPAN, TRACE, event, logged, rows, span, traced

from whorl.capture.accept import accept
from whorl.capture.flush import flush
from whorl.clock import SimulatedClock
from whorl.workspace import Workspace

ANSWERED = span({**CALL, "gen_ai.response.id": "r1", "gen_ai.usage.input_tokens": 9})
TOOL_CALL = {"id": "c1", "type": "function", "function": {"name": "find", "arguments": "{}"}}
ASKED = [
    event("gen_ai.system.message", {"content": "Be brief."}),
    event("gen_ai.user.message", {"content": "Hello"}, after_ns=1_000_000),
    event("gen_ai.assistant.message", {"tool_calls": [TOOL_CALL]}, after_ns=2_000_000),
    event("gen_ai.tool.message", {"content": "found", "id": "c1"}, after_ns=3_000_000),
]
CHOICE = event(
    "gen_ai.choice",
    {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi"}},
    after_ns=9_000_000,
)
SAID = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hello"},
    {"role": "assistant", "tool_calls": [TOOL_CALL]},
    {"role": "tool", "content": "found", "tool_call_id": "c1"},
]
Send = Callable[[Workspace], Any]
REQUESTS: list[Send] = [
    lambda ws: traced(ws, ANSWERED),
    lambda ws: logged(ws, *ASKED),
    lambda ws: logged(ws, CHOICE),
]


def messages(ws: Workspace) -> dict[str, list[dict[str, Any]]]:
    found = ws.examples(ws.clock.now()).messages().to_pylist()
    return {row["id"]: [json.loads(text) for text in row["messages"]] for row in found}


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_span_question_and_answer_in_any_order(
    ws: Workspace, clock: SimulatedClock, order: tuple[int, ...]
) -> None:
    for number in order:
        REQUESTS[number](ws)
        clock.move_to(clock.now() + timedelta(seconds=5))
        flush(ws)
    (example,) = ws.examples(clock.now()).select("id, output, input_tokens").to_pylist()
    assert example == {"id": "r1", "output": "Hi", "input_tokens": 9}
    assert messages(ws) == {"r1": SAID}


def test_a_batch_that_is_sent_again_says_nothing_twice(ws: Workspace, clock: SimulatedClock) -> None:
    again = [
        lambda ws: logged(ws, *ASKED, event("app.other")),
        lambda ws: logged(ws, CHOICE, event("app.other")),
    ]
    for send in (*REQUESTS, *REQUESTS, *again):
        send(ws)
        clock.move_to(clock.now() + timedelta(seconds=1))
        flush(ws)
    assert messages(ws) == {"r1": SAID}


def test_a_part_that_came_after_t_is_not_known_at_t(ws: Workspace, clock: SimulatedClock) -> None:
    REQUESTS[1](ws)
    flush(ws)
    before = clock.now()
    assert messages(ws) == {PLACE: SAID}
    clock.move_to(before + timedelta(seconds=1))
    REQUESTS[0](ws)
    flush(ws)
    (row,) = ws.examples(before).messages().to_pylist()
    assert row["id"] == PLACE
    assert [row["id"] for row in ws.examples(clock.now()).messages().to_pylist()] == ["r1"]


def test_a_call_without_an_answers_id_is_known_by_its_place(ws: Workspace) -> None:
    traced(ws, span(CALL))
    logged(ws, *ASKED)
    flush(ws)
    assert ws.examples(ws.clock.now()).counts()["predictions"] == 1
    assert messages(ws) == {PLACE: SAID}


def test_labels_find_the_prediction_by_either_name(ws: Workspace, clock: SimulatedClock) -> None:
    for name, value in ((PLACE, "good"), ("r1", "better")):
        clock.move_to(clock.now() + timedelta(seconds=1))
        accept(ws, "labels", [{"prediction_id": name, "value": value}], native=True)
        flush(ws)
        traced(ws, ANSWERED)
        flush(ws)
        (example,) = ws.examples(clock.now()).select("id, label").to_pylist()
        assert example == {"id": "r1", "label": json.dumps(value)}


def test_records_without_contents_are_taken_and_add_nothing(ws: Workspace) -> None:
    taken = logged(
        ws,
        event("gen_ai.user.message", {}),
        event("gen_ai.choice", {"index": 0, "message": {"role": "assistant"}}),
    )
    assert taken.rejected == set()
    assert ws.inbox.depth(ws.name).rows == 0


def test_what_is_no_genai_event_is_not_said_to_be_kept(ws: Workspace) -> None:
    taken = logged(ws, event("", "The disk is full."), *ASKED, event("app.started"))
    assert (taken.rejected, taken.items) == ({0, 5}, 6)
    assert "not a GenAI event" in taken.message


def test_a_message_at_no_span_is_rejected(ws: Workspace) -> None:
    taken = logged(ws, event("gen_ai.user.message", {"content": "Hello"}, place=False))
    assert taken.rejected == {0}
    assert "there is no id" in taken.message


def test_the_name_may_be_an_attribute_as_it_was_before(ws: Workspace) -> None:
    logged(ws, event("", {"content": "Hello"}, about={"event.name": "gen_ai.user.message"}))
    flush(ws)
    assert messages(ws) == {PLACE: [{"role": "user", "content": "Hello"}]}


def test_the_details_of_a_call_are_a_call(ws: Workspace) -> None:
    about = {
        **CALL,
        "gen_ai.response.id": "r1",
        "gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": "Hello"}]}],
    }
    logged(ws, event("gen_ai.client.inference.operation.details", about=about))
    flush(ws)
    (row,) = rows(ws, "predictions")
    assert (row["id"], row["trace_id"], json.loads(row["extra"])["span_id"]) == ("r1", TRACE, SPAN)
    assert messages(ws) == {"r1": [{"role": "user", "content": "Hello"}]}


EVALUATION = "gen_ai.evaluation.result"
RELEVANT = {
    "gen_ai.evaluation.name": "relevance",
    "gen_ai.evaluation.score.value": 0.75,
    "gen_ai.evaluation.score.label": "pass",
}


@pytest.mark.parametrize(
    ("about", "kind", "prediction"),
    [({}, "CODE", PLACE), ({"gen_ai.response.id": "r1"}, "CODE", "r1"),
     ({"gen_ai.evaluation.explanation": "It answers."}, "LLM_JUDGE", PLACE),
     ({"gen_ai.request.model": "judge-1"}, "LLM_JUDGE", PLACE),
     ({"evaluation.annotator_kind": "HUMAN", "gen_ai.evaluation.explanation": "Fine."}, "HUMAN", PLACE)],
)  # fmt: skip
def test_an_evaluation_is_feedback(ws: Workspace, about: dict[str, str], kind: str, prediction: str) -> None:
    logged(ws, event(EVALUATION, about={**RELEVANT, **about}))
    flush(ws)
    (row,) = rows(ws, "feedback")
    assert (row["name"], row["number"], row["kind"], row["prediction_id"]) == (
        "relevance",
        0.75,
        kind,
        prediction,
    )
    assert row["comment"] == about.get("gen_ai.evaluation.explanation")
    assert json.loads(row["extra"])["label"] == "pass"


def test_an_evaluation_as_an_event_of_its_span(ws: Workspace) -> None:
    from exports import attributes
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    traced(ws, span(CALL, events=[Span.Event(name=EVALUATION, attributes=attributes(RELEVANT))]))
    flush(ws)
    (row,) = rows(ws, "feedback")
    assert (row["prediction_id"], row["number"]) == (PLACE, 0.75)


def test_an_evaluation_of_nothing_is_rejected(ws: Workspace) -> None:
    taken = logged(ws, event(EVALUATION, about=RELEVANT, place=False))
    assert taken.rejected == {0}
