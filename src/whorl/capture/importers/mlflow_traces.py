"""MLflow traces, as `Trace.to_dict()` gives them: a trace is a prediction, its feedback is ours, its expectations are labels.

The steps within a trace are kept as spans. How a tracking store is read is in `mlflow_store.py`.
"""

from base64 import b64decode
from typing import Any

import msgspec

from whorl.capture.importers.chat import answer_of, decoded, given, messages_of
from whorl.capture.importers.native import Native, Own, Raw
from whorl.capture.mapping import Kind

# A source that is not said is code, as MLflow has it.
_JUDGES = {"AI_JUDGE": "LLM_JUDGE", "SOURCE_TYPE_UNSPECIFIED": "CODE"}
IN_PROGRESS = "{n} trace(s) are still in progress; they come with a later run."
ISSUES = "{n} trace(s) have references to issues, which are not taken."


def records(own: Own, row: Raw) -> Native | None:
    """A prediction, and what people, code and judges said of it."""
    row = own(row)
    info, data = row.get("info"), row.get("data")
    if not isinstance(info, dict) or not isinstance(info.get("trace_id"), str):
        return None
    info = {**info, **{name: own(info.get(name) or {}) for name in ("trace_metadata", "tags")}}
    if info.get("state") == "IN_PROGRESS":
        return Native([], IN_PROGRESS)
    spans = [_span(own, span) for span in (data or {}).get("spans") or []]
    found: list[tuple[Kind, Raw]] = [("predictions", _prediction(info, spans))]
    found += [("spans", _step(info, span)) for span in spans]
    assessments = [one for one in info.get("assessments") or [] if one.get("valid") is not False]
    found += [said for one in assessments if (said := _said(info["trace_id"], one)) is not None]
    return Native(found, ISSUES if any("issue" in one for one in assessments) else "")


def _prediction(info: Raw, spans: list[Raw]) -> Raw:
    meta, tags = info["trace_metadata"], info["tags"]
    root = next((span for span in spans if not span.get("parent_span_id")), {}).get("attributes", {})
    inputs = root.get("mlflow.spanInputs", info.get("request_preview"))
    outputs = root.get("mlflow.spanOutputs", info.get("response_preview"))
    models = [model for span in spans if (model := span["attributes"].get("mlflow.llm.model"))]
    tokens, cost = _numbers(meta, "mlflow.trace.tokenUsage"), _numbers(meta, "mlflow.trace.cost")
    return given(
        id=info["trace_id"],
        trace_id=info["trace_id"],
        time=info.get("request_time"),
        messages=messages_of(inputs),
        output=answer_of(outputs),
        group=meta.get("mlflow.trace.user"),
        session=meta.get("mlflow.trace.session"),
        model_version=models[-1] if models else meta.get("mlflow.modelId"),
        input_tokens=tokens.get("input_tokens"),
        output_tokens=tokens.get("output_tokens"),
        cost_usd=cost.get("total_cost"),
        latency_ms=info.get("execution_duration_ms"),
        extra=given(
            name=tags.get("mlflow.traceName"),
            state=info.get("state"),
            client_request_id=info.get("client_request_id"),
            run_id=meta.get("mlflow.sourceRun"),
            **{name: value for name, value in (meta | tags).items() if not name.startswith("mlflow.")},
        ),
    )


def _said(trace_id: str, one: Raw) -> tuple[Kind, Raw] | None:
    """One assessment; None for a reference to an issue."""
    source: Raw = one.get("source") or {}
    kind = source.get("source_type")
    shared = given(
        id=_id(one), prediction_id=trace_id, time=one.get("last_update_time"), source=source.get("source_id")
    )
    extra = given(
        span_id=one.get("span_id"),
        run_id=one.get("run_id"),
        overrides=one.get("overrides"),
        **(one.get("metadata") or {}),
    )
    if isinstance(one.get("expectation"), dict):
        extra |= given(name=one.get("assessment_name"), kind=kind, comment=one.get("rationale"))
        return "labels", {**shared, "value": _value(one["expectation"]), "extra": extra}
    if isinstance(one.get("feedback"), dict):
        feedback = given(
            name=one.get("assessment_name"),
            value=one["feedback"].get("value"),
            kind=_JUDGES.get(str(kind), kind),
            comment=one.get("rationale"),
            extra=extra | given(error=one["feedback"].get("error")),
        )
        return "feedback", shared | feedback
    return None


def _id(one: Raw) -> Any:
    """An assessment that was edited in place is a further record, with the time of the edit in its id."""
    edited = one.get("last_update_time")
    own = one.get("assessment_id")
    return own if edited == one.get("create_time") else f"{own}@{edited}"


def _value(expectation: Raw) -> Any:
    serialized = expectation.get("serialized_value")
    return decoded(serialized.get("value")) if isinstance(serialized, dict) else expectation.get("value")


def _step(info: Raw, span: Raw) -> Raw:
    start, end = span.get("start_time_unix_nano"), span.get("end_time_unix_nano")
    failed = (span.get("status") or {}).get("code") == "STATUS_CODE_ERROR"
    attributes = {
        name: value for name, value in span["attributes"].items() if name not in ("mlflow.traceRequestId",)
    }
    return given(
        id=span.get("span_id"),
        trace_id=info["trace_id"],
        parent_id=span.get("parent_span_id"),
        prediction_id=None if span.get("parent_span_id") else info["trace_id"],
        name=span.get("name"),
        time=start,
        duration_ms=(end - start) / 1e6 if start and end else None,
        status="error" if failed else "ok",
        attributes=attributes,
    )


def _span(own: Own, span: Raw) -> Raw:
    """A span with its attributes decoded and its ids as hexadecimal text."""
    attributes = own({name: _attribute(value) for name, value in (span.get("attributes") or {}).items()})
    ids = {name: _hex(span.get(name)) for name in ("span_id", "parent_span_id")}
    return {**span, **ids, "attributes": attributes}


def _attribute(value: Any) -> Any:
    """MLflow keeps each attribute as JSON text."""
    try:
        return msgspec.json.decode(value) if isinstance(value, str) else value
    except msgspec.DecodeError:
        return value


def _hex(value: Any) -> Any:
    """MLflow writes ids as the base64 of their bytes."""
    return b64decode(value).hex() if isinstance(value, str) and value.endswith("=") else value


def _numbers(meta: Raw, name: str) -> Raw:
    found = decoded(meta.get(name))
    return found if isinstance(found, dict) else {}
