"""TensorZero's rows, from ClickHouse or PostgreSQL, each as one JSON object; the columns tell which table a row is of.

An inference is a prediction. Rows of `ModelInference` complete it with model, tokens and cost; demonstrations are labels;
metrics and comments are feedback. Schemas: tensorzero/tensorzero, `docs/gateway/data-model.mdx` and
`crates/tensorzero-core/src/db/postgres/migrations`.
"""

from collections.abc import Iterator
from typing import Any

from whorl.capture.importers.chat import Message, decoded, given, text
from whorl.capture.importers.native import Native, Own, Raw, uuid7_time

_USER = ("user_id", "user", "customer_id")


def records(own: Own, row: Raw) -> Native | None:
    """What one row holds."""
    row = own(row)
    if not isinstance(row.get("id"), str):
        return None
    if "inference_id" in row and "model_name" in row:
        return Native([("predictions", _model_call(row))])
    if "inference_id" in row and "value" in row:
        return Native([("labels", _demonstration(row))])
    if "target_id" in row and "value" in row and ("metric_name" in row or "target_type" in row):
        return Native([("feedback", _feedback(row))])
    if ("input" in row and "output" in row and "dataset_name" not in row) or "variant_name" in row:
        return Native([("predictions", _inference(row))])
    return None


def _inference(row: Raw) -> Raw:
    """A chat or JSON inference; PostgreSQL keeps one in two tables, whose rows complete each other."""
    tags = _tags(row)
    parameters = decoded(row.get("inference_params"))
    schema = decoded(row.get("output_schema"))
    return given(
        id=row["id"],
        time=_time(row, "id"),
        messages=list(_messages(decoded(row.get("input")))),
        output=_output(decoded(row.get("output"))),
        group=next((tags[name] for name in _USER if tags.get(name)), row.get("episode_id")),
        session=row.get("episode_id"),
        variant=row.get("variant_name"),
        latency_ms=row.get("processing_time_ms"),
        extra=given(
            function_name=row.get("function_name"),
            ttft_ms=row.get("ttft_ms"),
            tags=tags,
            inference_params=parameters,
            output_schema=schema,
        ),
    )


def _model_call(row: Raw) -> Raw:
    """Has the time of its inference, which it completes."""
    return given(
        id=row["inference_id"],
        time=_time(row, "inference_id"),
        model_version=row.get("model_name"),
        input_tokens=row.get("input_tokens"),
        output_tokens=row.get("output_tokens"),
        cost_usd=row.get("cost"),
        extra=given(
            model_provider_name=row.get("model_provider_name"), finish_reason=row.get("finish_reason")
        ),
    )


def _demonstration(row: Raw) -> Raw:
    shared = given(id=row["id"], prediction_id=row["inference_id"], time=_time(row, "id"), extra=_extra(row))
    return {**shared, "source": "demonstration", "value": _output(decoded(row["value"]))}


def _feedback(row: Raw) -> Raw:
    """A metric's row does not say whether it is about an inference or an episode: it names both, and one of them is there."""
    target, level, tags = row["target_id"], row.get("target_type"), _tags(row)
    judged = "tensorzero::evaluator_inference_id" in tags and "tensorzero::human_feedback" not in tags
    comment = row.get("metric_name") is None
    return given(
        id=row["id"],
        prediction_id=None if level == "episode" else target,
        session=None if level == "inference" else target,
        name="comment" if comment else row["metric_name"],
        value=None if comment else row["value"],
        comment=row["value"] if comment else None,
        time=_time(row, "id"),
        kind="LLM_JUDGE" if judged else "HUMAN",
        source=tags.get("author"),
        extra=_extra(row),
    )


def _messages(given_input: Any) -> Iterator[Message]:
    if not isinstance(given_input, dict):
        return
    if given_input.get("system"):
        yield {"role": "system", "content": text(given_input["system"])}
    for message in given_input.get("messages") or []:
        yield from _of_message(message["role"], message.get("content"))


def _of_message(role: str, content: Any) -> Iterator[Message]:
    """One message of theirs; the results of tools are messages of their own in ours."""
    blocks = content if isinstance(content, list) else [{"type": "text", "text": content}]
    for block in blocks:
        if block.get("type") == "tool_result":
            yield {"role": "tool", "tool_call_id": str(block.get("id")), "content": text(block.get("result"))}
    rest = [block for block in blocks if block.get("type") != "tool_result"]
    if rest:
        yield _said(role, rest)


def _said(role: str, blocks: list[Raw]) -> Message:
    calls = [_call(block) for block in blocks if block.get("type") == "tool_call"]
    parts = [_part(block) for block in blocks if block.get("type") not in ("tool_call", "thought")]
    texts = [part["text"] for part in parts if part.get("type") == "text"]
    content: Any = "\n".join(texts) if len(texts) == len(parts) else parts
    message: Message = {"role": role, "content": content or None}
    return {**message, "tool_calls": calls} if calls else message


def _part(block: Raw) -> Raw:
    """Text in any of its shapes (plain, by the arguments of a template, raw) as a text part; other parts as they are."""
    if block.get("type") not in ("text", "raw_text", "template"):
        return block
    value = next((block[key] for key in ("text", "value", "arguments") if block.get(key) is not None), "")
    return {"type": "text", "text": text(value)}


def _call(block: Raw) -> Raw:
    arguments = block.get("raw_arguments", block.get("arguments"))
    function = {"name": block.get("name") or block.get("raw_name"), "arguments": text(arguments)}
    return {"id": block.get("id"), "type": "function", "function": function}


def _output(output: Any) -> Any:
    """The text of a chat function, the whole message where it calls tools, or the object of a JSON function."""
    if isinstance(output, list) and all(isinstance(block, dict) for block in output):
        message = _said("assistant", output)
        return message if message.get("tool_calls") else message["content"]
    if isinstance(output, dict) and set(output) <= {"raw", "parsed"}:
        return output["raw"] if output.get("parsed") is None else output["parsed"]
    return output


def _time(row: Raw, name: str) -> Any:
    """Their ids hold the time to the millisecond, their column only to the second."""
    return uuid7_time(row[name]) or row.get("timestamp") or row.get("created_at")


def _tags(row: Raw) -> Raw:
    tags = decoded(row.get("tags"))
    return tags if isinstance(tags, dict) else {}


def _extra(row: Raw) -> Raw:
    return given(tags=_tags(row))
