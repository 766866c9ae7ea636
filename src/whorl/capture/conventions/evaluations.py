"""`gen_ai.evaluation.result`: somebody's judgement of an answer, as feedback."""

from typing import Any

from whorl.capture.conventions.aliases import JUDGES, Attributes
from whorl.capture.conventions.telemetry import Raw, at, beside

EVALUATION = "gen_ai.evaluation.result"


def evaluation_record(attributes: Attributes, trace_id: str | None, span_id: str | None, time_ns: int) -> Raw:
    """Feedback on the answer that the event names, else on the call at whose span it was written.

    A number is the value; where there is none, the label is. Who says so is taken for a model when there is an
    explanation or a model is named, else for code.
    """
    response_id, score = attributes.take("response_id"), attributes.take("evaluation_score")
    label, comment = attributes.take("evaluation_label"), attributes.take("evaluation_comment")
    judge, model = attributes.take("evaluation_kind"), attributes.take("request_model")
    raw: dict[str, Any] = {
        "name": attributes.take("evaluation_name"),
        "time": time_ns or None,
        "value": label if score is None else score,
        "prediction_id": response_id or at(trace_id, span_id),
        "session": attributes.take("conversation"),
        "kind": JUDGES.get(str(judge).lower()) or ("LLM_JUDGE" if comment or model else "CODE"),
        "source": model,
        "comment": comment,
    }
    return beside(raw, attributes.rest(), {"label": label, "trace_id": trace_id, "span_id": span_id})
