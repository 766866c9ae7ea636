"""An application with an OpenTelemetry emitter, in a process of its own: emitters change the openai module for good.

    python emitter.py openai_v2|openllmetry|openinference BASE_URL

Where telemetry goes, and in which shape, the environment says, as for every OpenTelemetry SDK.
"""

import importlib
import sys
from typing import Any

import openai
from opentelemetry import _logs, trace
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

EMITTERS = {
    "openai_v2": "opentelemetry.instrumentation.openai_v2",
    "openllmetry": "opentelemetry.instrumentation.openai",
    "openinference": "openinference.instrumentation.openai",
}
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}]  # fmt: skip
ASKED: list[Any] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "How is the weather in Paris? ☀"},
]


def main(emitter: str, base_url: str) -> None:
    traces, logs = TracerProvider(), LoggerProvider()
    traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
    trace.set_tracer_provider(traces)
    _logs.set_logger_provider(logs)
    importlib.import_module(EMITTERS[emitter]).OpenAIInstrumentor().instrument()
    client = openai.OpenAI(base_url=base_url, api_key="none", max_retries=0)
    with trace.get_tracer("application").start_as_current_span("turn", attributes={"step": "outer"}):
        for stream in (False, True):
            said = converse(
                client, {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
            )
            judge(logs, said)
    traces.shutdown()
    logs.shutdown()


def converse(client: openai.OpenAI, how: dict[str, Any]) -> str:
    """One turn that calls a tool, and one with its answer, whose id is returned."""
    known_id = ""
    call = {
        "id": "call_7",
        "type": "function",
        "function": {"name": "weather", "arguments": '{"city": "Paris"}'},
    }
    answer = {"role": "tool", "tool_call_id": "call_7", "content": "sunny"}
    for messages in (ASKED, [*ASKED, {"role": "assistant", "content": None, "tool_calls": [call]}, answer]):
        said: Any = client.chat.completions.create(
            model="gpt-4o-mini", temperature=0.3, messages=messages, tools=TOOLS, **how
        )
        for part in said if how else (said,):
            known_id = part.id
    return known_id


def judge(logs: LoggerProvider, response_id: str) -> None:
    """An evaluation, as the conventions have it: an event that names the answer."""
    about = {
        "gen_ai.response.id": response_id,
        "gen_ai.evaluation.name": "relevance",
        "gen_ai.evaluation.score.value": 0.75,
    }
    logs.get_logger("judge").emit(_logs.LogRecord(event_name="gen_ai.evaluation.result", attributes=about))


if __name__ == "__main__":
    main(*sys.argv[1:])
