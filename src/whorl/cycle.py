"""One turn of the flywheel: capture, curate, datasets, train, evaluate, release, monitor.

Durable: each step's small result is journalled, so that a cycle killed anywhere goes on at the step it was in and ends
as it would have ended. Waiting for a person or an outside system is a state in the ledger, not a sleeping thread: the
answer is recorded by whoever gives it, and the next `turn` goes on from there. Who may turn is settled by a lock, in the
faces; replay turns the same steps in simulated time.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal, NoReturn, TypeVar

import msgspec

from whorl.capture.flush import Tell, flush, settled
from whorl.curate.curate import curate, training_cycles
from whorl.datasets.build import build
from whorl.datasets.named import declared_golden_set
from whorl.errors import StateError, TrainingFailed, WhorlError, masked
from whorl.evaluate.holdout_ask import ask_in_cycle
from whorl.evaluate.judge import judge
from whorl.monitor.watch import new_findings, raise_findings
from whorl.records import (
    CaseSet,
    DatasetVersion,
    Decision,
    Finding,
    ModelVersion,
    Record,
    Release,
    Verdict,
    Waiting,
)
from whorl.release.release import confirm, release
from whorl.spec import Duration
from whorl.storage import cycles, flywheels
from whorl.train.external import adopt
from whorl.train.fit import fit
from whorl.workspace import Workspace

T = TypeVar("T")
_ENDS: dict[Decision, cycles.State] = {"promote": "finished", "hold": "held", "reject": "rejected"}
Trigger = Literal["manual", "cadence", "finding", "replay"]

BEFORE_TRAINING = ("manual", "semi")
BEFORE_RELEASE = ("manual", "semi", "approval")


class CycleReport(Record, frozen=True, kw_only=True):
    """What one turn has done so far; `state` is finished, waiting, held, rejected or failed."""

    id: str
    state: str
    as_of: datetime
    cases: CaseSet | None = None
    dataset: DatasetVersion | None = None
    challenger: ModelVersion | None = None
    verdict: Verdict | None = None
    release: Release | None = None
    findings: list[Finding] = msgspec.field(default_factory=list)
    waiting: Waiting | None = None
    error: dict[str, Any] | None = None


def start(ws: Workspace, trigger: Trigger, tell: Tell | None = None) -> str:
    """Begin a cycle as of now; returns its id. Raises StateError while another one is unfinished. `tell`: see `flush`."""
    flush(ws, tell)
    return cycles.start(ws.ledger, ws.name, trigger=trigger, as_of=settled(ws), spec_hash=ws.spec_hash)


def turn(ws: Workspace, cycle_id: str, tell: Tell | None = None) -> CycleReport:
    """Carry a cycle as far as it goes: to its end, or to the next thing it must wait for.

    Args:
        tell: Called for each batch of records that it moves to the lake; see `flush`.

    Raises:
        WhorlError: A step failed; the cycle is marked failed with the same words.
    """
    turning = _Turn(ws, cycle_id, tell)
    try:
        turning.check_spec()
        turning.flush()
        turning.curate()
        turning.datasets()
        turning.train()
        turning.evaluate()
        turning.release()
        turning.monitor()
        turning.ask()
        turning.end()
    except _Pause as pause:
        turning.stop("waiting", waiting=pause.waiting)
    except _Declined as declined:
        turning.stop("rejected", error={"code": "declined", "message": str(declined)})
    except WhorlError as error:
        turning.stop("failed", error=error.as_dict())
        raise
    except Exception as error:
        message = masked(f"{type(error).__name__}: {error}")
        turning.stop("failed", error={"code": "internal", "message": message})
        raise
    return turning.report()


class _Turn:
    """The steps of one cycle, each with what the ones before it handed on."""

    def __init__(self, ws: Workspace, cycle_id: str, tell: Tell | None) -> None:
        self.ws, self._tell = ws, tell
        self.cycle = cycles.get(ws.ledger, ws.name, cycle_id)
        if self.cycle.state not in ("running", "waiting"):
            raise StateError(
                f"The cycle is {self.cycle.state}.",
                where=cycle_id,
                hint="Start another with `whorl cycle run`.",
            )
        self.state: cycles.State = "running"
        self.done: dict[str, Any] = {}
        self.waiting: Waiting | None = None
        self.error: dict[str, Any] | None = None

    def check_spec(self) -> None:
        """A cycle ends under the spec it began with: half of it by another one would be neither's. It goes on after an upgrade."""
        if not flywheels.is_still(self.ws.ledger, self.ws.spec, self.cycle.spec_hash):
            raise StateError(
                "The spec was changed while this cycle was under way.",
                where=self.cycle.id,
                hint="It is given up. Start another one: whorl cycle run.",
            )

    def flush(self) -> None:
        self._step("flush", lambda: flush(self.ws, self._tell), int)

    def curate(self) -> None:
        earlier = [cycle for cycle in training_cycles(self.ws) if cycle != self.cycle.id]
        self._step("curate", lambda: curate(self.ws, self.cycle.id, self.cycle.as_of, earlier), CaseSet)
        self._step("settle", lambda: self.ws.settle(self.cycle.as_of, earlier), bool)

    def datasets(self) -> None:
        self._step("golden", lambda: declared_golden_set(self.ws, self.cycle.as_of), DatasetVersion | None)
        self._step("datasets", lambda: build(self.ws, self.cycle.id, self.done["curate"]), DatasetVersion)

    def train(self) -> None:
        if self.ws.spec.automation in BEFORE_TRAINING:
            self._await_decision("training")
        dataset = self.done["datasets"]
        if self.ws.spec.train.trainer != "external":
            self._step("train", lambda: self._fitted(dataset), ModelVersion)
            return
        timeout = self.ws.spec.train.timeout
        offer = self._step("offer", lambda: self._within(timeout, self._fitted(dataset)), Waiting)
        submission = self._submitted(offer, "model", "scores")
        if submission is None:
            raise TrainingFailed(
                f"No model was handed in within {timeout} ([train] timeout).",
                where=self.cycle.id,
                hint="The champion stays. Run another cycle, and hand its model in sooner or allow more time.",
            )
        self._step(
            "train",
            lambda: adopt(self.ws, dataset, self.cycle.id, submission, beside=self.ws.beside),
            ModelVersion,
        )

    def evaluate(self) -> None:
        challenger = self.done["train"]
        verdict = self._step(
            "evaluate", lambda: judge(self.ws, challenger, self.cycle.id, self.cycle.as_of), Verdict
        )
        if verdict.decision == "promote" and self.ws.spec.automation in BEFORE_RELEASE:
            self._await_decision("release")

    def release(self) -> None:
        verdict = self.done["evaluate"]
        made = self._step("release", lambda: release(self.ws, verdict, self.cycle.id), Release)
        if made.state == "waiting":
            told = Waiting(what="confirmation", where=self.cycle.id, hint=made.message)
            within = self.ws.spec.release.confirm_within
            answer = self._submitted(
                self._step("told", lambda: self._within(within, told), Waiting), "confirmation"
            )
            self._step("confirm", lambda: confirm(self.ws, verdict, self.cycle.id, answer), Release)

    def monitor(self) -> None:
        found = self._step("monitor", lambda: new_findings(self.ws, self.cycle.as_of), list[Finding])
        # Only when they are journalled: a step that ran again would not find what it had raised already.
        raise_findings(self.ws, found, self.cycle.as_of)

    def ask(self) -> None:
        """Last: what is asked for now is answered later, and tells nothing of this cycle."""
        self._step("ask", lambda: ask_in_cycle(self.ws, self.cycle.id, self.cycle.as_of), int)

    def end(self) -> None:
        self.stop(_ENDS[self.done["evaluate"].decision])

    def stop(
        self, state: cycles.State, *, waiting: Waiting | None = None, error: dict[str, Any] | None = None
    ) -> None:
        self.state, self.waiting, self.error = state, waiting, error
        cycles.move(self.ws.ledger, self.ws.name, self.cycle.id, state, waiting_for=waiting, error=error)

    def report(self) -> CycleReport:
        return CycleReport(
            id=self.cycle.id,
            state=self.state,
            as_of=self.cycle.as_of,
            cases=self.done.get("curate"),
            dataset=self.done.get("datasets"),
            challenger=self.done.get("train"),
            verdict=self.done.get("evaluate"),
            release=self.done.get("confirm") or self.done.get("release"),
            findings=self.done.get("monitor") or [],
            waiting=self.waiting,
            error=self.error,
        )

    def _step(self, name: str, run: Callable[[], T], kind: Any) -> T:
        def begun() -> T:
            # Only now: while nothing runs, an answer may still come in for what the cycle waits for.
            cycles.move(self.ws.ledger, self.ws.name, self.cycle.id, "running", step=name)
            return run()

        result: T = self.ws.journal.step(self.cycle.id, name, begun, kind)
        self.done[name] = result
        return result

    def _fitted(self, dataset: DatasetVersion) -> Any:
        return fit(self.ws, dataset, self.cycle.id, beside=self.ws.beside)

    def _within(self, span: Duration, waiting: Waiting) -> Waiting:
        return msgspec.structs.replace(waiting, until=self.ws.clock.now() + span.span)

    def _submitted(self, waiting: Waiting, *kinds: cycles.Submitted) -> cycles.Submission | None:
        """What was handed in; until then the cycle waits. None when it is too late."""
        submission = cycles.submission(self.ws.ledger, self.ws.name, self.cycle.id, kinds)
        if submission is None and (waiting.until is None or self.ws.clock.now() < waiting.until):
            self._pause(waiting)
        return submission

    def _await_decision(self, before: str) -> None:
        """Go on when a person has said yes to this step, stop for good when no, wait when nobody has."""
        decision = cycles.decision_for(self.ws.ledger, self.ws.name, self.cycle.id, before)
        if decision is None:
            hint = (
                f"whorl cycle approve {self.cycle.id}   or   whorl cycle reject {self.cycle.id} --reason ..."
            )
            self._pause(Waiting(what="approval", where=before, hint=hint))
        elif decision.decision == "reject":
            raise _Declined(
                f"{decision.by or 'Somebody'} declined {before}: {decision.reason or 'no reason given'}."
            )

    def _pause(self, waiting: Waiting) -> NoReturn:
        raise _Pause(waiting)


class _Pause(Exception):
    def __init__(self, waiting: Waiting) -> None:
        self.waiting = waiting


class _Declined(Exception):
    pass
