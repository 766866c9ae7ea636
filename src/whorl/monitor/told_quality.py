"""Quality as it is told: each period's figure, or why there is none, beside one figure for each draw that people were asked for.

The figures are made in `quality.py` and `draw_quality.py`.
"""

from datetime import datetime

from msgspec.structs import asdict

from whorl.monitor.draw_quality import DrawQuality, draw_quality
from whorl.monitor.quality import PeriodQuality, quality, watched_metric
from whorl.monitor.undefined import why_undefined
from whorl.records import Record
from whorl.workspace import Workspace


class PeriodTold(PeriodQuality, frozen=True, kw_only=True, omit_defaults=False):
    """A period's figure; `reason`: why there is none, None where there is one."""

    reason: str | None = None


class QualityTold(Record, frozen=True, kw_only=True, omit_defaults=False):
    """The watched metric in each `[monitor] period`, and over the span of each draw that people were asked for, oldest first."""

    metric: str
    greater_is_better: bool
    periods: list[PeriodTold]
    draws: list[DrawQuality]


def told_quality(ws: Workspace, as_of: datetime) -> QualityTold:
    """Quality as of a time."""
    metric, least = watched_metric(ws), ws.spec.monitor.min_rows
    return QualityTold(
        metric=metric.name,
        greater_is_better=metric.greater_is_better,
        periods=[PeriodTold(**asdict(one), reason=why_undefined(one, least)) for one in quality(ws, as_of)],
        draws=draw_quality(ws, as_of),
    )
