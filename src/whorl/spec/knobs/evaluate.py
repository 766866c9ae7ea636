"""[evaluate]: what a challenger must prove."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from whorl.spec.duration import Duration
from whorl.spec.knobs.knob import Count, Knobs, knob

GateCheck = Literal[
    "better",
    "not_worse",
    "no_segment_worse",
    "calibrated",
    "minimum",
    "golden",
    "cost",
    "latency",
    "function",
]


class GateSpec(Knobs, frozen=True, kw_only=True):
    check: Annotated[GateCheck, knob("Which check; docs/gates.md explains each.")]
    metric: Annotated[str | None, knob("Metric of this gate; default: [evaluate] metric.")] = None
    margin: Annotated[
        float,
        knob(
            "'better': the whole interval lies above it; 'not_worse' and 'no_segment_worse': above minus it."
        ),
    ] = 0.0
    value: Annotated[
        float | None, knob("'minimum', 'calibrated', 'cost' (USD a call), 'latency' (ms): the bound.")
    ] = None
    min_rows: Annotated[Count, knob("Fewer judged rows than this is 'hold'.", "rows")] = 100
    dataset: Annotated[
        str | None, knob("'golden': name of the dataset; default: that of [curate.golden].")
    ] = None
    function: Annotated[
        str | None, knob("'function': 'package.module:function', called with both sides' predictions.")
    ] = None


class EvaluateSpec(Knobs, frozen=True, kw_only=True):
    metric: Annotated[
        str | None, knob("What decides: a built-in metric or 'package.module:function'; default by task.")
    ] = None
    greater_is_better: Annotated[bool, knob("Direction of your own metric function.")] = True
    level: Annotated[
        Annotated[float, Meta(gt=0.5, lt=1)], knob("Confidence level of reported intervals.", "probability")
    ] = 0.95
    error_budget: Annotated[
        Annotated[float, Meta(gt=0, lt=1)],
        knob("Chance of ever promoting by luck, spent over the looks at one holdout.", "probability"),
    ] = 0.05
    window: Annotated[
        Duration,
        knob(
            "Only holdout rows this young judge: what was true long ago says little about tomorrow; 0d: all.",
            "time",
        ),
    ] = Duration("90d")
    time_forward: Annotated[
        Duration | None,
        knob(
            "Traffic too low for a holdout share: the youngest rows of this span are kept out of training and judge, as weaker evidence.",
            "time",
        ),
    ] = None
    label_cost: Annotated[
        Annotated[float, Meta(ge=0, lt=1e6)] | None,
        knob("Price of one label, so that `whorl holdout plan` can say what a precision costs.", "USD"),
    ] = None
    ask: Annotated[
        Count,
        knob(
            "Labels asked of people in a cycle, for holdout rows, so that accuracy is known; 0: none. Also what `whorl holdout ask` asks for when it is not told.",
            "labels",
        ),
    ] = 0
    gates: Annotated[
        list[GateSpec] | UnsetType,
        knob("Checks a challenger must pass; default: better, no_segment_worse. [] promotes always."),
    ] = UNSET
