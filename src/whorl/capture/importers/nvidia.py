"""Log lines of NVIDIA's data flywheel blueprint: one chat completion each, as it was asked and answered.

Fields: timestamp, workload_id, client_id, request, response; also inside an Elasticsearch dump's `_source`. The schema is in
the README of NVIDIA-AI-Blueprints/data-flywheel, "Log schema".
"""

from typing import Any

from whorl.capture.importers.chat import answer_of, given, messages_of
from whorl.capture.importers.native import Native, Own, Raw, content_id


def records(own: Own, row: Raw) -> Native | None:
    """A prediction. Its id is the response's, so that feedback can name it."""
    if isinstance(row.get("_source"), dict):
        return records(own, row["_source"])
    row = own(row)
    request, response = row.get("request"), row.get("response")
    if not isinstance(request, dict) or not isinstance(response, dict) or "timestamp" not in row:
        return None
    usage: Any = response.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    settings = {name: value for name, value in request.items() if name not in ("messages", "model", "user")}
    choices: Any = response.get("choices") or [{}]
    prediction = given(
        id=_id(row, response),
        time=row["timestamp"],
        messages=messages_of(request.get("messages")),
        output=answer_of(response),
        group=request.get("user"),
        model_version=response.get("model") or request.get("model"),
        input_tokens=usage.get("prompt_tokens"),
        output_tokens=usage.get("completion_tokens"),
        extra=given(
            workload_id=row.get("workload_id"),
            client_id=row.get("client_id"),
            finish_reason=choices[0].get("finish_reason") if isinstance(choices[0], dict) else None,
            request=settings,
        ),
    )
    return Native([("predictions", prediction)])


def _id(row: Raw, response: Raw) -> Any:
    """The blueprint's own loader names a response by its second: many share that, so those go by their content."""
    own = response.get("id")
    return content_id("nvidia", row) if own in (None, "", f"chatcmpl-{row['timestamp']}") else own
