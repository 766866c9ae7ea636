"""[train]: how a challenger is made."""

from typing import Annotated, Any, Literal

from whorl.spec.duration import Duration
from whorl.spec.knobs.knob import Count, Knobs, Share, knob


class CompositionSpec(Knobs, frozen=True, kw_only=True):
    by: Annotated[str, knob("'label', or the feature whose values are the strata.")] = "label"
    shares: Annotated[
        dict[str, Share],
        knob(
            "Share of each named value among the labelled rows; the others have the rest. Empty: equal shares."
        ),
    ] = {}


class TrainSpec(Knobs, frozen=True, kw_only=True):
    trainer: Annotated[
        str, knob("'lightgbm', 'linear-text', 'command', 'external', or 'package.module:function'.")
    ] = "lightgbm"
    params: Annotated[dict[str, Any], knob("Passed to the trainer as they are.")] = {}
    command: Annotated[
        list[str],
        knob("trainer = 'command': program and arguments; {dataset}, {model} and {seed} are filled in."),
    ] = []
    load: Annotated[
        str | None,
        knob("'package.module:function' that loads what your trainer wrote; its result has predict(table)."),
    ] = None
    allow_pickle: Annotated[
        bool, knob("Load model formats that can run code (an MLflow model with pickles).")
    ] = False
    seed: Annotated[int, knob("Seed of everything random in a fit.")] = 0
    timeout: Annotated[
        Duration, knob("A command or an external trainer that takes longer has failed.", "time")
    ] = Duration("24h")
    window: Annotated[
        Duration | None, knob("Rows older than this leave the training set; none: all stay.", "time")
    ] = None
    replay_rows: Annotated[
        Count,
        knob(
            "Rows older than the window that stay, drawn at random and weighted for the rest, so that the model does not forget.",
            "rows",
        ),
    ] = 1000
    half_life: Annotated[
        Duration | None, knob("A row this much older weighs half in the fit; none: all alike.", "time")
    ] = None
    selection_weight: Annotated[
        Share,
        knob(
            "How far a row weighs for those that were not chosen: 1 is one over its chance, 0 lets all rows of a cycle weigh alike. What rules and reasons saw of the truth is weighed out all the same.",
            "power",
        ),
    ] = 0.0
    composition: Annotated[
        CompositionSpec | None,
        knob("Thin the labelled rows to given shares; those that stay weigh for those that leave."),
    ] = None
    order: Annotated[
        Literal["time", "curriculum"],
        knob(
            "Order of the dataset's rows: by time, or from those that the champion found easy to the hard ones."
        ),
    ] = "time"
    recency: Annotated[
        Literal["none", "power"],
        knob(
            "'power': a row weighs the less the more rows are younger, by the square root of their number: for a world that "
            "changes, at whatever speed. Instead of half_life."
        ),
    ] = "none"
    trusted: Annotated[
        list[str],
        knob(
            "Features that may tell the label by themselves or be missing when served: the leak check lets them pass."
        ),
    ] = []
    calibrate: Annotated[
        bool, knob("Recalibrate probabilities on mature rows when that lowers log loss.")
    ] = True
