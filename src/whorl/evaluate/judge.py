"""Prove a challenger better, or not: both sides on the same rows that nobody trained on, and the gates' verdict.

Returns a Verdict and records it. Never moves a pointer: see `release/`.
"""

from datetime import datetime
from math import isfinite, isnan
from time import perf_counter
from typing import Any, NamedTuple, get_args

import msgspec
import numpy as np
import numpy.typing as npt

from whorl.errors import DigestMismatch, ModelError, NotFound, SpecError, StateError
from whorl.evaluate.gates import Trial, run_gate
from whorl.evaluate.rows import JudgedRows, fixed_rows, judged_rows
from whorl.evaluate.sides import logged_champion, missing, predictions_of
from whorl.examples.champions_answers import name_in_records
from whorl.models.manifest import read_manifest
from whorl.models.model import load_model
from whorl.models.named_function import own_function
from whorl.models.spec_metric import spec_metric
from whorl.records import Check, Decision, ModelVersion, Verdict
from whorl.spec import GateSpec
from whorl.stats.intervals.estimate import Estimate
from whorl.stats.intervals.interval import interval
from whorl.stats.metrics.metric import metrics_for
from whorl.storage import dataset_versions, verdicts
from whorl.workspace import Workspace

Floats = npt.NDArray[np.float64]
LATENCY_ROWS = 200
# Share of the judged rows that a challenger may leave without an answer.
MAY_MISS = 0.01
_RANK: dict[Decision, int] = {"promote": 0, "hold": 1, "reject": 2}


def judge(ws: Workspace, challenger: ModelVersion, cycle_id: str, as_of: datetime) -> Verdict:
    """Compare a challenger with the champion and record the verdict: the worst decision of its checks.

    A cycle judges once: a resumed one gets the verdict it had, or it would be counted as another look at the holdout.

    Raises:
        StateError: The challenger is the champion: a comparison with itself would only spend a look.
    """
    recorded = verdicts.of_cycle(ws.ledger, ws.name, cycle_id)
    if recorded is not None:
        return recorded
    champion = ws.registry.champion()
    if champion is not None and champion.id == challenger.id:
        hint = "Name another version: whorl gate --challenger NUMBER. `whorl model list` shows what there is."
        raise StateError(
            f"{champion.id} is the champion: it is not judged against itself.", where=ws.name, hint=hint
        )
    trial, notes, unanswered = _trial(ws, challenger, as_of)
    checks = [*unanswered, *(check for gate in ws.spec.gates for check in run_gate(gate, trial))]
    worst = max(checks, key=lambda check: _RANK[check.decision], default=None)
    verdict = Verdict(
        challenger=challenger.id,
        champion=champion.id if champion else ws.spec.champion.version,
        decision=worst.decision if worst else "promote",
        reason=f"{worst.check}: {worst.message}" if worst else "No gate is declared.",
        checks=checks,
        metrics=_metrics(trial),
        rows=len(trial.rows),
        notes=notes,
    )
    looked = any(check.spent for check in checks)
    verdicts.record(ws.ledger, ws.name, cycle_id, verdict, look=trial.look if looked else trial.look - 1)
    return verdict


def _trial(ws: Workspace, challenger: ModelVersion, as_of: datetime) -> tuple[Trial, list[str], list[Check]]:
    rows = judged_rows(ws, as_of)
    notes = [
        *rows.notes,
        *(f"{n:,} holdout rows left out: {why}." for why, n in sorted(rows.left_out.items())),
    ]
    said = predictions_of(ws, challenger, rows)
    champion, note, unheard = _champion(ws, rows)
    notes += [*_unknown_classes(ws, challenger, rows), *note]
    answered = ~missing(said) if champion is None else ~(missing(said) | missing(champion))
    if not answered.all():
        notes.append(f"{int((~answered).sum()):,} holdout rows left out: one side has no answer for them.")
    trial = Trial(
        spec=ws.spec,
        rows=rows,
        challenger=said,
        champion=champion,
        look=verdicts.looks(ws.ledger, ws.name) + 1,
        metric=lambda name: spec_metric(ws.spec, name, ws.beside),
        golden=lambda name: _golden(ws, challenger, name, trial, as_of),
        own=lambda name, trial: _own_gate(ws, name, trial),
        cost_usd=_declared(ws.spec.gates, "cost", lambda: _mean_cost(rows)),
        latency_ms=_declared(ws.spec.gates, "latency", lambda: _latency(ws, challenger, rows)),
        unheard=unheard,
    ).take(answered)
    return trial, notes, [*_unanswered(said), *_selective(rows)]


def _unknown_classes(ws: Workspace, challenger: ModelVersion, rows: JudgedRows) -> list[str]:
    if ws.spec.task != "multiclass" or not challenger.digest:
        return []
    known = read_manifest(ws.registry.path(challenger)).classes
    unknown = [name for name in rows.classes if name not in known]
    if not unknown:
        return []
    wrong = int(np.isin(rows.truth, [rows.classes.index(name) for name in unknown]).sum())
    named = ", ".join(map(repr, unknown[:5])) + (", ..." if len(unknown) > 5 else "")
    return [
        f"{wrong:,} judged rows are of a class that was not among the training rows ({named}): the challenger cannot be "
        "right about them."
    ]


def _selective(rows: JudgedRows) -> list[Check]:
    """Rows whose truth comes in a way that no weight can mend promote nobody."""
    if not rows.refusal:
        return []
    return [Check(check="answering", decision="hold", message=rows.refusal, rows=len(rows))]


def _unanswered(said: Floats) -> list[Check]:
    """A challenger that answers only some rows would choose what it is judged on."""
    left = int(missing(said).sum())
    if left <= MAY_MISS * len(said):
        return []
    message = f"the challenger has no answer for {left:,} of {len(said):,} judged rows; score all of them"
    return [Check(check="answers", decision="hold", message=message, rows=len(said) - left)]


class _Heard(NamedTuple):
    """What a champion says of rows, None where nothing is known of it; notes; why a champion could not be heard."""

    said: Floats | None
    notes: list[str]
    unheard: str | None = None


def _champion(ws: Workspace, rows: JudgedRows) -> _Heard:
    version, notes = ws.registry.champion(), ["The champion is judged by its logged scores."]
    if version is not None and version.digest:
        try:
            return _Heard(predictions_of(ws, version, rows), [])
        except DigestMismatch:
            raise
        except ModelError as error:
            # It was made for another spec, say; what it said while it served still counts.
            notes = [f"The champion is judged by its logged scores: {error}"]
    elif ws.spec.champion.trained_through is None:
        notes.append(
            "[champion] trained_through is not declared: the champion may have been trained on these rows, which makes "
            "it look better than it is."
        )
    named = name_in_records(version, ws.spec)
    said = logged_champion(ws, rows, named)
    if said is not None:
        return _Heard(said, notes)
    if named is None:
        return _Heard(None, ["There is no champion yet: only absolute gates decide."])
    or_else = "" if version is not None else ", or take [champion] version out if it does not serve"
    unheard = (
        f"no answer of the champion {named} is known for these rows: log its predictions with model_version '{named}' "
        f"([schema] model_version){or_else}"
    )
    return _Heard(None, [f"Not compared: {unheard}."], unheard)


def _metrics(trial: Trial) -> dict[str, dict[str, Any]]:
    """Every metric of both sides, with intervals; null where undefined."""
    rows, level = trial.rows, trial.spec.evaluate.level
    found: dict[str, dict[str, Any]] = {}
    own = [] if ":" not in trial.spec.metric else [trial.metric(trial.spec.metric)]
    for metric in [*metrics_for(trial.spec.task), *own] if len(rows) else []:
        sides = {"challenger": trial.challenger, "champion": trial.champion}
        found[metric.name] = {
            side: _plain(interval(metric, rows.truth, said, rows.weight, level=level, group=rows.group))
            for side, said in sides.items()
            if said is not None
        }
    return found


def _plain(found: Estimate) -> dict[str, float | int | None]:
    figures = {"value": found.value, "low": found.low, "high": found.high}
    return {name: None if isnan(value) else value for name, value in figures.items()} | {"n": found.n}


def _golden(
    ws: Workspace, challenger: ModelVersion, name: str, trial: Trial, as_of: datetime
) -> Trial | None:
    """Both sides on golden rows, with the labels they were fixed with."""
    made = [d for d, _ in dataset_versions.versions(ws.ledger, ws.name) if d.name == name]
    if not made and ws.spec.curate.golden is not None and name == ws.spec.curate.golden.name:
        return None
    if not made:
        hint = f"Make it with `whorl dataset golden {name}`, or declare [curate.golden]."
        raise NotFound(f"There is no golden dataset '{name}'.", where="evaluate.gates", hint=hint)
    rows = fixed_rows(ws, made[-1], as_of)
    champion, _, unheard = _champion(ws, rows)
    if champion is None and trial.champion is not None:
        unheard = unheard or "no answer of the champion is known for these rows"
    said = predictions_of(ws, challenger, rows)
    return msgspec.structs.replace(trial, rows=rows, challenger=said, champion=champion, unheard=unheard)


def _own_gate(ws: Workspace, name: str, trial: Trial) -> Check:
    where, hint = "evaluate.gates", "It is called with a Trial, and returns a whorl.Check: docs/gates.md."
    answer = own_function(name, where=where, hint=hint, beside=ws.beside)(trial)
    if not isinstance(answer, Check):
        raise SpecError(f"{name} answered {type(answer).__name__}.", where=where, hint=hint)
    try:
        check = msgspec.convert(msgspec.to_builtins(answer, enc_hook=_of_numpy), Check)
    except (msgspec.ValidationError, TypeError) as error:
        decisions = ", ".join(map(repr, get_args(Decision)))
        hint = f"{hint} Its decision is one of {decisions}; its figures are numbers or None."
        raise SpecError(
            f"{name} answered a Check that does not fit: {error}.", where=where, hint=hint
        ) from error
    figures = {name: _finite(getattr(check, name)) for name in ("value", "low", "high")}
    return msgspec.structs.replace(check, **figures)


def _of_numpy(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r} is neither text nor a number")


def _finite(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) else None


def _declared(gates: list[GateSpec], check: str, measure: Any) -> float | None:
    return measure() if any(gate.check == check for gate in gates) else None


def _mean_cost(rows: JudgedRows) -> float | None:
    cost = [value for value in rows.table["cost_usd"].to_pylist() if value is not None]
    return float(np.mean(cost)) if cost else None


def _latency(ws: Workspace, challenger: ModelVersion, rows: JudgedRows) -> float | None:
    """95th percentile of the time for one row, in ms; None when the model cannot be run here."""
    if not challenger.digest or not len(rows):
        return None
    model, features = (
        load_model(ws.registry.path(challenger), challenger.digest, ws.spec, beside=ws.beside),
        rows.features(ws.spec),
    )
    times: list[float] = []
    for place in range(min(LATENCY_ROWS, len(rows))):
        start = perf_counter()
        model.predict(features.slice(place, 1))
        times.append((perf_counter() - start) * 1000)
    return float(np.quantile(times, 0.95))
