"""[monitor] and [cadence]: what is watched, and when the wheel turns by itself."""

from typing import Annotated

from msgspec import Meta

from whorl.spec.duration import Duration
from whorl.spec.knobs.knob import Count, Knobs, knob


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
    start_cycle: Annotated[bool, knob("A decay finding starts a cycle, beside the cadence.")] = False
    cooldown: Annotated[
        Duration,
        knob(
            "The same finding is not raised again within this span; of one champion in one period, never.",
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
            "A cycle starts this long after the last one started; none: only by hand or by a finding.", "time"
        ),
    ] = None
