"""A span around a model call is a prediction and a step; any other span is a step."""

import json
from typing import Any

import pytest
from exports import CALL, PARENT, PLACE, SPAN, TRACE, attributes, rows, span, traced
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from whorl.capture.conventions.take import Handled
from whorl.capture.flush import flush
from whorl.workspace import Workspace


@pytest.mark.parametrize(
    "about",
    [{"gen_ai.operation.name": "chat"}, {"gen_ai.operation.name": "text_completion"},
     {"gen_ai.operation.name": "generate_content"}, {"openinference.span.kind": "LLM"},
     {"llm.request.type": "completion"}, {"gen_ai.response.id": "r"}],
)  # fmt: skip
def test_what_is_a_model_call(ws: Workspace, about: dict[str, str]) -> None:
    traced(ws, span(about))
    flush(ws)
    (call,), (step,) = rows(ws, "predictions"), rows(ws, "spans")
    assert call["id"] == step["prediction_id"] == about.get("gen_ai.response.id", PLACE)
    assert (call["trace_id"], call["parent_id"], call["latency_ms"]) == (TRACE, PARENT, 250.0)
    assert (step["id"], step["trace_id"], step["parent_id"], step["duration_ms"]) == (
        SPAN,
        TRACE,
        PARENT,
        250.0,
    )
    assert call["time"] == step["time"]
    assert step["attributes"] is None


@pytest.mark.parametrize(
    "about",
    [{}, {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "find"},
     {"gen_ai.operation.name": "invoke_agent", "gen_ai.response.id": "r"}, {"gen_ai.operation.name": "embeddings"},
     {"openinference.span.kind": "RETRIEVER"}, {"http.request.method": "POST"}],
)  # fmt: skip
def test_what_is_only_a_step(ws: Workspace, about: dict[str, str]) -> None:
    traced(ws, span(about, name="chat gpt-4o"), resource={"service.name": "assistant"})
    flush(ws)
    assert rows(ws, "predictions") == []
    (step,) = rows(ws, "spans")
    assert (step["name"], step["prediction_id"], step["status"]) == ("chat gpt-4o", None, None)
    assert json.loads(step["attributes"]) == {**about, "service": "assistant"}


def test_attributes_that_have_the_name_of_a_field_are_not_taken_for_it(ws: Workspace) -> None:
    own = {
        "label": "true",
        "score": "7",
        "id": "mine",
        "features.tier": "gold",
        "status": "odd",
        "messages": "m",
    }
    traced(ws, span({**CALL, **own}), span(own, span_id=PARENT))
    flush(ws)
    (call,) = rows(ws, "predictions")
    assert (call["id"], call["score"], call["f_tier"]) == (PLACE, None, None)
    assert {key: json.loads(call["extra"])[key] for key in own} == own
    (step,) = [row for row in rows(ws, "spans") if row["prediction_id"] is None]
    assert json.loads(step["attributes"]) == own
    assert rows(ws, "labels") == []


def test_what_the_spec_declares_by_path_is_found_among_attributes(ws: Workspace) -> None:
    about = {
        **CALL,
        "gen_ai.request.temperature": 0.3,
        "app.ticket": "T-9",
        "app.plan": "free",
        "tier": "gold",
    }
    traced(ws, span(about), resource={"cloud.region": "eu-1"})
    flush(ws)
    (call,) = rows(ws, "predictions")
    assert (call["f_asked_model"], call["f_region"], call["f_temperature"]) == ("gpt-4o-mini", "eu-1", 0.3)
    assert (dict(call["keys"]), call["g_plan"]) == ({"ticket": "T-9"}, "free")
    # Declared by name only: no attribute is meant.
    assert call["f_tier"] is None
    assert json.loads(call["extra"])["tier"] == "gold"


def test_one_user_or_one_conversation_is_one_group(ws: Workspace) -> None:
    talk = {"gen_ai.conversation.id": "talk-1"}
    traced(ws, span({**CALL, **talk}), span({**CALL, **talk, "user.id": "ann"}, span_id=PARENT))
    flush(ws)
    found = {row["group_id"]: row["session_id"] for row in rows(ws, "predictions")}
    assert found == {"talk-1": "talk-1", "ann": "talk-1"}


def test_a_call_that_failed_says_why(ws: Workspace) -> None:
    thrown = Span.Event(name="exception", attributes=attributes({"exception.type": "RateLimit"}))
    failed = Status(code=Status.STATUS_CODE_ERROR, message="429")
    traced(ws, span(CALL, status=failed, events=[thrown]))
    flush(ws)
    (call,), (step,) = rows(ws, "predictions"), rows(ws, "spans")
    extra = json.loads(call["extra"])
    assert (extra["error"], extra["exception.type"], step["status"]) == ("429", "RateLimit", "error")


@pytest.mark.parametrize(
    ("bad", "reason"),
    [({"span_id": ""}, "there is no id"), ({"start_time_unix_nano": 0}, "there is no time")],
)
def test_a_span_that_cannot_be_placed_is_rejected_by_itself(
    ws: Workspace, bad: dict[str, Any], reason: str
) -> None:
    wrong = span({})
    for name, value in bad.items():
        setattr(wrong, name, b"" if value == "" else value)
    taken: Handled = traced(ws, wrong, span(CALL))
    assert taken.rejected == {0}
    assert reason in taken.message
    flush(ws)
    assert len(rows(ws, "spans")) == 1


def test_a_feature_of_another_type_is_a_rejected_span_counted_once(ws: Workspace) -> None:
    taken = traced(ws, span({**CALL, "gen_ai.request.temperature": "warm"}), span(CALL, span_id=PARENT))
    assert (taken.items, taken.rejected) == (2, {0})
    assert "feature 'temperature' is declared as float" in taken.message


def test_a_request_that_is_sent_again_adds_nothing(ws: Workspace) -> None:
    answers = [traced(ws, span({**CALL, "gen_ai.response.id": "r1"})).answers for _ in range(2)]
    assert [[answer.repeated for answer in several] for several in answers] == [[False, False], [True, True]]
    flush(ws)
    assert (len(rows(ws, "predictions")), len(rows(ws, "spans"))) == (1, 1)


def test_a_large_request_is_the_same_as_many_small_ones(ws: Workspace) -> None:
    many = [
        span({**CALL, "n": n, "gen_ai.request.temperature": n / 7}, span_id=f"{n:016x}")
        for n in range(1, 151)
    ]
    traced(ws, *many)
    flush(ws)
    together = sorted(rows(ws, "predictions"), key=lambda row: row["id"])
    for one in many:
        traced(ws, one)
    flush(ws)
    apart = sorted(rows(ws, "predictions"), key=lambda row: (row["id"], row["received_at"]))[1::2]
    assert [{**row, "received_at": None} for row in together] == [
        {**row, "received_at": None} for row in apart
    ]


def test_a_call_that_two_emitters_trace_is_one_prediction(ws: Workspace) -> None:
    one = {**CALL, "gen_ai.response.id": "r1"}
    traced(ws, span(one), span(one, span_id=PARENT))
    flush(ws)
    assert ws.examples(ws.clock.now()).counts()["predictions"] == 1
    assert {row["prediction_id"] for row in rows(ws, "spans")} == {"r1"}
