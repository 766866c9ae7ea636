"""The checks a challenger must pass. One function a check: numbers in, a Check with decision, message and interval out.

'promote' passes, 'hold' asks for more rows, 'reject' is a no. What a verdict makes of them: `judge.py`.
"""

from collections.abc import Callable
from math import isnan

import msgspec
import numpy as np
import numpy.typing as npt

from whorl.evaluate.rows import JudgedRows
from whorl.evaluate.sides import missing
from whorl.records import Check, Decision
from whorl.spec import GateSpec, Spec
from whorl.stats.intervals.error_budget import alpha_at, level_at
from whorl.stats.intervals.estimate import Estimate
from whorl.stats.intervals.interval import interval
from whorl.stats.intervals.needed_rows import needed_rows
from whorl.stats.intervals.paired_difference import paired_difference
from whorl.stats.metrics.metric import METRICS, Metric
from whorl.storage.tables import FEATURE

Floats = npt.NDArray[np.float64]
# Times the judged rows that there are: who would have to wait for more than that is not told a number.
HARDLY_TELL = 100


class Trial(msgspec.Struct, frozen=True):
    """Everything a gate may look at.

    Args:
        rows: Judged rows that both sides answered.
        challenger: Its predictions, (n,) or (n, k).
        champion: The champion's; None when there is none.
        look: How many looks at this holdout have spent from the error budget, counting this one.
        metric: Finds a metric by its name in the spec.
        golden: The same two sides on a golden dataset's rows; None before it is made.
        own: Runs the user's gate function.
        unheard: Why what the champion said of these rows is not known, if one serves: nothing is better than that.
    """

    spec: Spec
    rows: JudgedRows
    challenger: Floats
    champion: Floats | None
    look: int
    metric: Callable[[str], Metric]
    golden: Callable[[str], "Trial | None"]
    own: Callable[[str, "Trial"], Check]
    cost_usd: float | None = None
    latency_ms: float | None = None
    unheard: str | None = None

    @property
    def alpha(self) -> float:
        """This look's part of the error budget: what a check that decides by an interval at `level` has `spent`."""
        return alpha_at(self.look, self.spec.evaluate.error_budget)

    @property
    def level(self) -> float:
        """Two-sided level whose lower bound spends this look's part of the error budget."""
        return level_at(self.look, self.spec.evaluate.error_budget)

    def take(self, chosen: npt.NDArray[np.bool_]) -> "Trial":
        """The rows where `chosen` (n,) is true, and what both sides say of them."""
        champion = None if self.champion is None else self.champion[chosen]
        rows, challenger = self.rows.take(chosen), self.challenger[chosen]
        return msgspec.structs.replace(self, rows=rows, challenger=challenger, champion=champion)


def run_gate(gate: GateSpec, trial: Trial) -> list[Check]:
    """A gate's checks: one, or one a segment."""
    return _GATES[gate.check](gate, trial)


def better(gate: GateSpec, trial: Trial) -> list[Check]:
    """The whole interval of the paired difference lies above the margin."""
    return [_against_champion(gate, trial, bar=gate.margin, word="better")]


def not_worse(gate: GateSpec, trial: Trial) -> list[Check]:
    """The whole interval of the paired difference lies above minus the margin."""
    return [_against_champion(gate, trial, bar=-gate.margin, word="not worse")]


def no_segment_worse(gate: GateSpec, trial: Trial) -> list[Check]:
    """In no slice of [schema] segments does the whole interval lie below minus the margin; slices share the error.

    Neither this nor `calibrated` spends from the error budget: they pass what is not proven bad, and an interval that gets
    wider with each look would only let more through.
    """
    if trial.champion is None:
        return [_nothing_to_compare("no_segment_worse", trial)]
    slices = list(_slices(gate, trial))
    level = 1 - (1 - trial.spec.evaluate.level) / max(len(slices), 1)
    checks: list[Check] = []
    for name, chosen in slices:
        found = _difference(gate, trial, level, chosen)
        if isnan(found.high):
            continue  # One class only, or hardly any of the other: as if it had too few rows.
        checks.append(_unless_worse(gate, trial, name, found, segment=name))
    if not checks:
        metric = gate.metric or trial.spec.metric
        own = bool(slices) and ":" in metric
        message = _undefined(metric) if own else "No segment has enough rows to be judged."
        return [Check(check="no_segment_worse", decision="promote", message=message)]
    worst = [check for check in checks if check.decision == "reject"]
    return worst or [min(checks, key=lambda check: check.value if check.value is not None else 0.0)]


def calibrated(gate: GateSpec, trial: Trial) -> list[Check]:
    """The calibration error's lower bound is not above the bound (0.05 unless said)."""
    bound = gate.value if gate.value is not None else 0.05
    found = _figure("calibration_error", trial, trial.spec.evaluate.level)
    short = _too_few(gate, "calibrated", trial)
    if short:
        return [short]
    good = not found.low > bound
    message = (
        f"calibration error {_figures(found)} {'is not shown to exceed' if good else 'exceeds'} {bound:g}"
    )
    return [_check("calibrated", "promote" if good else "reject", message, found, "calibration_error")]


def minimum(gate: GateSpec, trial: Trial) -> list[Check]:
    """The challenger's figure reaches the bound: by its whole interval it passes, by none of it it is rejected.

    It spends from the error budget as a comparison does: asked often enough, what lies below the bound reaches it by luck.
    """
    short = _too_few(gate, "minimum", trial)
    if short:
        return [short]
    metric = trial.metric(gate.metric or trial.spec.metric)
    found, bound = _figure(metric.name, trial, trial.level), gate.value or 0.0
    low, high = (found.low, found.high) if metric.greater_is_better else (-found.high, -found.low)
    bar = bound if metric.greater_is_better else -bound
    decision, word = (
        ("reject", "misses")
        if high < bar
        else ("promote", "reaches")
        if low >= bar
        else ("hold", "cannot be told from")
    )
    message = f"{metric.name} {_figures(found)} {word} {bound:g}"
    return [_check("minimum", decision, message, found, metric.name, spent=trial.alpha)]


def golden(gate: GateSpec, trial: Trial) -> list[Check]:
    """With a metric: not shown to be worse than the champion on the golden rows. Without: all are answered right.

    Golden rows are fixed and no more will come: who wanted proof of "not worse" from them might wait for it for ever.
    Like `no_segment_worse` it passes what is not proven bad, and spends nothing.
    """
    asked = trial.golden(gate.dataset or (trial.spec.curate.golden.name if trial.spec.curate.golden else ""))
    if asked is None:
        return [
            Check(
                check="golden", decision="promote", message="the golden set is made when a first dataset is"
            )
        ]
    if gate.metric is not None:
        return [_guarded(gate, asked)]
    wrong = _wrong(asked, gate.value or 0.0)
    ids = [asked.rows.table["id"][int(place)].as_py() for place in np.flatnonzero(wrong)[:5]]
    such = f", such as {', '.join(ids)}" if ids else ""
    decision: Decision = "reject" if wrong.any() else "promote" if len(asked.rows) else "hold"
    message = f"{int(wrong.sum())} of {len(asked.rows)} golden rows wrong{such}"
    return [
        Check(
            check="golden", decision=decision, message=message, value=float(wrong.sum()), rows=len(asked.rows)
        )
    ]


def cost(gate: GateSpec, trial: Trial) -> list[Check]:
    """A prediction costs at most the bound (USD a call)."""
    return [_bound(gate, "cost", trial.cost_usd, "USD a call")]


def latency(gate: GateSpec, trial: Trial) -> list[Check]:
    """One row is answered within the bound (ms, 95th percentile of single-row predictions on this machine)."""
    return [_bound(gate, "latency", trial.latency_ms, "ms")]


def own_function(gate: GateSpec, trial: Trial) -> list[Check]:
    """Your own gate: function(trial) -> Check."""
    return [trial.own(gate.function or "", trial)]


_GATES: dict[str, Callable[[GateSpec, Trial], list[Check]]] = {
    "better": better,
    "not_worse": not_worse,
    "no_segment_worse": no_segment_worse,
    "calibrated": calibrated,
    "minimum": minimum,
    "golden": golden,
    "cost": cost,
    "latency": latency,
    "function": own_function,
}


def _wrong(trial: Trial, tolerance: float) -> npt.NDArray[np.bool_]:
    """Rows answered wrong, or not at all; regression: by more than the tolerance."""
    said, truth = trial.challenger, trial.rows.truth
    if trial.spec.task == "regression":
        return ~np.asarray(np.abs(said - truth) <= tolerance)
    if said.ndim == 1:
        return np.asarray(np.isnan(said) | ((said >= 0.5) != (truth > 0.5)))
    return np.asarray(np.isnan(said).any(axis=1) | (said.argmax(axis=1) != truth))


def _against_champion(gate: GateSpec, trial: Trial, *, bar: float, word: str) -> Check:
    short = _too_few(gate, gate.check, trial)
    if short and (trial.champion is not None or trial.unheard):
        return short
    if trial.champion is None:
        return _nothing_to_compare(gate.check, trial)
    found = _difference(gate, trial, trial.level, None)
    name, needed = gate.metric or trial.spec.metric, None
    if found.low > bar or (word == "not worse" and found.low == bar == 0.0 == found.high):
        decision, says = "promote", f"{name} {word}: difference {_figures(found)} lies above {bar:g}"
    elif found.high < bar:
        decision, says = "reject", f"{name}: difference {_figures(found)} lies below {bar:g}"
    else:
        needed = needed_rows(found, bar, level=trial.level)
        more = f"; about {needed:,} more judged rows would tell" if needed else ""
        if needed and needed > HARDLY_TELL * found.n:
            needed = None
            more = f"; more rows would hardly tell: {'the two are' if bar == 0 else 'it is'} about equal"
        decision, says = "hold", f"{name}: difference {_figures(found)} cannot be told from {bar:g}{more}"
    check = _check(gate.check, decision, says, found, name, spent=trial.alpha)
    return msgspec.structs.replace(check, rows_needed=needed)


def _guarded(gate: GateSpec, asked: Trial) -> Check:
    if asked.champion is None:
        return _nothing_to_compare("golden", asked)
    heard = asked.take(~missing(asked.champion))
    name, level = gate.metric or asked.spec.metric, asked.spec.evaluate.level
    return _too_few(gate, "golden", heard) or _unless_worse(
        gate, heard, name, _difference(gate, heard, level, None)
    )


def _unless_worse(
    gate: GateSpec, trial: Trial, what: str, found: Estimate, segment: str | None = None
) -> Check:
    """Rejects only when the whole interval lies below minus the margin."""
    worse = found.high < -gate.margin
    message = f"{what}: difference {_figures(found)} is {'' if worse else 'not shown to be '}worse"
    metric = gate.metric or trial.spec.metric
    return _check(gate.check, "reject" if worse else "promote", message, found, metric, segment=segment)


def _difference(gate: GateSpec, trial: Trial, level: float, chosen: npt.NDArray[np.bool_] | None) -> Estimate:
    metric, rows = trial.metric(gate.metric or trial.spec.metric), trial.rows
    assert trial.champion is not None
    part = np.ones(len(rows), dtype=np.bool_) if chosen is None else chosen
    return paired_difference(
        metric,
        rows.truth[part],
        trial.champion[part],
        trial.challenger[part],
        rows.weight[part],
        level=level,
        group=rows.group[part],
    )


def _figure(name: str, trial: Trial, level: float) -> Estimate:
    rows = trial.rows
    return interval(
        METRICS.get(name) or trial.metric(name),
        rows.truth, trial.challenger, rows.weight, level=level, group=rows.group,
    )  # fmt: skip


def _slices(gate: GateSpec, trial: Trial) -> list[tuple[str, npt.NDArray[np.bool_]]]:
    found: list[tuple[str, npt.NDArray[np.bool_]]] = []
    for segment in trial.spec.schema.segments:
        values = trial.rows.table[FEATURE + segment].to_pylist()
        told = np.array([f"{segment} is missing" if v is None else f"{segment} = {v}" for v in values])
        for name, rows in zip(*np.unique(told, return_counts=True), strict=True):
            if rows >= gate.min_rows:
                found.append((str(name), told == name))
    return found


def _too_few(gate: GateSpec, name: str, trial: Trial) -> Check | None:
    have, want = len(trial.rows), max(gate.min_rows, 1)
    if have >= want:
        return None
    message = f"{have} judged rows, {want} are wanted: {want - have} more are needed"
    return Check(check=name, decision="hold", message=message, rows=have, rows_needed=want - have)


def _nothing_to_compare(name: str, trial: Trial) -> Check:
    decision: Decision = "hold" if trial.unheard else "promote"
    message = trial.unheard or "there is no champion to compare with"
    return Check(check=name, decision=decision, message=message, rows=len(trial.rows))


def _bound(gate: GateSpec, name: str, found: float | None, unit: str) -> Check:
    limit = gate.value or 0.0
    if found is None:
        return Check(check=name, decision="hold", message=f"no {name} is known for the challenger")
    good = found <= limit
    message = f"{found:.4g} {unit}, {'within' if good else 'above'} {limit:g}"
    return Check(
        check=name, decision="promote" if good else "reject", message=message, value=found, high=limit
    )


def _check(
    name: str,
    decision: str,
    message: str,
    found: Estimate,
    metric: str,
    segment: str | None = None,
    spent: float = 0.0,
) -> Check:
    return msgspec.convert(
        {
            "check": name,
            "decision": decision if not isnan(found.value) else "hold",
            "message": message if not isnan(found.value) else _undefined(metric),
            "value": _number(found.value),
            "low": _number(found.low),
            "high": _number(found.high),
            "rows": found.n,
            "segment": segment,
            "spent": 0.0 if isnan(found.low) else spent,
        },
        Check,
    )


def _undefined(metric: str) -> str:
    if ":" in metric:
        return f"{metric} gave nan or an infinity for these rows: let it return a number, or judge by another metric"
    return "undefined on these rows (one class only, none, or one without an answer)"


def _number(value: float) -> float | None:
    return None if isnan(value) else value


def _figures(found: Estimate) -> str:
    bounds = f"[{found.low:+.4f}, {found.high:+.4f}]" if not isnan(found.low) else "(no interval)"
    return f"{found.value:+.4f} {bounds}"
