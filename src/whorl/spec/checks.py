"""Combinations that cannot be meant: each yields the path of the key to change and what would be right."""

from collections.abc import Iterator
from datetime import datetime
from urllib.parse import urlsplit

from whorl.errors import did_you_mean, masked
from whorl.spec.capture_checks import capture_problems
from whorl.spec.knobs import GateSpec, Spec

Problem = tuple[tuple[str, ...], str]

# Words that rules and tables use for what is not a feature.
RESERVED = (
    "id", "time", "received_at", "day", "split", "score", "scores", "output", "action", "propensity", "label",
    "label_time", "label_source", "label_received_at", "status", "age_days", "group_id", "session_id", "model_version",
    "feature_version", "variant", "weight", "reason", "feedback", "p_true", "error",
)  # fmt: skip

METRICS = {
    "binary": ("auc", "average_precision", "log_loss", "accuracy", "brier", "calibration_error"),
    "multiclass": ("auc", "average_precision", "log_loss", "accuracy", "brier", "calibration_error"),
    "regression": ("mae", "rmse"),
    "generation": ("accuracy",),
}


DETECTORS = ("e-detector", "adwin", "page-hinkley")


def contradictions(spec: Spec) -> Iterator[Problem]:
    """Every combination that cannot be meant."""
    yield from _schema(spec)
    yield from capture_problems(spec)
    yield from _labels(spec)
    yield from _curate(spec)
    yield from _train(spec)
    yield from _evaluate(spec)
    yield from _release(spec)
    yield from _monitor(spec)


def _schema(spec: Spec) -> Iterator[Problem]:
    schema, features = spec.schema, spec.features
    for name, feature in features.items():
        if name in RESERVED:
            yield (
                ("schema", "features", name),
                f"'{name}' is a word of Whorl's own. Rename the feature and say where it is: "
                f'event_{name} = {{ type = "{feature.type}", path = "{name}" }}.',
            )
        if name in spec.protected:
            yield (
                ("schema", "protected"),
                f"'{name}' is protected and a feature. Take it out of one of the two.",
            )
        if schema.label and (feature.path or name) == schema.label:
            yield (
                ("schema", "features", name),
                "This is the label's own path: the model would be told the answer.",
            )
    for position, name in enumerate(schema.segments):
        if name not in features:
            yield (
                ("schema", "segments", str(position)),
                f"'{name}' is not a feature. {did_you_mean(name, list(features))}",
            )
        elif features[name].type in ("float", "text"):
            yield (
                ("schema", "segments", str(position)),
                f"'{name}' is a feature of type {features[name].type}: nearly each row would be a slice of its own. "
                "Use a category, bool or int.",
            )
    if schema.censored and schema.action is None:
        yield (
            ("schema", "censored"),
            "Actions hide the truth, but [schema] action does not say where the action is.",
        )


def _labels(spec: Spec) -> Iterator[Problem]:
    labels = spec.labels
    for position, key in enumerate(labels.on):
        if key != "id" and key not in spec.schema.keys:
            known = ["id", *spec.schema.keys]
            yield ("labels", "on", str(position)), f"'{key}' is not a key. {did_you_mean(key, known)}"
    if "id" in labels.on and len(labels.on) > 1:
        yield ("labels", "on"), "'id' is unique by itself. Use on = [\"id\"], or business keys without it."
    if labels.window and labels.window.span < labels.lag.span:
        yield ("labels", "window"), f"The window ({labels.window}) is shorter than the lag ({labels.lag})."
    if labels.default_after and labels.window and labels.default_after.after.span > labels.window.span:
        yield (
            ("labels", "default_after", "after"),
            f"The default ({labels.default_after.after}) would come after the window ({labels.window}) has closed.",
        )
    if labels.default_after:
        value, at = labels.default_after.value, ("labels", "default_after", "value")
        if spec.task == "binary" and not isinstance(value, bool):
            yield at, "For a binary task this is true or false."
        if spec.task == "regression" and (isinstance(value, bool) or not isinstance(value, (int, float))):
            yield at, "For a regression this is a number."
    yield from _delay(spec)


def _delay(spec: Spec) -> Iterator[Problem]:
    labels = spec.labels
    if labels.delay == "survival" and spec.task not in ("binary", "multiclass"):
        yield (
            ("labels", "delay"),
            "'survival' is for binary and multiclass tasks. Use delay = \"none\" with a lag.",
        )
    if labels.delay == "survival" and labels.lag.seconds > 0:
        yield ("labels", "lag"), 'With delay = "survival" young rows are used as they are: leave the lag out.'
    if labels.horizon and spec.features.get(labels.horizon) is None:
        yield (
            ("labels", "horizon"),
            f"'{labels.horizon}' is not a feature. {did_you_mean(labels.horizon, list(spec.features))}",
        )
    elif labels.horizon and spec.features[labels.horizon].type not in ("float", "int"):
        kind = spec.features[labels.horizon].type
        yield (
            ("labels", "horizon"),
            f"'{labels.horizon}' is a feature of type {kind}; days are a float or an int.",
        )
    if labels.horizon and labels.delay == "none":
        yield (
            ("labels", "horizon"),
            'A horizon is used where delays are modelled: delay = "auto" or "survival".',
        )


def _curate(spec: Spec) -> Iterator[Problem]:
    names = [rule.name for rule in spec.curate.rules]
    for position, name in enumerate(names):
        if name in names[:position]:
            yield ("curate", "rules", str(position), "name"), f"Two rules are called '{name}'."
    strategies = (
        "mix",
        "random",
        "margin",
        "entropy",
        "disagreement",
        "diversity",
        "coverage",
        "novelty",
        "severity",
    )
    strategy = spec.curate.strategy
    if strategy not in strategies and ":" not in strategy:
        yield (
            ("curate", "strategy"),
            f"'{strategy}' is neither built in nor of the form package.module:function. {did_you_mean(strategy, strategies)}",
        )
    if spec.task == "regression" and strategy in ("margin", "entropy", "disagreement"):
        yield ("curate", "strategy"), f'\'{strategy}\' needs classes. Use "mix", "diversity" or "novelty".'
    compares = any(gate.check in ("better", "not_worse", "no_segment_worse") for gate in spec.gates)
    if spec.curate.holdout_share == 0 and spec.evaluate.time_forward is None and compares:
        yield (
            ("curate", "holdout_share"),
            "Without a holdout no gate can compare. Give it a share, or set [evaluate] time_forward, or gates = [].",
        )


def _train(spec: Spec) -> Iterator[Problem]:
    train, features = spec.train, spec.features
    builtin = ("lightgbm", "linear-text", "command", "external")
    if train.trainer not in builtin and ":" not in train.trainer:
        yield (
            ("train", "trainer"),
            f"'{train.trainer}' is neither built in nor of the form package.module:function. "
            f"{did_you_mean(train.trainer, builtin)}",
        )
    if train.trainer == "command" and not train.command:
        yield ("train", "command"), 'trainer = "command" needs command = ["program", "{dataset}", "{model}"].'
    if train.command and train.trainer != "command":
        yield (
            ("train", "command"),
            f"A command is given, but trainer is '{train.trainer}'. Set trainer = \"command\".",
        )
    if train.recency != "none" and train.half_life is not None:
        yield (
            ("train", "recency"),
            f"Rows fade by recency = '{train.recency}' or by half_life. Take one of the two out.",
        )
    for position, name in enumerate(train.trusted):
        if name not in features:
            yield (
                ("train", "trusted", str(position)),
                f"'{name}' is not a feature. {did_you_mean(name, list(features))}",
            )
    yield from _composition(spec)
    texts = [name for name, feature in features.items() if feature.type == "text"]
    if train.trainer == "linear-text" and not texts:
        yield ("train", "trainer"), "'linear-text' needs a feature of type \"text\"."
    if train.trainer in ("lightgbm", "linear-text") and spec.task == "generation":
        yield (
            ("train", "trainer"),
            f"'{train.trainer}' cannot train a generation task. Use a command, a function or \"external\".",
        )
    if train.trainer == "linear-text" and spec.task == "regression":
        yield (
            ("train", "trainer"),
            "'linear-text' is a classifier. Use \"lightgbm\" or your own function for regression.",
        )
    if train.trainer == "lightgbm" and texts and len(texts) == len(features):
        yield (
            ("train", "trainer"),
            "Every feature is text, which 'lightgbm' does not read. Use \"linear-text\".",
        )


def _composition(spec: Spec) -> Iterator[Problem]:
    composition = spec.train.composition
    if composition is None:
        return
    if composition.by != "label" and composition.by not in spec.features:
        yield (
            ("train", "composition", "by"),
            f"'{composition.by}' is neither 'label' nor a feature. {did_you_mean(composition.by, list(spec.features))}",
        )
    if composition.by == "label" and spec.task not in ("binary", "multiclass"):
        yield ("train", "composition", "by"), "Only classes can be strata by label; name a feature."
    kind = "bool" if composition.by == "label" and spec.task == "binary" else None
    if composition.by in spec.features:
        kind = spec.features[composition.by].type
    if kind in ("float", "text"):
        yield (
            ("train", "composition", "by"),
            f"'{composition.by}' is of type \"{kind}\": nearly every row would be a stratum. Name a category.",
        )
    for name, share in composition.shares.items():
        if kind == "bool" and name not in ("true", "false"):
            yield (
                ("train", "composition", "shares", name),
                f"{composition.by} is true or false, never '{name}'.",
            )
        if not share:
            yield (
                ("train", "composition", "shares", name),
                "No row would be left to stand for the others. Give it a share above 0, or leave it out.",
            )
    total = sum(composition.shares.values())
    if total > 1 + 1e-9:
        yield ("train", "composition", "shares"), f"The shares add up to {total:g}; 1 is the most."


def _evaluate(spec: Spec) -> Iterator[Problem]:
    if spec.evaluate.metric is not None:
        yield from _metric(spec, spec.evaluate.metric, ("evaluate", "metric"))
    if spec.monitor.metric is not None:
        yield from _metric(spec, spec.monitor.metric, ("monitor", "metric"))
    if spec.evaluate.ask and spec.task not in ("binary", "multiclass"):
        yield ("evaluate", "ask"), "Holdout labels are asked for where there are classes. Leave it out."
    if spec.evaluate.ask and not spec.curate.holdout_share:
        yield ("evaluate", "ask"), "There is no holdout to ask about: [curate] holdout_share is 0."
    for position, gate in enumerate(spec.gates):
        yield from _gate(spec, gate, ("evaluate", "gates", str(position)))


def _gate(spec: Spec, gate: GateSpec, at: tuple[str, ...]) -> Iterator[Problem]:
    if gate.metric is not None:
        yield from _metric(spec, gate.metric, (*at, "metric"))
    if gate.check in ("minimum", "cost", "latency") and gate.value is None:
        yield (*at, "value"), f"'{gate.check}' needs a value."
    if gate.check == "golden" and gate.dataset is None and spec.curate.golden is None:
        yield (*at, "dataset"), "'golden' needs the name of a golden dataset, or [curate.golden]."
    if gate.check == "function" and gate.function is None:
        yield (*at, "function"), "'function' needs function = \"package.module:function\"."
    if gate.check == "calibrated" and spec.task not in ("binary", "multiclass"):
        yield (*at, "check"), "'calibrated' is for binary and multiclass tasks."
    if gate.margin < 0:
        yield (*at, "margin"), f"The margin is {gate.margin}; use a number from 0."


def _metric(spec: Spec, name: str, at: tuple[str, ...]) -> Iterator[Problem]:
    known = METRICS[spec.task]
    if ":" not in name and name not in known:
        yield (
            at,
            f"'{name}' does not measure a {spec.task} task. {did_you_mean(name, known)} Or package.module:function.",
        )


def _release(spec: Spec) -> Iterator[Problem]:
    release = spec.release
    if release.via == "external" and release.webhook is None:
        yield ("release", "webhook"), 'via = "external" needs the URL that is told of a release.'
    for section, webhook in (("release", release.webhook), ("monitor", spec.monitor.webhook)):
        if webhook is not None and not _is_http(webhook):
            yield (
                (section, "webhook"),
                f"Expected a URL such as https://host/path, found '{masked(webhook)}'.",
            )
    for position, stage in enumerate(release.stages):
        if stage != "full":
            yield (
                ("release", "stages", str(position)),
                f"This version releases in one stage, 'full'; found '{stage}'.",
            )
    if spec.automation == "manual" and (spec.cadence.every is not None or spec.monitor.start_cycle):
        yield (
            ("automation",),
            "'manual' cycles start by hand only: leave out [cadence] every and [monitor] start_cycle, or use \"semi\".",
        )
    if spec.champion.trained_through is not None:
        try:
            datetime.fromisoformat(spec.champion.trained_through)
        except ValueError:
            yield (
                ("champion", "trained_through"),
                f"Expected an ISO 8601 time, found '{spec.champion.trained_through}'.",
            )
    if (
        spec.automation == "full"
        and spec.train.trainer == "external"
        and release.via == "external"
        and not spec.gates
    ):
        yield ("evaluate", "gates"), "Nothing would check what is released: declare a gate."


def _monitor(spec: Spec) -> Iterator[Problem]:
    for place, name in enumerate(spec.monitor.detectors):
        if ":" not in name and name not in DETECTORS:
            yield (
                ("monitor", "detectors", str(place)),
                f"There is no detector '{name}'. {did_you_mean(name, DETECTORS)} Or package.module:function.",
            )
    if spec.monitor.error == "wrong" and spec.task == "regression":
        yield (
            ("monitor", "error"),
            'A number is hardly ever exactly right: use "large" for a regression task.',
        )


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)
