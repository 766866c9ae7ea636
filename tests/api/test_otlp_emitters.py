"""Real emitters, exporting to a real server as any OpenTelemetry SDK does: what arrives is what the model was told and said."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

import pytest
from openai_mock import MODEL, OpenAiMock
from server_process import ServerProcess

from whorl.examples.join import Examples
from whorl.workspace import Workspace

EMITTER = Path(__file__).with_name("emitter.py")
WITHIN_S = 30.0
CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
LATEST = {"OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental", CONTENT: "SPAN_ONLY"}
SHAPES = {
    "openai_v2 with log records": ("openai_v2", {CONTENT: "true"}),
    "openai_v2, latest conventions": ("openai_v2", LATEST),
    "openllmetry": ("openllmetry", {"OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"}),
    "openinference": ("openinference", {"OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"}),
}


@pytest.fixture
def mock() -> Iterator[OpenAiMock]:
    serving = OpenAiMock()
    yield serving
    serving.close()


@pytest.mark.parametrize("shape", SHAPES)
def test_messages_tokens_and_ids_are_those_of_the_model(
    shape: str, server: ServerProcess, beside: Workspace, mock: OpenAiMock
) -> None:
    emitter, settings = SHAPES[shape]
    emit(emitter, settings, server, mock)
    calls = when_there(beside, mock)
    said = dict(
        zip(
            *Examples(beside.lake, beside.engine, beside.spec, soon()).messages().to_pydict().values(),
            strict=True,
        )
    )
    assert len(mock.exchanges) == 4
    for one in mock.exchanges:
        call = calls[one.id]
        assert comparable([json.loads(text) for text in said[one.id]]) == comparable(one.asked)
        if "tool_calls" in one.answered:
            assert comparable([json.loads(call["output"])]) == comparable([one.answered])
        else:
            assert call["output"] == one.answered["content"]
        assert (call["input_tokens"], call["output_tokens"]) == (one.input_tokens, one.output_tokens)
        assert call["model_version"] == MODEL
        assert call["latency_ms"] > 0
    judged = asked(beside, "feedback", f"prediction_id IN ({listed(mock)})")
    assert {(row["prediction_id"], row["name"], row["number"], row["kind"]) for row in judged} == {
        (mock.exchanges[n].id, "relevance", 0.75, "CODE") for n in (1, 3)
    }
    # One trace, whose outermost step is no model call.
    (trace_id,) = {call["trace_id"] for call in calls.values()}
    (parent_id,) = {call["parent_id"] for call in calls.values()}
    steps = asked(beside, "spans", f"trace_id = '{trace_id}'")
    assert {step["prediction_id"] for step in steps} == {None, *calls}
    (outer,) = [step for step in steps if step["prediction_id"] is None]
    assert (outer["id"], outer["parent_id"], outer["name"]) == (parent_id, None, "turn")
    assert json.loads(outer["attributes"])["step"] == "outer"


def emit(emitter: str, settings: dict[str, str], server: ServerProcess, mock: OpenAiMock) -> None:
    environment = {
        **os.environ,
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{server.port}",
        "OTEL_SERVICE_NAME": "assistant",
        **settings,
    }
    run = subprocess.run(
        [sys.executable, str(EMITTER), emitter, mock.url],
        env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    # Exporters say by log line what they could not deliver.
    assert "Failed to export" not in run.stderr, run.stderr


def when_there(beside: Workspace, mock: OpenAiMock) -> dict[str, dict[str, Any]]:
    """The predictions of all exchanges by id, once the server has moved what it accepted to the lake."""
    until = monotonic() + WITHIN_S
    while beside.inbox.depth(beside.name).rows:
        assert monotonic() < until, "The inbox is not emptied."
        # The only way to learn what another process did is to look.
        Event().wait(0.05)
    found = asked(beside, "predictions", f"id IN ({listed(mock)}) AND input_tokens IS NOT NULL")
    assert len(found) == len(mock.exchanges)
    return {row["id"]: row for row in merged_outputs(beside, found)}


def listed(mock: OpenAiMock) -> str:
    return ", ".join(f"'{one.id}'" for one in mock.exchanges)


def merged_outputs(beside: Workspace, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """With the output that another record of the same call brought, as examples have it."""
    examples = Examples(beside.lake, beside.engine, beside.spec, soon())
    outputs = {row["id"]: row["output"] for row in examples.select("id, output").to_pylist()}
    examples.close()
    return [{**row, "output": outputs[row["id"]]} for row in found]


def asked(beside: Workspace, table: Any, where: str) -> list[dict[str, Any]]:
    sql = f"SELECT * FROM {beside.lake.relation(table)} WHERE {where}"
    return list(beside.engine.query(sql).to_pylist())


def soon() -> datetime:
    return datetime.now(UTC) + timedelta(minutes=1)


def comparable(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without what is null, and with the arguments of tools as objects: their text may be spaced in another way."""
    bare = []
    for message in messages:
        kept = {key: value for key, value in message.items() if value is not None}
        for call in kept.get("tool_calls", []):
            function = call["function"]
            kept["tool_calls"] = [
                {**call, "function": {**function, "arguments": json.loads(function["arguments"])}}
            ]
        bare.append(kept)
    return bare
