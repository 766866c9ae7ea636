"""[schema]: where things are in your records, and which of them the model sees."""

from typing import Annotated, Any, Literal

from whorl.spec.knobs.knob import Knobs, knob

FeatureType = Literal["float", "int", "bool", "category", "text"]


class FeatureSpec(Knobs, frozen=True, kw_only=True):
    type: Annotated[FeatureType, knob("How the value is read and given to the trainer.")]
    path: Annotated[
        str | None, knob("Dotted path in your records; default: the name itself, then `features.<name>`.")
    ] = None


class SchemaSpec(Knobs, frozen=True, kw_only=True):
    id: Annotated[str, knob("Path of the prediction's id.")] = "id"
    time: Annotated[
        str, knob("Path of the prediction's event time (ISO 8601 or epoch; without zone it is UTC).")
    ] = "time"
    group: Annotated[str | None, knob("Path of what must not straddle the holdout: user, account.")] = None
    session: Annotated[str | None, knob("Path of the session or conversation id.")] = None
    keys: Annotated[dict[str, str], knob("Business keys by which labels may be joined: name = path.")] = {}
    score: Annotated[
        str | None, knob("Path of the score: P(positive) for binary, the number for regression.")
    ] = None
    scores: Annotated[str | None, knob("Path of an object with one probability per class.")] = None
    output: Annotated[str | None, knob("Path of the answer: class, number or text.")] = None
    action: Annotated[str | None, knob("Path of what was done because of the prediction.")] = None
    propensity: Annotated[str | None, knob("Path of the probability with which the action was taken.")] = None
    censored: Annotated[list[str], knob("Actions that hide the truth, such as 'blocked'.")] = []
    model_version: Annotated[str | None, knob("Path of the version of the model that answered.")] = None
    feature_version: Annotated[str | None, knob("Path of the version of the feature code.")] = None
    messages: Annotated[str | None, knob("Path of the list of chat messages.")] = None
    items: Annotated[str | None, knob("Path of the list of ranked items.")] = None
    content: Annotated[str | None, knob("Path of the list of contents kept elsewhere, by URI.")] = None
    latency: Annotated[str | None, knob("Path of the answer's latency.", "ms")] = None
    cost: Annotated[str | None, knob("Path of the call's cost.", "USD")] = None
    input_tokens: Annotated[str | None, knob("Path of the number of input tokens.", "tokens")] = None
    output_tokens: Annotated[str | None, knob("Path of the number of output tokens.", "tokens")] = None
    label: Annotated[str | None, knob("Path of the truth.")] = None
    label_time: Annotated[
        str | None,
        knob(
            "Path of when the truth became known; default: `ground_truth.timestamp`'s sibling, else arrival."
        ),
    ] = None
    label_source: Annotated[str | None, knob("Path of who or what said so.")] = None
    positive: Annotated[Any, knob("Binary: the label value that counts as positive.")] = True
    segments: Annotated[list[str], knob("Features whose slices must not get worse.")] = []
    protected: Annotated[
        dict[str, str] | list[str],
        knob("Fairness groups, watched ([monitor] protected_gap) and never features: names, or name = path."),
    ] = []
    features: Annotated[
        dict[str, FeatureType | FeatureSpec], knob("What the model sees: name = type, or { type, path }.")
    ] = {}
