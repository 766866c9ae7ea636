"""Why a prediction was, or was not, chosen to learn from: what the lake and the ledger say about one id."""

from datetime import datetime
from typing import Any

import msgspec

from whorl.curate.curate import INITIAL, training_cycles
from whorl.errors import NotFound
from whorl.examples.arrivals import usable_at
from whorl.examples.steps import PARTED
from whorl.records import CaseSet, Record
from whorl.spec import Spec
from whorl.storage.sql_types import text_literal
from whorl.storage.tables import FEATURE
from whorl.workspace import Workspace

_BUILT_IN = {
    "uncertain": "among the most uncertain predictions ([curate.reasons] uncertain_by)",
    "wrong": "the true class had been given a low probability",
    "large_error": "among the largest absolute errors",
    "changed": "champion and previous champion differ",
    "rare": "of a rare class",
    "novel": "least like the rows that were trained on",
    "random": "drawn at random, so that estimates stay honest",
    "mix": "one of many places where the model is undecided, or where it knows nothing yet",
    "margin": "the two likeliest classes are close",
    "entropy": "the model spreads its answer over many classes",
    "disagreement": "the models say different things",
    "diversity": "far from every row that was trained on or chosen",
    "coverage": "stands for many rows that are like it",
    "novelty": "least like the rows whose truth is known",
    "severity": "an error here is likely, and dear",
    "asked": "people were asked for its truth",
    INITIAL: "part of the first dataset",
}


def in_words(reason: str) -> str:
    """What a built-in reason or strategy means; its name, for one of the user's."""
    return _BUILT_IN.get(reason, reason)


class Picked(Record, frozen=True, kw_only=True):
    """One time it was chosen; `why` says the reason in words, or in the SQL of its rule."""

    cycle_id: str
    as_of: datetime
    reason: str
    why: str
    reasons: list[str]
    policy: str
    probability: float
    severity: float
    segment: str | None


class Story(Record, frozen=True, kw_only=True):
    """What is known of one prediction, each time it was chosen, and otherwise why it was not."""

    id: str
    time: datetime
    split: str
    status: str
    features: dict[str, Any]
    score: float | None
    output: str | None
    model_version: str | None
    label: Any
    label_time: datetime | None
    label_source: str | None
    picked: list[Picked]
    datasets: list[str]
    why_not: str | None


def why(ws: Workspace, prediction_id: str, as_of: datetime) -> Story:
    """The story of one prediction as of a time. Raises NotFound when it is not in the lake."""
    here = f"id = {text_literal(prediction_id)}"
    row = next(
        iter(ws.examples(as_of).select(f"*, {usable_at(ws.spec)} AS usable_at", where=here).to_pylist()), None
    )
    if row is None:
        raise NotFound(
            f"There is no prediction '{prediction_id}' in the lake.",
            where=ws.name,
            hint="It may still be in the inbox (whorl status), or have been refused when it was taken in.",
        )
    cases = ws.engine.query(
        f"SELECT * FROM {ws.lake.relation('cases')} WHERE {here} ORDER BY as_of"
    ).to_pylist()
    members = ws.engine.query(
        f"SELECT DISTINCT dataset, version, role FROM {ws.lake.relation('members')} WHERE {here} ORDER BY ALL"
    ).to_pylist()
    golden = [f"{m['dataset']}@{m['version']}" for m in members if m["role"] == "golden"]
    return Story(
        **{name: row[name] for name in ("id", "time", "split", "status", "score", "output", "model_version",
                                        "label", "label_time", "label_source")},
        features={name: row[FEATURE + name] for name in ws.spec.features},
        picked=[_picked(case, ws.spec) for case in cases],
        datasets=[f"{m['dataset']}@{m['version']} as {m['role']}" for m in members],
        why_not=None if cases else _why_not(ws, row, golden, as_of),
    )  # fmt: skip


def _picked(case: dict[str, Any], spec: Spec) -> Picked:
    rules = {rule.name: rule.when for rule in spec.curate.rules}
    reason = case["reason"]
    words = (
        f"the rule: {rules[reason]}"
        if reason in rules
        else _BUILT_IN.get(reason, "a rule that is gone by now")
    )
    names = [name for name in Picked.__struct_fields__ if name != "why"]
    return Picked(why=words, **{name: case[name] for name in names})


def _why_not(ws: Workspace, row: dict[str, Any], golden: list[str], as_of: datetime) -> str:
    labels = ws.spec.labels
    if golden:
        return (
            f"It is golden ({', '.join(golden)}): every challenger must get it right, so it is never chosen and never "
            "trained on."
        )
    if row["split"] == "holdout":
        return (
            "It is in the holdout: never chosen and never trained on, so that quality can be measured on it."
        )
    if row["split"] == PARTED:
        return (
            "Its group has rows on both sides of the holdout, because [curate] holdout_share was changed: it is neither "
            "trained on nor judged."
        )
    if row["status"] == "censored":
        return f"Its action, '{row['action']}', hides the truth: what would have happened is not known."
    if row["status"] == "expired":
        return f"No label came within the window ([labels] window = {labels.window})."
    if row["status"] == "open":
        default = labels.default_after
        later = (
            f" Without one it counts as {default.value} {default.after} after it was made." if default else ""
        )
        return f"Its truth is not known yet, {row['age_days']:.1f} days after it was made.{later}"
    return _not_drawn(ws, row, as_of)


def _not_drawn(ws: Workspace, row: dict[str, Any], as_of: datetime) -> str:
    """It can be chosen: by the first cycle that finds it usable, once, and once more when its label is corrected."""
    usable = row["usable_at"]
    considered = ws.engine.query(
        f"SELECT cycle_id, as_of, label FROM {ws.lake.relation('considered')} WHERE id = {text_literal(row['id'])}"
    ).to_pylist()
    labels = {turn["cycle_id"]: (turn["as_of"], turn["label"]) for turn in considered}
    turn = next((cycle for cycle in reversed(training_cycles(ws)) if cycle in labels), None)
    if turn is None and usable > as_of:
        return f"Its truth is known, but too young to be trained on before {usable:%Y-%m-%d %H:%M} UTC ([labels] lag)."
    if turn is None:
        return "Its truth is known, and no cycle has considered it yet; the next one does."
    since, label = labels[turn]
    corrected = since is not None and row["status"] == "known" and row["label_received_at"] > since
    if corrected and row["label"] != label:
        return f"It was considered in cycle {turn}, and not drawn; its label was corrected since, so the next one considers it again."
    step = next((step.result for step in ws.journal.done(turn) if step.name == "curate"), None)
    if step is None:
        return f"It was considered in cycle {turn}, and not drawn."
    cases = msgspec.convert(step, CaseSet)
    reasons = ", ".join(f"{name} {count:,}" for name, count in cases.by_reason.items()) or "none"
    share = cases.cases / cases.candidates if cases.candidates else 0.0
    return (
        f"It was considered in cycle {turn}, and not drawn: {cases.cases:,} of {cases.candidates:,} candidates were "
        f"({share:.1%}; by reason: {reasons}). A candidate is considered once, and again when its label is corrected."
    )
