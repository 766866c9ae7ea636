"""[monitor] and [cadence]: what is watched, and when the wheel turns by itself."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from whorl.spec.duration import Duration
from whorl.spec.knobs.knob import Count, Knobs, Share, knob

StartingKind = Literal["below_threshold", "decay", "error_rate_up", "protected_gap", "feature_drift"]


class MonitorSpec(Knobs, frozen=True, kw_only=True):
    period: Annotated[Duration, knob("Quality is reported per span of this length.", "time")] = Duration("7d")
    metric: Annotated[str | None, knob("Watched metric; default: [evaluate] metric.")] = None
    threshold: Annotated[
        float | None, knob("Quality whose interval lies on the wrong side of this is decay.")
    ] = None
    decay: Annotated[
        float | None, knob("A loss against the first period whose interval exceeds this is decay.")
    ] = None
    protected_gap: Annotated[
        Annotated[float, Meta(ge=0)],
        knob(
            "A group of [schema] protected whose interval lies more than this on the worse side of the others' is a finding.",
            "metric",
        ),
    ] = 0.05
    min_rows: Annotated[
        Count, knob("Periods and protected groups with fewer judged rows are not judged.", "rows")
    ] = 50
    detectors: Annotated[
        list[str],
        knob(
            "What watches the champion's errors as their truth arrives: 'e-detector', 'adwin', 'page-hinkley' or "
            "'package.module:function'; []: nothing."
        ),
    ] = msgspec.field(default_factory=lambda: ["e-detector"])
    false_alarms: Annotated[
        Annotated[float, Meta(gt=0, lt=1)],
        knob(
            "False alarms of 'e-detector' that are borne, per watched row: 1e-5 is one in 100,000. The other two promise none.",
            "share",
        ),
    ] = 1e-5
    error: Annotated[
        Literal["wrong", "large"] | None,
        knob(
            "What counts as an error: a wrong class, or a loss (log loss, absolute error) larger than four in five of the "
            "first 200; default: wrong for classes, large for numbers."
        ),
    ] = None
    errors_of: Annotated[
        Literal["holdout", "all"],
        knob("Rows whose errors are watched; all: more of them, where labels do not come by selection."),
    ] = "holdout"
    drift: Annotated[
        bool, knob("Compare the features of the last period with those from before the champion's release.")
    ] = True
    drift_window: Annotated[
        Duration,
        knob(
            "Features are compared with rows of this long before the release; where there are too few, before the last period.",
            "time",
        ),
    ] = Duration("28d")
    drift_fdr: Annotated[
        Share, knob("Share of the features said to have drifted that may be false discoveries.", "share")
    ] = 0.05
    drift_floor: Annotated[
        Share,
        knob("A feature has drifted when at least this share of the rows has moved, and surely so.", "share"),
    ] = 0.1
    start_cycle: Annotated[bool, knob("A finding starts a cycle, beside the cadence.")] = False
    start_on: Annotated[list[StartingKind], knob("Kinds of findings that start one.")] = msgspec.field(
        default_factory=lambda: ["below_threshold", "decay", "error_rate_up"]
    )
    start_at_most: Annotated[
        Count, knob("Cycles that findings may start within start_within; further ones wait.", "cycles")
    ] = 3
    start_within: Annotated[Duration, knob("The span that start_at_most counts.", "time")] = Duration("30d")
    cooldown: Annotated[
        Duration,
        knob(
            "The same finding is not raised again within this span, of one champion in one period never; nor do findings start two "
            "cycles within it.",
            "time",
        ),
    ] = Duration("1d")
    webhook: Annotated[
        str | None, knob("URL that gets findings, signed like releases; they are always logged.")
    ] = None


class CadenceSpec(Knobs, frozen=True, kw_only=True):
    every: Annotated[
        Duration | None,
        knob(
            "A cycle starts this long after the last one that no finding started; none: only by hand or by a finding.",
            "time",
        ),
    ] = None
