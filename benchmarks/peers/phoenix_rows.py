"""Makes tests/importers/phoenix/*.jsonl: what Phoenix exports of a small shop assistant that was traced and judged.

uv run --no-project --with arize-phoenix==20.26.1 --with arize-phoenix-otel --with openai
    --with openinference-instrumentation-openai==0.1.66 python benchmarks/peers/phoenix_rows.py

The model is a stand-in on loopback; OpenAI's client, its instrumentation, Phoenix's server and the exports are real.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import openai
from openinference.instrumentation import get_llm_attributes, using_attributes, using_session
from openinference.instrumentation.openai import OpenAIInstrumentor
from phoenix.client import Client
from phoenix.otel import register

HERE = Path(__file__).parents[2] / "tests" / "importers" / "phoenix"
URL, PROJECT = "http://127.0.0.1:16006", "shop"
SYSTEM = {"role": "system", "content": "Be brief."}
ASKED = {"role": "user", "content": "Where is order 17?"}
TOOL = {"type": "function", "function": {"name": "find_order", "parameters": {"type": "object"}}}
CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "find_order", "arguments": '{"order": 17}'},
}


class Model(BaseHTTPRequestHandler):
    """Calls a tool when it is offered one, else answers; fails when it is asked to."""

    calls = 0

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        Model.calls += 1
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        status, answer = 200, {"role": "assistant", "content": "It left on Tuesday."}
        if request.get("tools"):
            answer = {"role": "assistant", "content": None, "tool_calls": [CALL]}
        body: dict[str, Any] = {
            "id": f"chatcmpl-shop{Model.calls}",
            "object": "chat.completion",
            "created": 1_790_000_000,
            "model": "gpt-4o-mini-2024-07-18",
            "choices": [{"index": 0, "message": answer, "finish_reason": "stop"}],
            "usage": {
                "prompt_tokens": 30 + Model.calls,
                "completion_tokens": 9,
                "total_tokens": 39 + Model.calls,
            },
        }
        if "fail" in str(request["messages"][-1]["content"]):
            status, body = 500, {"error": {"message": "The model is overloaded."}}
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def trace(model_url: str) -> None:
    """Three traces: an agent with a tool and a retriever, a call that fails, a call by hand with a cost."""
    provider = register(project_name=PROJECT, endpoint=f"{URL}/v1/traces", batch=False, verbose=False)
    OpenAIInstrumentor().instrument(tracer_provider=provider)
    tracer = provider.get_tracer("shop")
    chat = openai.OpenAI(base_url=model_url, api_key="none", max_retries=0).chat.completions
    about = {
        "session_id": "session-1",
        "user_id": "user-7",
        "metadata": {"team": "support"},
        "tags": ["beta"],
    }
    with (
        using_attributes(**about),
        tracer.start_as_current_span("answer", openinference_span_kind="chain") as root,
    ):
        root.set_input(ASKED["content"])
        with tracer.start_as_current_span("look up", openinference_span_kind="retriever") as span:
            span.set_input("order 17")
            span.set_attribute("retrieval.documents.0.document.content", "Orders leave on Tuesdays.")
            span.set_attribute("retrieval.documents.0.document.score", 0.75)
        first = chat.create(model="gpt-4o-mini", messages=[SYSTEM, ASKED], tools=[TOOL])
        with tracer.start_as_current_span("find_order", openinference_span_kind="tool") as span:
            span.set_tool(name="find_order", parameters={"order": 17})
            span.set_output({"left": "Tuesday"})
        told = {"role": "tool", "tool_call_id": "call_1", "content": "Tuesday"}
        messages = [SYSTEM, ASKED, first.choices[0].message.to_dict(), told]
        root.set_output(chat.create(model="gpt-4o-mini", messages=messages).choices[0].message.content)
    with using_session("session-2"), suppress(openai.OpenAIError):
        chat.create(model="gpt-4o-mini", messages=[SYSTEM, {"role": "user", "content": "Please fail"}])
    with tracer.start_as_current_span("by hand", openinference_span_kind="llm") as span:
        contents = [{"type": "text", "text": "What is this?"}]
        span.set_attributes(
            get_llm_attributes(
                provider="anthropic",
                model_name="claude-sonnet-4-5",
                input_messages=[{"role": "user", "contents": contents}],
                output_messages=[{"role": "assistant", "content": "A whorl."}],
                token_count={"prompt": 12, "completion": 4, "total": 16},
            )
        )
        span.set_attribute("llm.cost.total", 0.0123)
    provider.force_flush()


def judge(client: Client, spans: list[Any]) -> None:
    """Annotations of every kind on a call, and one each on a chain, a trace and a session."""
    tool, answer = sorted(
        (s for s in spans if s["name"] == "ChatCompletion" and s["status_code"] == "OK"),
        key=lambda s: s["start_time"],
    )
    root = next(s for s in spans if s["name"] == "answer")
    on = {"span_id": answer["context"]["span_id"], "sync": True}
    say = client.spans.add_span_annotation
    say(
        **on,
        annotation_name="helpful",
        annotator_kind="HUMAN",
        label="yes",
        score=1,
        explanation="Right.",
        identifier="reviewer-1",
    )
    say(
        **on,
        annotation_name="tone",
        annotator_kind="LLM",
        label="kind",
        score=0.9,
        metadata={"model": "judge-1"},
    )
    say(**on, annotation_name="short", annotator_kind="CODE", score=1)
    say(
        span_id=tool["context"]["span_id"],
        annotation_name="topic",
        annotator_kind="HUMAN",
        label="orders",
        sync=True,
    )
    time.sleep(1.1)
    say(
        span_id=tool["context"]["span_id"],
        annotation_name="topic",
        annotator_kind="HUMAN",
        label="delivery",
        sync=True,
    )
    say(
        span_id=root["context"]["span_id"],
        annotation_name="solved",
        annotator_kind="HUMAN",
        label="solved",
        sync=True,
    )
    client.spans.add_span_note(span_id=on["span_id"], note="Ask for the day.")
    client.traces.add_trace_annotation(
        trace_id=root["context"]["trace_id"],
        annotation_name="complete",
        annotator_kind="CODE",
        score=0.5,
        sync=True,
    )
    client.sessions.add_session_annotation(
        session_id="session-1", annotation_name="satisfied", annotator_kind="HUMAN", label="yes", sync=True
    )


def export(client: Client, spans: list[Any]) -> None:
    """Spans and annotations as rows of the API, and as the data frames of the client."""
    for span in spans:
        for event in span["events"]:
            event["attributes"].pop("exception.stacktrace", None)  # it names folders
    api = httpx.Client(base_url=f"{URL}/v1/projects/{PROJECT}")
    ids = [span["context"]["span_id"] for span in spans]
    traces = sorted({span["context"]["trace_id"] for span in spans})
    said = [
        *api.get("/span_annotations", params={"span_ids": ids}).json()["data"],
        *api.get("/trace_annotations", params={"trace_ids": traces}).json()["data"],
        *api.get("/session_annotations", params={"session_ids": ["session-1"]}).json()["data"],
    ]
    for name, rows in (("spans", spans), ("annotations", said)):
        (HERE / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    frame = client.spans.get_spans_dataframe(project_identifier=PROJECT)
    judged = client.spans.get_span_annotations_dataframe(spans_dataframe=frame, project_identifier=PROJECT)
    frame.drop(columns="events").to_json(HERE / "spans_frame.jsonl", orient="records", lines=True)
    judged.reset_index().to_json(HERE / "annotations_frame.jsonl", orient="records", lines=True)


def main() -> None:
    model = HTTPServer(("127.0.0.1", 0), Model)
    threading.Thread(target=model.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as home:
        settings = {
            "PHOENIX_WORKING_DIR": home,
            "PHOENIX_HOST": "127.0.0.1",
            "PHOENIX_PORT": "16006",
            "PHOENIX_GRPC_PORT": "14317",
            "PHOENIX_TELEMETRY_ENABLED": "false",
        }
        command = [sys.executable, "-m", "phoenix.server.main", "serve"]
        server = subprocess.Popen(
            command, env=os.environ | settings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            up(server)
            client = Client(base_url=URL)
            trace(f"http://127.0.0.1:{model.server_port}/v1")
            spans: list[Any] = []
            while len(spans) < 7:
                time.sleep(0.5)
                spans = (
                    client.spans.get_spans(project_identifier=PROJECT)
                    if any(p["name"] == PROJECT for p in client.projects.list())
                    else []
                )
            judge(client, spans)
            export(client, spans)
        finally:
            server.terminate()
            server.wait()


def up(server: "subprocess.Popen[bytes]") -> None:
    """Returns once the server answers."""
    while server.poll() is None:
        with suppress(httpx.HTTPError):
            httpx.get(f"{URL}/healthz").raise_for_status()
            return
        time.sleep(0.5)
    raise RuntimeError("Phoenix did not start.")


if __name__ == "__main__":
    main()
