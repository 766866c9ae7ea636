"""[curate]: which rows are worth learning from."""

from typing import Annotated, Literal

from msgspec import Meta

from whorl.spec.duration import Duration
from whorl.spec.knobs.knob import Count, Knobs, Share, knob


class RuleSpec(Knobs, frozen=True, kw_only=True):
    name: Annotated[str, knob("Name of the reason that its cases carry.")]
    when: Annotated[
        str, knob("SQL condition over features, score, output, action, label and the words in docs/rules.md.")
    ]
    severity: Annotated[str | float, knob("How much such a case matters: a number or an SQL expression.")] = (
        1.0
    )


class ReasonsSpec(Knobs, frozen=True, kw_only=True):
    uncertain: Annotated[
        Share, knob("Mine the most uncertain share of the new rows; 0 switches it off.", "share")
    ] = 0.05
    uncertain_by: Annotated[
        Literal["entropy", "margin"],
        knob(
            "Uncertain is who has much entropy over all classes, or a small margin between the two likeliest (for two classes the same)."
        ),
    ] = "entropy"
    wrong: Annotated[
        Share,
        knob("Mine rows whose true class had a probability below this; 0 switches it off.", "probability"),
    ] = 0.1
    large_error: Annotated[
        Share,
        knob("Regression: mine this share with the largest absolute error; 0 switches it off.", "share"),
    ] = 0.05
    changed: Annotated[
        Share,
        knob(
            "Mine rows where champion and previous champion differ by more than this (multiclass: total variation; regression: in standard deviations of the label); 0 switches it off.",
            "probability",
        ),
    ] = 0.3
    rare: Annotated[Share, knob("Mine rows of classes below this share; 0 switches it off.", "share")] = 0.05
    novel: Annotated[
        Share, knob("Mine this share of rows least like the training rows; 0 switches it off.", "share")
    ] = 0.02


class GoldenSpec(Knobs, frozen=True, kw_only=True):
    name: Annotated[str, knob("Name of the dataset.")] = "golden"
    when: Annotated[str, knob("SQL condition, as in rules, that its rows fulfil; their label is known.")] = (
        "label is not null"
    )
    rows: Annotated[Annotated[int, Meta(ge=1)], knob("At most this many, drawn at random.", "rows")] = 2000


class CurateSpec(Knobs, frozen=True, kw_only=True):
    holdout_share: Annotated[
        Annotated[float, Meta(ge=0, le=0.9)],
        knob(
            "Share of groups frozen as holdout, at capture. Changed later, groups that then stand on both sides are left out.",
            "share",
        ),
    ] = 0.05
    budget: Annotated[
        Count, knob("Labelled cases added to the dataset in a cycle; 0: all of them.", "cases")
    ] = 5000
    strategy: Annotated[
        str,
        knob(
            "What a model learns most from: 'mix', 'margin', 'entropy', 'disagreement', 'diversity', 'coverage', 'novelty', 'severity', package.module:function; or 'random': all at random."
        ),
    ] = "mix"
    random_share: Annotated[
        Annotated[float, Meta(ge=0.05, le=1)],
        knob("Share of the budget drawn at random, whatever strategy and reasons say.", "share"),
    ] = 0.05
    reason_share: Annotated[
        Share,
        knob(
            "Share of the budget not drawn at random that goes to rows with a reason; the strategy has the rest.",
            "share",
        ),
    ] = 0.5
    guard: Annotated[
        bool,
        knob("Give the strategy's part to chance while its rows teach less than random ones."),
    ] = True
    ask: Annotated[
        Count,
        knob(
            "Labels asked of people in a cycle, for rows whose truth is not known, beside the budget; 0: none.",
            "labels",
        ),
    ] = 0
    half_life: Annotated[
        Duration | None, knob("Recency: a candidate this much older weighs half in the draw.", "time")
    ] = None
    initial: Annotated[Count, knob("Labelled rows of the first dataset; 0: all that are known.", "rows")] = 0
    golden: Annotated[
        GoldenSpec | None, knob("Holdout rows fixed once and for all, which a 'golden' gate asks about.")
    ] = None
    reasons: Annotated[ReasonsSpec, knob("Built-in reasons beside your rules.")] = ReasonsSpec()
    rules: Annotated[list[RuleSpec], knob("Your own reasons, as SQL.")] = []
