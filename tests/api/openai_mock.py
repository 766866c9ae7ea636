"""A stand-in for OpenAI's chat API on loopback: answers from a script of its own, and remembers what went in and out."""

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any

MODEL = "gpt-4o-mini-2024-07-18"
ANSWER = ["Sunny", " in Paris", ", 25 °C."]
CALL = {"id": "call_7", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}}


@dataclass
class Exchange:
    """One call: the messages it sent, the one it got, under which id and for how many tokens."""

    id: str
    asked: list[dict[str, Any]]
    answered: dict[str, Any]
    input_tokens: int
    output_tokens: int


@dataclass
class OpenAiMock:
    """Serves from when it is made until `close`. The first turn of a conversation with tools calls one."""

    exchanges: list[Exchange] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._numbers = count(1)
        mock = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
                kind, body = mock.answer(asked)
                self.send_response(200)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def answer(self, asked: dict[str, Any]) -> tuple[str, bytes]:
        """Media type and body."""
        number = next(self._numbers)
        calls = bool(asked.get("tools")) and asked["messages"][-1]["role"] != "tool"
        said: dict[str, Any] = {"role": "assistant", "content": None if calls else "".join(ANSWER)}
        if calls:
            said["tool_calls"] = [CALL]
        one = Exchange(f"chatcmpl-{id(self)}-{number}", asked["messages"], said, 20 + number, 3 * number)
        self.exchanges.append(one)
        usage = {"prompt_tokens": one.input_tokens, "completion_tokens": one.output_tokens}
        usage["total_tokens"] = sum(usage.values())
        reason = "tool_calls" if calls else "stop"
        about = {"id": one.id, "created": 1_700_000_000, "model": MODEL}
        if not asked.get("stream"):
            choice = {"index": 0, "message": said, "finish_reason": reason}
            whole = {**about, "object": "chat.completion", "choices": [choice], "usage": usage}
            return "application/json", json.dumps(whole).encode()
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
        deltas += (
            [{"tool_calls": part} for part in _call_in_parts()]
            if calls
            else [{"content": part} for part in ANSWER]
        )
        chunks: list[dict[str, Any]] = [{"choices": [_delta(delta, None)]} for delta in deltas]
        chunks += [{"choices": [_delta({}, reason)]}, {"choices": [], "usage": usage}]
        lines = [json.dumps({**about, "object": "chat.completion.chunk", **chunk}) for chunk in chunks]
        return "text/event-stream", "".join(f"data: {line}\n\n" for line in [*lines, "[DONE]"]).encode()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _delta(delta: dict[str, Any], reason: str | None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": reason}


def _call_in_parts() -> list[list[dict[str, Any]]]:
    name, text = CALL["function"]["name"], CALL["function"]["arguments"]  # type: ignore[index]
    first = {"index": 0, "id": CALL["id"], "type": "function", "function": {"name": name, "arguments": ""}}
    rest = [{"index": 0, "function": {"arguments": part}} for part in (text[:9], text[9:])]
    return [[part] for part in (first, *rest)]
