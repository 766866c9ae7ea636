"""[labels]: how late truth is joined."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from whorl.spec.duration import Duration
from whorl.spec.knobs.knob import Count, Knobs, knob


class DefaultAfter(Knobs, frozen=True, kw_only=True):
    value: Annotated[Any, knob("The label taken when no news came.")]
    after: Annotated[Duration, knob("How long no news is awaited.", "time")]


class LabelsSpec(Knobs, frozen=True, kw_only=True):
    on: Annotated[list[str], knob("Join labels on `id`, or on names in [schema.keys].")] = msgspec.field(
        default_factory=lambda: ["id"]
    )
    within: Annotated[
        Duration,
        knob("Business keys: a label joins the prediction made at most this long before it.", "time"),
    ] = Duration("30d")
    cardinality: Annotated[
        Literal["one", "latest", "all"],
        knob(
            "Several predictions match one label: 'one' lists them as ambiguous, 'latest' takes the last, 'all' labels each."
        ),
    ] = "one"
    lag: Annotated[
        Duration,
        knob("Maturity: younger rows are neither trained on nor judged.", "time"),
    ] = Duration("0d")
    window: Annotated[
        Duration | None,
        knob("A label that comes later than this after its prediction is not joined.", "time"),
    ] = None
    default_after: Annotated[
        DefaultAfter | None, knob("No news is this news, after this long: { value = false, after = '30d' }.")
    ] = None
    delay: Annotated[
        Literal["auto", "none", "survival"],
        knob(
            "'survival': how late truth comes is modelled by class and features, and still-open predictions train as soft "
            "rows; 'auto': where a test shows that delay and truth are tied, and neither lag nor default_after is set."
        ),
    ] = "auto"
    horizon: Annotated[
        str | None,
        knob(
            "Numeric feature: days within which this row's truth is due (term, lead time); delays are then relative to it."
        ),
    ] = None
    open_rows: Annotated[
        Count, knob("Open predictions used as soft rows in a fit, drawn at random.", "rows")
    ] = 2000
    rounds: Annotated[
        Annotated[int, Meta(ge=1, le=20)],
        knob(
            "Times the soft rows are re-estimated, by trainers other than 'lightgbm', which needs no rounds.",
            "rounds",
        ),
    ] = 3
