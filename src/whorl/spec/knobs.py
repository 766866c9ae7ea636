"""flywheel.toml as typed structs: every knob with its default, unit and help. Nothing here reads files.

The help texts are the documentation: `whorl init` writes them as comments and `docs/spec.md` is made from them.
Checks that look at more than one knob are in `checks.py`.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from whorl.records import Task
from whorl.spec.duration import Duration

FeatureType = Literal["float", "int", "bool", "category", "text"]
Automation = Literal["manual", "semi", "approval", "full"]
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
Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=0)]
Positive = Annotated[float, Meta(gt=0)]


def knob(help: str, unit: str = "") -> Meta:
    return Meta(description=help, extra={"unit": unit})


class Knobs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every section: frozen, keyword-only, unknown keys refused."""


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
        knob("Fairness groups, watched and never features: names, or name = path."),
    ] = []
    features: Annotated[
        dict[str, FeatureType | FeatureSpec], knob("What the model sees: name = type, or { type, path }.")
    ] = {}


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
        knob("Maturity: younger rows are neither trained on nor judged when delay = 'none'.", "time"),
    ] = Duration("0d")
    window: Annotated[
        Duration | None,
        knob("A label that comes later than this after its prediction is not joined.", "time"),
    ] = None
    default_after: Annotated[
        DefaultAfter | None, knob("No news is this news, after this long: { value = false, after = '30d' }.")
    ] = None
    delay: Annotated[
        Literal["none", "survival"],
        knob(
            "'survival': still-open predictions train as soft rows; use it where one class is known sooner than another."
        ),
    ] = "none"
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
            "Times the soft rows are re-estimated, by trainers other than 'lightgbm', which does it as it boosts.",
            "rounds",
        ),
    ] = 3


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
        Share, knob("Mine the most uncertain share of the new rows (entropy); 0 switches it off.", "share")
    ] = 0.05
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
        Annotated[float, Meta(ge=0, le=0.9)], knob("Share of groups frozen as holdout, at capture.", "share")
    ] = 0.05
    budget: Annotated[
        Count, knob("Labelled cases added to the dataset in a cycle; 0: all of them.", "cases")
    ] = 5000
    strategy: Annotated[
        Literal["mix", "random"],
        knob(
            "'mix': by reason, segment, recency and severity beside a random share; 'random': all at random."
        ),
    ] = "mix"
    random_share: Annotated[
        Annotated[float, Meta(ge=0.05, le=1)],
        knob("Share of the budget drawn at random, whatever the reasons say.", "share"),
    ] = 0.3
    half_life: Annotated[
        Duration | None, knob("Recency: a candidate this much older weighs half in the draw.", "time")
    ] = None
    initial: Annotated[Count, knob("Labelled rows of the first dataset; 0: all that are known.", "rows")] = 0
    golden: Annotated[
        GoldenSpec | None, knob("Holdout rows fixed once and for all, which a 'golden' gate asks about.")
    ] = None
    reasons: Annotated[ReasonsSpec, knob("Built-in reasons beside your rules.")] = ReasonsSpec()
    rules: Annotated[list[RuleSpec], knob("Your own reasons, as SQL.")] = []


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
    trusted: Annotated[
        list[str],
        knob(
            "Features that may tell the label by themselves or be missing when served: the leak check lets them pass."
        ),
    ] = []
    calibrate: Annotated[
        bool, knob("Recalibrate probabilities on mature rows when that lowers log loss.")
    ] = True


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
    gates: Annotated[
        list[GateSpec] | UnsetType,
        knob("Checks a challenger must pass; default: better, no_segment_worse. [] promotes always."),
    ] = UNSET


class ReleaseSpec(Knobs, frozen=True, kw_only=True):
    via: Annotated[
        Literal["registry", "serve", "external"],
        knob(
            "'registry': the alias moves; 'serve': Whorl answers; 'external': webhook out, confirmation awaited."
        ),
    ] = "registry"
    stages: Annotated[list[str], knob("Stages of a rollout; this version knows 'full'.")] = msgspec.field(
        default_factory=lambda: ["full"]
    )
    webhook: Annotated[str | None, knob("URL told of a release (external) and of alerts, signed.")] = None
    secret_env: Annotated[str, knob("Environment variable that holds the webhook's signing key.")] = (
        "WHORL_WEBHOOK_SECRET"
    )
    confirm_within: Annotated[Duration, knob("'external': how long a confirmation is awaited.", "time")] = (
        Duration("7d")
    )


class ChampionSpec(Knobs, frozen=True, kw_only=True):
    version: Annotated[
        str | None, knob("Name of the model that serves today, if Whorl did not train it.")
    ] = None
    trained_through: Annotated[
        str | None, knob("Last event time it was trained on; only later rows compare it fairly.", "ISO 8601")
    ] = None


class MonitorSpec(Knobs, frozen=True, kw_only=True):
    period: Annotated[Duration, knob("Quality is reported per span of this length.", "time")] = Duration("7d")
    metric: Annotated[str | None, knob("Watched metric; default: [evaluate] metric.")] = None
    threshold: Annotated[
        float | None, knob("Quality whose interval lies on the wrong side of this is decay.")
    ] = None
    decay: Annotated[
        float | None, knob("A loss against the first period whose interval exceeds this is decay.")
    ] = None
    min_rows: Annotated[Count, knob("Periods with fewer judged rows are not judged.", "rows")] = 50
    start_cycle: Annotated[bool, knob("A decay finding starts a cycle, beside the cadence.")] = False
    cooldown: Annotated[Duration, knob("The same finding is not raised again within this span.", "time")] = (
        Duration("1d")
    )
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


class Spec(Knobs, frozen=True, kw_only=True):
    name: Annotated[
        Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{0,62}$")],
        knob("The flywheel's name: lower case, digits, - and _."),
    ]
    task: Annotated[Task, knob("What the model does.")]
    automation: Annotated[
        Automation,
        knob(
            "'manual': starts by hand only, and waits before training and before release; 'semi': starts by itself, waits at both; 'approval': waits before release; 'full': by itself."
        ),
    ] = "approval"
    schema: Annotated[SchemaSpec, knob("Where things are in your records.")] = SchemaSpec()
    labels: Annotated[LabelsSpec, knob("How late truth is joined.")] = LabelsSpec()
    curate: Annotated[CurateSpec, knob("Which rows are worth learning from.")] = CurateSpec()
    train: Annotated[TrainSpec, knob("How a challenger is made.")] = TrainSpec()
    evaluate: Annotated[EvaluateSpec, knob("What a challenger must prove.")] = EvaluateSpec()
    release: Annotated[ReleaseSpec, knob("How a challenger comes into service.")] = ReleaseSpec()
    champion: Annotated[ChampionSpec, knob("The model that serves today, when trained elsewhere.")] = (
        ChampionSpec()
    )
    monitor: Annotated[MonitorSpec, knob("What is watched.")] = MonitorSpec()
    cadence: Annotated[CadenceSpec, knob("When the wheel turns by itself.")] = CadenceSpec()

    @property
    def features(self) -> dict[str, FeatureSpec]:
        """Declared features in order, each with its type and path."""
        declared = self.schema.features
        return {n: f if isinstance(f, FeatureSpec) else FeatureSpec(type=f) for n, f in declared.items()}

    @property
    def protected(self) -> dict[str, str]:
        """Fairness groups: name to path."""
        declared = self.schema.protected
        return dict(declared) if isinstance(declared, dict) else {name: name for name in declared}

    @property
    def metric(self) -> str:
        """The deciding metric; by task where none is named."""
        default = {
            "binary": "average_precision",
            "multiclass": "log_loss",
            "regression": "mae",
            "generation": "accuracy",
        }
        return self.evaluate.metric or default[self.task]

    @property
    def gates(self) -> list[GateSpec]:
        """The declared gates, or the defaults when the spec is silent."""
        declared = self.evaluate.gates
        if isinstance(declared, UnsetType):
            return [GateSpec(check="better"), GateSpec(check="no_segment_worse")]
        return declared
