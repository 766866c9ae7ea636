"""The embedded face: one flywheel in this process, with the verbs that a server offers too.

`whorl.open("fraud.toml")` needs no server and no network. Logging returns once the record is on disk, and raises where it
is refused, which nobody else could tell; cycles run in the caller's thread.
"""

import asyncio
import getpass
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

from whorl.capture.accept import accept
from whorl.capture.flush import flush, settled
from whorl.capture.mapping import Kind, native_mapper
from whorl.client.encode import LOGGED_AT, plain
from whorl.client.losses import Stats
from whorl.client.shapes import feedback_record, label_record
from whorl.client.track import Id, tracked
from whorl.clock import Clock
from whorl.cycle import CycleReport, start, turn
from whorl.errors import NotFound, RecordError, StateError, StorageError
from whorl.evaluate.holdout_ask import record, withdraw
from whorl.evaluate.holdout_plan import HoldoutPlan, plan
from whorl.evaluate.holdout_sheet import with_inputs
from whorl.examples.asked_list import Purpose, asked_list
from whorl.models.model import Model, load_model
from whorl.monitor.insights.insights import Insights, insights
from whorl.monitor.overview import Overview, overview
from whorl.monitor.told_quality import QualityTold, told_quality
from whorl.records import Accepted, Release
from whorl.release.deliver import deliver_webhooks
from whorl.release.release import promote, rollback
from whorl.spec import Spec, load_spec
from whorl.storage import cycles
from whorl.storage.lock import TURNING, hold, take_if_free
from whorl.workspace import DEFAULT_ROOT, Workspace, open_workspace


class Flywheel:
    """One flywheel's verbs, those of `whorl.Client` called alike. Use as a context manager, also with `async`, or call `close`.

    A verb that logs one record raises RecordError when it is refused; those that log many name what was refused in their
    answer. Both raise StorageError when nothing could be kept. From asyncio, `await asyncio.to_thread(...)`: all of them write.
    """

    def __init__(self, ws: Workspace) -> None:
        self.workspace = ws
        self._model: tuple[str, Model] | None = None
        self._counting = Lock()
        self._counts = Counter[str]()

    def log_prediction(self, record: Mapping[str, Any]) -> None:
        """Log a model call in your own shape; returns once it is on disk. A record that says no time is given that of this call.

        Raises:
            RecordError: It is refused.
        """
        _all_accepted(self.log_predictions([record]))

    def log_predictions(self, records: Iterable[Mapping[str, Any]]) -> Accepted:
        """Log many model calls; the refused ones are named in the answer, the others are kept."""
        now = self.workspace.clock.now()
        stamped = [{LOGGED_AT: now, **one} if isinstance(one, Mapping) else one for one in records]
        return self._log("predictions", stamped)

    def log_label(self, id: str | None, value: Any, **fields: Any) -> None:
        """The truth about a prediction; a later one corrects an earlier one. Fields are those of `whorl.Label`.

        Raises:
            RecordError: It is refused.
        """
        record = label_record(self.workspace.clock.now(), id, value, fields)
        _all_accepted(self._log("labels", [record], native=True))

    def log_labels(self, records: Iterable[Mapping[str, Any]]) -> Accepted:
        """Labels in your own shape; the refused ones are named in the answer. One that says no time is given that of its arrival."""
        return self._log("labels", list(records))

    def log_feedback(self, id: str | None, name: str, value: Any = None, **fields: Any) -> None:
        """A signal about a prediction: `log_feedback("txn_1", "thumbs", 1)`. Fields are those of `whorl.Feedback`.

        Raises:
            RecordError: It is refused.
        """
        record = feedback_record(self.workspace.clock.now(), id, name, value, fields)
        _all_accepted(self._log("feedback", [record], native=True))

    def track(self, function: Callable[..., Any] | None = None, *, id: Id = None) -> Any:
        """Log each call of a function as a prediction; what is refused is warned of. See `whorl.track`."""
        return tracked(self._log_call, self.workspace.clock.now, function, id)

    def predict(
        self, features: Mapping[str, Any], *, id: str | None = None, group: str | None = None
    ) -> dict[str, Any]:
        """The champion's answer; logged when an id is given.

        Args:
            group: The user or account, which must not straddle the holdout; default: what `features` holds under the
                name of [schema] group.

        Returns:
            {"score"} for binary and regression, {"output", "scores"} for multiclass, and {"model_version"}.

        Raises:
            NotFound: No champion yet.
        """
        version, model = self._champion()
        door = self.workspace.of_spec(native_mapper).scrubber
        # The model was taught on what may be kept, and is asked in the same words.
        seen = features if door is None else door.scrubbed({"features": features})["features"]
        answer = {**model_answer(model, seen), "model_version": version}
        if id is not None:
            by = self.workspace.spec.schema.group
            group = group if group is not None or by is None else features.get(by)
            record = {
                "id": id,
                "time": self.workspace.clock.now(),
                "group": group,
                "features": dict(features),
                **answer,
            }
            _all_accepted(accept(self.workspace, "predictions", [record], native=True))
        return answer

    def flush(self, timeout: float | None = None) -> bool:  # noqa: ARG002 - see there
        """Move what was logged into the lake: True, once it is there. A cycle does this by itself.

        Args:
            timeout: For `Client.flush`, which waits for a server. Here there is nothing to wait for.

        Raises:
            WorkspaceHeld: A server runs this workspace and moves it by itself.
        """
        with hold(self.workspace.root, self.workspace.ledger, TURNING):
            flush(self.workspace)
        return True

    def stats(self) -> Stats:
        """What became of what was logged by this object: it is on disk, refused, or without consent; nothing waits."""
        with self._counting:
            found = self._counts.copy()
        lost = found.pop("disk", 0)
        return Stats(
            logged=found.total() + lost,
            sent=found["sent"],
            refused=found["refused"],
            without_consent=found["without_consent"],
            dropped={"disk": lost} if lost else {},
            waiting=0,
            spooled=0,
            taken_over=0,
        )

    def run_cycle(self) -> CycleReport:
        """Turn the wheel: go on with the unfinished cycle, or start one; then send what waits for a URL, once.

        What could not be sent stays queued: `status` says so.

        Raises:
            WorkspaceHeld: A server runs this workspace and turns it by itself.
        """
        ws = self.workspace
        with hold(ws.root, ws.ledger, TURNING):
            unfinished = cycles.unfinished(ws.ledger, ws.name)
            report = turn(ws, unfinished.id if unfinished else start(ws, "manual"))
        self._deliver()
        return report

    def approve(self, cycle_id: str | None = None, *, by: str | None = None, reason: str = "") -> None:
        """Say yes to a waiting cycle; the next `run_cycle`, or the server, goes on."""
        self._decide("approve", cycle_id, by, reason)
        self._deliver()

    def reject(self, cycle_id: str | None = None, *, by: str | None = None, reason: str = "") -> None:
        """Say no to a waiting cycle."""
        self._decide("reject", cycle_id, by, reason)

    def submit(
        self, kind: cycles.Submitted, uri: str, cycle_id: str | None = None, *, by: str | None = None
    ) -> None:
        """Hand in what a cycle waits for: a model, scores, or the confirmation of a release."""
        ws = self.workspace
        if kind != "confirmation" and not urlsplit(uri).scheme:
            # Read by whoever runs cycles, in a directory of its own.
            uri = str(Path(uri).absolute())
        cycles.submit(ws.ledger, ws.name, cycle_id or self._unfinished(), kind, uri, by or whoami())

    def cancel(self, cycle_id: str | None = None) -> None:
        """Give up an unfinished cycle; nothing is released."""
        cycles.move(self.workspace.ledger, self.workspace.name, cycle_id or self._unfinished(), "cancelled")

    def promote(self, version: str | int, *, by: str | None = None, reason: str = "by hand") -> Release:
        """Make a version champion, whatever the gates said."""
        return promote(self.workspace, str(version), by=by or whoami(), reason=reason)

    def rollback(self, *, by: str | None = None, reason: str = "by hand") -> Release:
        """Bring back the champion before this one."""
        made = rollback(self.workspace, by=by or whoami(), reason=reason)
        self._deliver()
        return made

    def plan_holdout(self, *, labels: int | None = None, precision: float | None = None) -> HoldoutPlan:
        """How many labels, of which holdout rows, the champion's accuracy takes to a precision, or how precise so many make it.

        Args:
            labels: Labels to ask for; default: as many as the precision takes, or [evaluate] ask.
            precision: Half the width of the interval: 0.01 is one point up, one point down.

        Raises:
            StateError: Nothing may be spent, or no row could be asked for.
        """
        flush(self.workspace)
        return plan(self.workspace, settled(self.workspace), labels=labels, precision=precision)

    def ask_holdout(
        self, *, labels: int | None = None, precision: float | None = None, by: str | None = None
    ) -> HoldoutPlan:
        """Make the draw of `plan_holdout`: its rows are kept as asked for. Log their labels as any others, by id.

        Raises:
            WorkspaceHeld: Another process is asking.
        """
        with hold(self.workspace.root, self.workspace.ledger, f"asking-{self.workspace.name}"):
            planned = self.plan_holdout(labels=labels, precision=precision)
            record(self.workspace, planned, by=by or whoami())
        return planned

    def withdraw_holdout(self, draw: str, *, by: str | None = None) -> int:
        """Take the last draw of `ask_holdout` back, so that its rows can be drawn from again; how many rows it had asked for.

        Raises:
            StateError: It is not the last draw.
            WorkspaceHeld: Another process is asking.
        """
        return withdraw(self.workspace, draw, by=by or whoami())

    def asked(
        self,
        *,
        purpose: Purpose | None = None,
        draw: str | None = None,
        waiting: bool = False,
        with_prediction: bool = False,
        after: tuple[datetime, str, str] | None = None,
        limit: int | None = None,
    ) -> list[dict[str, Any]]:
        """Rows that people were asked for, the last draw first: draw, purpose, inputs, and `label`, None while the truth waits.

        Args:
            with_prediction: Tell what the model answered too; who answers holdout rows is not to see it. Others: `asked_list`.
        """
        ws, now = self.workspace, self.workspace.clock.now()
        rows = asked_list(
            ws.examples(now), purpose=purpose, draw=draw, waiting=waiting, after=after, limit=limit
        )
        return with_inputs(ws, rows, now, with_prediction=with_prediction)

    def quality(self) -> QualityTold:
        """The watched metric in each `[monitor] period`, and over the rows of each draw that people were asked for."""
        return told_quality(self.workspace, self.workspace.clock.now())

    def coverage(self) -> dict[str, Any]:
        """How much of the truth is known, and how late it comes; keys: `examples/coverage.py`."""
        return self.workspace.examples(self.workspace.clock.now()).coverage()

    def status(self) -> Overview:
        """What turns, what is stuck and why, who is needed."""
        return overview(self.workspace.root, self.workspace.ledger, self.workspace.name)

    def insights(self, *, why: bool = False, since: datetime | str | None = None) -> Insights:
        """Where the champion errs more than elsewhere, over recent holdout rows whose truth is known.

        Args:
            why: Say also why it got worse; said by itself when decay was found.
            since: Where the rows begin that got worse: a time, or ISO 8601.
        """
        return insights(self.workspace, self.workspace.clock.now(), why=why, since=since)

    def close(self, timeout: float | None = None) -> None:  # noqa: ARG002 - see there
        """Let go of files and connections; nothing that was accepted is lost. `timeout` is for `Client.close`, which sends."""
        self.workspace.close()

    def __enter__(self) -> "Flywheel":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> "Flywheel":
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.close)

    def _log_call(self, record: dict[str, Any]) -> None:
        _all_accepted(self._log("predictions", [plain(record)], native=True))

    def _log(self, kind: Kind, records: list[Any], *, native: bool = False) -> Accepted:
        try:
            answer = accept(self.workspace, kind, records, native=native)
        except StorageError:
            self._count(disk=len(records))
            raise
        self._count(sent=answer.accepted, refused=len(answer.refused), without_consent=answer.without_consent)
        return answer

    def _count(self, **counts: int) -> None:
        with self._counting:
            self._counts.update(counts)

    def _deliver(self) -> None:
        """One attempt at what waits in the outbox; where a server runs, it does this."""
        ws = self.workspace
        lock = take_if_free(ws.root, ws.ledger, TURNING)
        if lock is not None:
            with lock:
                deliver_webhooks(ws.ledger, ws.spec.release.secret_env, ws.name)

    def _decide(self, decision: Any, cycle_id: str | None, by: str | None, reason: str) -> None:
        ws = self.workspace
        cycles.decide(ws.ledger, ws.name, cycle_id or self._unfinished(), decision, by or whoami(), reason)

    def _unfinished(self) -> str:
        unfinished = cycles.unfinished(self.workspace.ledger, self.workspace.name)
        if unfinished is None:
            raise StateError("No cycle is unfinished.", where=self.workspace.name)
        return unfinished.id

    def _champion(self) -> tuple[str, Model]:
        version = self.workspace.registry.champion()
        if version is None:
            raise NotFound(
                "There is no champion yet.",
                where=self.workspace.name,
                hint="Run a cycle, or promote a version.",
            )
        if self._model is None or self._model[0] != version.id:
            ws = self.workspace
            self._model = (
                version.id,
                load_model(ws.registry.path(version), version.digest, ws.spec, beside=ws.beside),
            )
        return self._model


def open_flywheel(
    spec: str | Path | Spec,
    *,
    workspace: str | Path | None = None,
    ledger_url: str | None = None,
    clock: Clock | None = None,
    tracking_uri: str | None = None,
) -> Flywheel:
    """Open a flywheel in this process.

    Args:
        spec: Path of flywheel.toml, or a Spec.
        workspace: Directory; default is $WHORL_WORKSPACE, else `.whorl` beside the spec.
        ledger_url: Default is $WHORL_LEDGER, else SQLite in the workspace.
        tracking_uri: Default is $MLFLOW_TRACKING_URI, else an MLflow store in the workspace.
    """
    path = None if isinstance(spec, Spec) else Path(spec)
    loaded = spec if isinstance(spec, Spec) else load_spec(spec)
    beside = path.absolute().parent if path else Path.cwd()
    return Flywheel(
        open_workspace(
            loaded,
            workspace or os.environ.get("WHORL_WORKSPACE") or beside / DEFAULT_ROOT,
            ledger_url=ledger_url or os.environ.get("WHORL_LEDGER"),
            clock=clock,
            tracking_uri=tracking_uri or os.environ.get("MLFLOW_TRACKING_URI"),
            beside=beside,
        )
    )


def model_answer(model: Model, features: Mapping[str, Any]) -> dict[str, Any]:
    """One row's answer as it is logged and returned."""
    predicted = model.predict_row(features)[0]
    if model.manifest.task != "multiclass":
        return {"score": float(predicted)}
    scores = {str(name): float(p) for name, p in zip(model.manifest.classes, predicted, strict=True)}
    return {"output": max(scores, key=scores.__getitem__), "scores": scores}


def whoami() -> str:
    """Who acts, for the audit trail, when nobody says."""
    return os.environ.get("WHORL_USER") or getpass.getuser()


def _all_accepted(answer: Accepted) -> None:
    if answer.refused:
        refusal = answer.refused[0]
        raise RecordError(refusal.message, hint=refusal.hint, reason=refusal.code)
