"""Somebody's judgement of an answer, as feedback: an event `gen_ai.evaluation.result`, or OpenInference's annotations on a span."""

from collections.abc import Iterator
from typing import Any

from whorl.capture.conventions.aliases import ALIASES, JUDGES, Attributes
from whorl.capture.conventions.telemetry import Declared, Raw, at, beside

EVALUATION = "gen_ai.evaluation.result"
_OF_STEP = ("annotations", "evaluations")
_OF_TRACE = ("trace_annotations", "trace_evaluations")
_OF_SESSION = ("session_annotations", "session_evaluations")
_PREFIXES = tuple(
    key.removesuffix("N")
    for meaning in (*_OF_STEP, *_OF_TRACE, *_OF_SESSION)
    for key in ALIASES[meaning].keys
)


def evaluation_record(attributes: Attributes, trace_id: str | None, span_id: str | None, time: Any) -> Raw:
    """Feedback on the answer that the event names, else on the call at whose span it was written.

    A number is the value; where there is none, the label is. Who says so is taken for a model when there is an
    explanation or a model is named, else for code.

    Args:
        time: When it was said, in any form that a record may have it.
    """
    response_id, score = attributes.take("response_id"), attributes.take("evaluation_score")
    label, comment = attributes.take("evaluation_label"), attributes.take("evaluation_comment")
    judge, model = attributes.take("evaluation_kind"), attributes.take("request_model")
    raw: dict[str, Any] = {
        "name": attributes.take("evaluation_name"),
        "time": time or None,
        "value": label if score is None else score,
        "prediction_id": response_id or at(trace_id, span_id),
        "session": attributes.take("conversation"),
        "kind": JUDGES.get(str(judge).lower()) or ("LLM_JUDGE" if comment or model else "CODE"),
        "source": model or attributes.take("evaluation_source"),
        "comment": comment,
    }
    return beside(raw, attributes.rest(), {"label": label, "trace_id": trace_id, "span_id": span_id})


def take_annotations(
    values: dict[str, Any], step: Raw, declared: Declared
) -> tuple[list[Raw], dict[str, Any]]:
    """Feedback that lies on a span, about the step there, its trace or its session; and the attributes without it."""
    if not any(key.startswith(_PREFIXES) for key in values):
        return [], values
    attributes = declared.attributes(values)
    trace_id, time = step["trace_id"], step["time"]
    said = [evaluation_record(about, trace_id, step["id"], time) for about in _counted(attributes, *_OF_STEP)]
    said += [
        {**evaluation_record(about, trace_id, None, time), "prediction_id": trace_id}
        for about in _counted(attributes, *_OF_TRACE)
    ]
    session = declared.attributes(values).take("conversation")
    said += [
        {**evaluation_record(about, None, None, time), "session": session}
        for about in _counted(attributes, *_OF_SESSION)
    ]
    return said, attributes.untaken()


def _counted(attributes: Attributes, *meanings: str) -> Iterator[Attributes]:
    """Each as attributes of its own, under their full names (`annotation.score`)."""
    for meaning in meanings:
        for node in attributes.take_counted(meaning):
            named = {
                f"{kind}.{name}": value
                for kind, about in node.items()
                if isinstance(about, dict)
                for name, value in about.items()
            }
            yield Attributes(named)
