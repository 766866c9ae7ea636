"""Langfuse's exports: traces, observations and scores, from its blob storage export, its API (also v2 and v3) or its pages.

A trace is a prediction: what was asked and answered. A generation is one too, with its trace as `trace_id`; it has the tokens
and the cost. Other observations are spans. Fields come in snake_case (blob storage) or camelCase (API, pages); both are read
as snake_case. Schemas: langfuse/langfuse-docs, "Blob storage export field reference", and the API's OpenAPI description.
"""

import re
from datetime import datetime
from typing import Any

from whorl.capture.importers.chat import answer_of, decoded, given, messages_of
from whorl.capture.importers.native import Native, Own, Raw
from whorl.capture.mapping import Kind

_STEPS = ("SPAN", "EVENT", "AGENT", "TOOL", "CHAIN", "RETRIEVER", "EVALUATOR", "EMBEDDING", "GUARDRAIL")
_KINDS = {"ANNOTATION": "HUMAN", "EVAL": "LLM_JUDGE", "API": "CODE"}
_CAMEL = re.compile(r"(?<=[a-z0-9])([A-Z])")
Found = list[tuple[Kind, Raw]]


def records(own: Own, row: Raw) -> Native | None:
    """A trace, an observation or a score; or a trace with its observations and scores inside it."""
    if isinstance(row.get("trace"), dict):
        row = {**row["trace"], **{name: value for name, value in row.items() if name != "trace"}}
    row = _about(own(_snake(own(row))))
    if not isinstance(row.get("id"), str):
        return None
    if row.get("name") and row.get("source") in _KINDS and ("value" in row or "string_value" in row):
        return Native([_score(row)])
    if row.get("type") == "GENERATION" and row.get("start_time"):
        return Native([*_root(row), ("predictions", _generation(row))])
    if row.get("type") in _STEPS and row.get("start_time"):
        return Native([*_root(row), ("spans", _step(row))])
    if "timestamp" in row and ("input" in row or "session_id" in row or "user_id" in row):
        return Native([("predictions", _trace(row, _group_of_trace(row))), *_inside(own, row)])
    return None


def _trace(row: Raw, group: Any) -> Raw:
    """What was asked and answered; its tokens and cost are with its generations."""
    return given(
        id=row["id"],
        trace_id=row["id"],
        time=_time(row["timestamp"]),
        messages=messages_of(row.get("input")),
        output=answer_of(row.get("output")),
        group=group,
        session=row.get("session_id"),
        latency_ms=row["latency"] * 1000 if isinstance(row.get("latency"), (int, float)) else None,
        extra=_context(row)
        | given(
            name=row.get("name"),
            total_cost=row.get("total_cost"),
            user_id=None if row.get("user_id") == group else row.get("user_id"),
        ),
    )


def _generation(row: Raw) -> Raw:
    trace, usage, cost = row.get("trace_id"), _usage(row), row.get("cost_details") or {}
    whole = row.get("total_cost", row.get("calculated_total_cost", cost.get("total")))
    return given(
        id=row["id"],
        trace_id=trace,
        parent_id=row.get("parent_observation_id") or trace,
        time=_time(row["start_time"]),
        messages=messages_of(row.get("input")),
        output=answer_of(row.get("output")),
        group=_group(row, trace),
        session=row.get("session_id"),
        model_version=row.get("provided_model_name") or row.get("model"),
        variant=_prompt(row),
        input_tokens=usage.get("input"),
        output_tokens=usage.get("output"),
        cost_usd=whole,
        latency_ms=_duration_ms(row),
        extra=_context(row)
        | given(
            name=row.get("name"),
            level=None if row.get("level") == "DEFAULT" else row.get("level"),
            status_message=row.get("status_message"),
            model_parameters=decoded(row.get("model_parameters")),
            usage=usage,
        ),
    )


def _root(row: Raw) -> Found:
    """The trace of an enriched export or of API v2, which have no rows of traces: its root observation stands for it."""
    whole = "trace_name" in row and not row.get("parent_observation_id")
    if not (whole or row.get("is_root_observation")) or not row.get("trace_id"):
        return []
    of_trace = {name: row.get(name) for name in ("input", "output", "user_id", "session_id", "tags")}
    of_trace |= {name: row.get(name) for name in ("environment", "release", "version", "metadata")}
    of_trace |= {"id": row["trace_id"], "timestamp": row["start_time"], "name": row.get("trace_name")}
    root = _trace(of_trace, _group(row, row["trace_id"]))
    return [("predictions", root | given(latency_ms=_duration_ms(row)))]


def _step(row: Raw) -> Raw:
    attributes = {name: decoded(row.get(name)) for name in ("type", "input", "output", "metadata", "level")}
    return given(
        id=row["id"],
        trace_id=row.get("trace_id"),
        parent_id=row.get("parent_observation_id"),
        name=row.get("name"),
        time=_time(row["start_time"]),
        duration_ms=_duration_ms(row),
        status="error" if row.get("level") == "ERROR" else "ok",
        attributes=given(**attributes, status_message=row.get("status_message")),
    )


def _score(row: Raw) -> tuple[Kind, Raw]:
    kind, value = row.get("data_type"), row.get("value")
    if kind in ("CATEGORICAL", "TEXT", "CORRECTION"):
        value = row.get("string_value", value)
    elif kind == "BOOLEAN" and value is not None:
        value = bool(value)
    shared = given(
        id=row["id"],
        prediction_id=row.get("observation_id") or row.get("trace_id"),
        time=_time(row.get("timestamp") or row.get("created_at")),
        source=row.get("author_user_id") or row["source"],
    )
    extra = given(
        trace_id=row.get("trace_id"), dataset_run_id=row.get("dataset_run_id"), config_id=row.get("config_id"),
        environment=row.get("environment"), metadata=row.get("metadata"),
    )  # fmt: skip
    if kind == "CORRECTION":
        return "labels", shared | {"value": value, "extra": extra | given(name=row["name"])}
    said = given(
        name=row["name"], value=value, kind=_KINDS[row["source"]], comment=row.get("comment"),
        session=row.get("session_id"), extra=extra,
    )  # fmt: skip
    return "feedback", shared | said


def _inside(own: Own, row: Raw) -> Found:
    """What a trace holds when it was downloaded whole; its observations get its user and session."""
    context = {name: row[name] for name in ("user_id", "session_id", "environment") if row.get(name)}
    found: Found = []
    for name, beside in (
        ("observations", context | {"trace_id": row["id"]}),
        ("scores", {"trace_id": row["id"]}),
    ):
        inner = row.get(name)
        for one in inner if isinstance(inner, list) else []:
            native = records(own, {**beside, **one}) if isinstance(one, dict) else None
            found += native.records if native is not None else []
    return found


def _snake(row: Raw) -> Raw:
    return {_CAMEL.sub(r"_\1", name).lower(): value for name, value in row.items()}


def _about(row: Raw) -> Raw:
    """API v3 says what a score is about in one object; here, as in all other exports, by the name of its kind."""
    subject = row.get("subject")
    if not isinstance(subject, dict):
        return row
    subject = _snake(subject)
    named = "dataset_run_id" if subject.get("kind") == "experiment" else f"{subject.get('kind')}_id"
    return {**row, "trace_id": subject.get("trace_id"), named: subject.get("id")}


def _context(row: Raw) -> Raw:
    names = ("environment", "release", "version", "tags", "metadata")
    return given(**{name: decoded(row.get(name)) for name in names})


def _group_of_trace(row: Raw) -> Any:
    """By its user where its generations come with it; elsewhere they do not know the user, and it goes by itself as they do."""
    inner = row.get("observations")
    together = isinstance(inner, list) and any(isinstance(one, dict) for one in inner)
    return _group(row, row["id"]) if together else row["id"]


def _group(row: Raw, trace: Any) -> Any:
    """A trace and its generations say the same, so all of them must be on one side of the holdout."""
    return row.get("user_id") or row.get("session_id") or trace


def _prompt(row: Raw) -> str | None:
    name, version = row.get("prompt_name"), row.get("prompt_version")
    return f"{name}:{version}" if name and version is not None else name


def _usage(row: Raw) -> Raw:
    found = decoded(row.get("usage_details") or row.get("usage") or {})
    return found if isinstance(found, dict) else {}


def _duration_ms(row: Raw) -> float | None:
    """From the two times: exports made before April 2026 give `latency` in another unit than later ones."""
    try:
        start, end = (datetime.fromisoformat(_time(row[name])) for name in ("start_time", "end_time"))
        return (end - start).total_seconds() * 1000
    except (KeyError, TypeError, ValueError):
        return None


def _time(value: Any) -> Any:
    """Blob storage exports write UTC without saying so."""
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?", value):
        return value + "+00:00"
    return value
