"""The flywheel.toml that `whorl init` writes: what is usually set, set; every other knob as a comment with its default.

Made from the knobs themselves (`reference.py`), so that it cannot fall behind them.
"""

import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from whorl.records import Task
from whorl.spec.duration import Duration
from whorl.spec.knobs import DefaultAfter
from whorl.spec.reference import Knob, Section, sections, toml

WIDTH = 110
_BARE = re.compile(r"^[\w-]+$")
_FEATURES = {"amount": "float", "merchant": "category", "is_new_merchant": "bool"}
_SCHEMA: dict[Task, dict[str, Any]] = {
    "binary": {"score": "prediction.score", "label": "ground_truth.label", "features": _FEATURES},
    "multiclass": {"scores": "prediction.scores", "label": "ground_truth.label", "features": _FEATURES},
    "regression": {"score": "prediction.value", "label": "ground_truth.value", "features": _FEATURES},
    "generation": {"messages": "messages", "output": "answer", "label": "ground_truth.answer"},
}
_RULES: dict[Task, dict[str, Any]] = {
    "binary": {"name": "missed", "when": "score < 0.1 and label"},
    "multiclass": {"name": "missed", "when": "p_true < 0.1"},
    "regression": {"name": "far_off", "when": "error > 0.5 * abs(label)"},
    "generation": {"name": "slow", "when": "latency_ms > 5000"},
}
_METRIC: dict[Task, str] = {
    "binary": "average_precision",
    "multiclass": "log_loss",
    "regression": "mae",
    "generation": "accuracy",
}


def template(
    name: str, task: Task, schema: Mapping[str, Any] | None = None, perhaps: Mapping[str, Any] | None = None
) -> str:
    """A commented flywheel.toml that can be read as it is.

    Args:
        name: Of the flywheel.
        schema: Values of [schema], `features` included, when something is known of the records; default: an example.
        perhaps: Values of [schema] that may be right: they are written as comments.

    >>> print(template("fraud", "binary")[:42])
    # A flywheel, to be edited. Check it with:
    """
    chosen = _chosen(name, task, schema if schema is not None else {"time": "timestamp", **_SCHEMA[task]})
    parts = [_HEAD]
    for section in sections():
        if not section.inline:
            for place, values in enumerate(chosen.get(section.path, [{}])):
                guesses = perhaps if perhaps and section.path == "schema" else {}
                parts += ["", *_section(section, values, guesses, rest=place == 0)]
    return "\n".join(parts) + "\n"


def _chosen(name: str, task: Task, schema: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """What is set, by section; a section that may come several times has several."""
    trainer = "external" if task == "generation" else "linear-text" if _of_words(task, schema) else "lightgbm"
    return {
        "": [{"name": name, "task": task, "automation": "approval"}],
        "schema": [{"id": "id", "time": "time", **schema}],
        "labels": [{"on": ["id"], "lag": "7d", "window": "90d"}],
        "curate": [{"holdout_share": 0.05, "budget": 5000}],
        "curate.rules": [_RULES[task]],
        "train": [{"trainer": trainer}],
        "evaluate": [{"metric": _METRIC[task]}],
        "evaluate.gates": [{"check": "better"}, {"check": "no_segment_worse"}],
        "release": [{"via": "registry"}],
        "monitor": [{"period": "7d"}],
        "cadence": [{"every": "7d"}],
    }


def _of_words(task: Task, schema: Mapping[str, Any]) -> bool:
    """Whether classes are to be told by text, and not by numbers."""
    declared = schema.get("features", {}).values()
    types = {one["type"] if isinstance(one, Mapping) else one for one in declared}
    return task in ("binary", "multiclass") and "text" in types and not types & {"float", "int"}


def _section(
    section: Section, values: Mapping[str, Any], perhaps: Mapping[str, Any], *, rest: bool
) -> Iterator[str]:
    """One table: its set knobs, then, with `rest`, the others as comments; `perhaps` has what to write there."""
    off = "#" if section.optional else ""
    if section.path:
        yield from _comment(section.help)
        yield f"{off}[[{section.path}]]" if section.many else f"{off}[{section.path}]"
    plain = [knob for knob in section.knobs if knob.name != "features"]
    for knob in sorted(plain, key=lambda knob: knob.name not in values):
        if knob.name in values:
            yield from _comment(_help(knob))
            yield f"{knob.name} = {toml(values[knob.name])}"
        elif rest:
            yield from _comment(_help(knob) + _silent(knob))
            if knob.name in perhaps:
                yield "# Perhaps this; then it must not be among the features, which would tell the model the answer:"
            value = toml(perhaps[knob.name]) if knob.name in perhaps else knob.default or _placeholder(knob)
            yield f"#{knob.name} = {value}"
    for knob in section.knobs:
        if knob.name == "features":
            yield from ("", *_comment(knob.help), f"[{section.path}.features]")
            yield from (f"{key_of(name)} = {toml(kind)}" for name, kind in values.get("features", {}).items())


def key_of(name: str) -> str:
    """A key as TOML wants it.

    >>> key_of("amount"), key_of("Amount (EUR)")
    ('amount', '"Amount (EUR)"')
    """
    return name if _BARE.match(name) else toml(name)


def _help(knob: Knob) -> str:
    unit = f" [{knob.unit}]" if knob.unit and knob.unit != "time" else ""
    return f"{knob.help}{unit}"


def _silent(knob: Knob) -> str:
    """That a knob is off, where its help does not speak of it."""
    return " Default: none." if knob.default == "" and not re.search(r"default|none", knob.help) else ""


def _comment(text: str) -> Iterator[str]:
    yield from textwrap.wrap(text, WIDTH, initial_indent="# ", subsequent_indent="# ", break_long_words=False)


def _placeholder(knob: Knob) -> str:
    """A value of the right kind for a knob that has none."""
    examples: dict[Any, Any] = {Duration: Duration("30d"), int: 1000, float: 0.5, str: "..."}
    examples[DefaultAfter] = {"value": False, "after": Duration("30d")}
    return toml(next((examples[kind] for kind in knob.options if kind in examples), "..."))


_HEAD = """# A flywheel, to be edited. Check it with:  whorl spec check
# See what it would have done for you:       whorl replay DATA --every 30d --from DATE --to DATE
# Lines that begin with '#name =' are the other knobs with their defaults. All of them: docs/spec.md"""
