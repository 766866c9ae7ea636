"""Telemetry with a secret of its own in each place: spans, events, log records, good ones and bad ones, in both encodings."""

import gzip
import json
from itertools import count
from typing import Any

import msgspec
from google.protobuf.json_format import ParseDict  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

START_NS = 1_767_175_200_000_000_000
CALL = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}
_spans = count(1)


def over_otlp(run: Any) -> None:
    good = [
        _span(run, _about(run) | CALL),
        _span(run, _about(run)),
        _span(run, _as_openinference(run) | CALL),
    ]
    refused = [
        _span(run, _about(run) | CALL | {"amount": run.secret()}),
        _span(run, _about(run) | CALL | {"said.score": run.secret()}),
        _span(run, _about(run) | CALL, startTimeUnixNano="0"),
        _span(run, _about(run) | CALL, spanId="00"),
        _span(run, {key: value for key, value in _about(run).items() if key != "user.ok"} | CALL),
        _span(run, _about(run) | CALL | {"user.ok": False, "plain": run.secret("{}")}),
    ]
    for spans in ([*good, *refused], *([one] for one in refused)):
        _export(
            run, "traces", {"resourceSpans": [{"resource": _resource(run), "scopeSpans": [{"spans": spans}]}]}
        )
    records = [
        _event(
            "gen_ai.user.message", {"content": f"I am {run.secret()}", "name": run.secret("{}")}, _about(run)
        ),
        _event("gen_ai.choice", {"index": 0, "message": {"content": run.secret()}}, _about(run)),
        _event("gen_ai.evaluation.result", None, _about(run) | _judged(run)),
        _event("my.app.event", run.secret("{}"), _about(run)),
        _event("gen_ai.user.message", run.secret(), {"user.ok": False, "plain": run.secret("{}")}),
    ]
    _export(
        run, "logs", {"resourceLogs": [{"resource": _resource(run), "scopeLogs": [{"logRecords": records}]}]}
    )
    _bad_bodies(run)


def _about(run: Any) -> dict[str, Any]:
    """Attributes for which [capture] asks something, each with a secret."""
    hidden = run.secret
    said = [
        {"role": "user", "name": hidden("{}"), "parts": [{"type": "text", "content": f"I am {hidden()}"}]}
    ]
    answered = [
        {"role": "assistant", "parts": [{"type": "tool_call", "name": "f", "arguments": {"to": hidden()}}]}
    ]
    return {
        "user.ok": True, "holder": hidden("Mr {}"), "user.name": hidden("Ms {}"), "user.mail": hidden(),
        "city": hidden("city {}"), "long": hidden("abcdefgh {}"), "note": f"mail {hidden()} now", "deep": {"list": [hidden()]},
        "gen_ai.input.messages": json.dumps(said), "gen_ai.output.messages": json.dumps(answered),
        "gen_ai.tool.definitions": json.dumps([{"description": hidden()}]), "error.type": hidden(),
        f"said by {hidden()}": 1,
    }  # fmt: skip


def _as_openinference(run: Any) -> dict[str, Any]:
    hidden = run.secret
    return {
        "user.ok": True, "llm.input_messages.0.message.role": "user", "llm.input_messages.0.message.content": hidden(),
        "llm.output_messages.0.message.content": hidden(), "input.value": json.dumps({"messages": [{"content": hidden()}]}),
        "output.value": f"said {hidden()}", "metadata": json.dumps({"mail": hidden()}),
    }  # fmt: skip


def _judged(run: Any) -> dict[str, Any]:
    return {"gen_ai.evaluation.name": "polite", "gen_ai.evaluation.score.label": run.secret(),
            "gen_ai.evaluation.explanation": f"they said {run.secret()}"}  # fmt: skip


def _span(run: Any, about: dict[str, Any], **over: Any) -> dict[str, Any]:
    raised = {
        "exception.type": "E",
        "exception.message": f"no {run.secret()}",
        "exception.stacktrace": run.secret(),
    }
    events = [
        _event("exception", None, raised),
        _event("gen_ai.evaluation.result", None, about | _judged(run)),
    ]
    return {
        "traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": f"{next(_spans):016x}", "name": f"to {run.secret()}",
        "startTimeUnixNano": str(START_NS), "endTimeUnixNano": str(START_NS + 10), "attributes": _listed(about),
        "status": {"code": 2, "message": f"failed for {run.secret()}"}, "traceState": run.secret("k={}"),
        "events": [{"name": one["eventName"], "timeUnixNano": str(START_NS), "attributes": one["attributes"]} for one in events],
        **over,
    }  # fmt: skip


def _event(name: str, body: Any, about: dict[str, Any]) -> dict[str, Any]:
    record = {
        "eventName": name, "timeUnixNano": str(START_NS), "attributes": _listed(about),
        "traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": f"{next(_spans):016x}",
    }  # fmt: skip
    return record if body is None else record | {"body": _value(body)}


def _resource(run: Any) -> dict[str, Any]:
    named = {
        "service.name": f"of {run.secret()}",
        "holder": run.secret("Mr {}"),
        "host.name": run.secret("h {}"),
    }
    return {"attributes": _listed(named)}


def _export(run: Any, what: str, request: dict[str, Any]) -> None:
    post, url = run.client.post, f"/v1/{what}"
    run.said.append(post(url, json=request).text)
    message = ParseDict(
        _renumbered(request), ExportTraceServiceRequest() if what == "traces" else ExportLogsServiceRequest()
    )
    headers = {"content-type": "application/x-protobuf", "content-encoding": "gzip"}
    run.said.append(post(url, content=gzip.compress(message.SerializeToString()), headers=headers).text)


def _bad_bodies(run: Any) -> None:
    """Requests that are refused whole."""
    form = {"json": "application/json", "protobuf": "application/x-protobuf"}
    for what in ("traces", "logs"):
        for body, headers in (
            (f'{{"resourceSpans": [{{"scopeSpans": "{run.secret()}"}}]}}', {"content-type": form["json"]}),
            (f'{{"resourceLogs": "{run.secret()}", "{run.secret()}": 1', {"content-type": form["json"]}),
            (b"\x0a\xff" + run.secret().encode(), {"content-type": form["protobuf"]}),
            (run.secret(), {"content-type": form["json"], "content-encoding": "gzip"}),
            (run.secret(), {"content-type": "text/plain"}),
        ):
            run.said.append(run.client.post(f"/v1/{what}", content=body, headers=headers).text)
        named = {"x-whorl-flywheel": run.secret("{}")}
        run.said.append(run.client.post(f"/v1/{what}", json={}, headers=named).text)


def _listed(about: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in about.items()]


def _value(plain: Any) -> dict[str, Any]:
    match plain:
        case bool():
            return {"boolValue": plain}
        case int():
            return {"intValue": str(plain)}
        case list():
            return {"arrayValue": {"values": [_value(one) for one in plain]}}
        case dict():
            return {"kvlistValue": {"values": _listed(plain)}}
    return {"stringValue": plain}


def _renumbered(request: dict[str, Any]) -> dict[str, Any]:
    """The same with ids of its own, which protobuf's JSON wants in base64: a request that came before adds nothing."""
    copied = msgspec.json.decode(msgspec.json.encode(request))
    for group in (*copied.get("resourceSpans", ()), *copied.get("resourceLogs", ())):
        for scope in (*group.get("scopeSpans", ()), *group.get("scopeLogs", ())):
            for one in (*scope.get("spans", ()), *scope.get("logRecords", ())):
                one["traceId"], one["spanId"] = "CvdlGRbNQ92ESOshHIAxnA==", f"{next(_spans):011d}="
    return copied
