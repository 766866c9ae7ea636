"""Carry out a verdict, and take it back. Serving follows the registry's pointer; this is who moves it.

A release has one stage in this version: 'full'. Shadow, canary and split will be further stages of the same list, each
ending in the same move of the pointer; `[release] stages` keeps their place.
"""

from datetime import datetime
from typing import Any

from whorl.clock import as_utc
from whorl.errors import ReleaseError, StateError, masked
from whorl.records import ModelVersion, Release, Verdict
from whorl.storage.cycles import Submission
from whorl.storage.outbox import Outbox
from whorl.storage.registry import ELSEWHERE
from whorl.workspace import Workspace


def release(ws: Workspace, verdict: Verdict, cycle_id: str) -> Release:
    """Promote the challenger when the verdict says so.

    via = 'registry' and 'serve' move the pointer now; 'external' tells the company's system by a signed webhook and
    waits for its confirmation.
    """
    challenger = ws.registry.get(verdict.challenger)
    if verdict.decision != "promote":
        ws.registry.point("challenger", None, by=cycle_id, reason=verdict.reason)
        return Release(
            version=_champion_id(ws),
            previous=_champion_id(ws),
            via=ws.spec.release.via,
            state="kept",
            message=verdict.reason,
        )
    _check_champion(ws, verdict, cycle_id)
    ws.registry.point("challenger", challenger.id, by=cycle_id, reason=verdict.reason)
    if ws.spec.release.via == "external":
        _tell(ws, "release.requested", challenger, cycle_id, verdict.reason)
        return Release(
            version=challenger.id, previous=_champion_id(ws), via="external", state="waiting",
            message=f"{masked(ws.spec.release.webhook or '')} is asked to release {challenger.id}; "
            f"when it has, confirm with `whorl cycle submit {cycle_id} --confirm`.",
        )  # fmt: skip
    return _promote(ws, challenger, by=cycle_id, reason=verdict.reason)


def confirm(ws: Workspace, verdict: Verdict, cycle_id: str, answer: Submission | None) -> Release:
    """The outside system says that it serves the challenger now: the pointer follows.

    Args:
        answer: What it said; None when it said nothing within `[release] confirm_within`.

    Raises:
        ReleaseError: It says that it could not, or nothing; the champion stays.
    """
    challenger = ws.registry.get(verdict.challenger)
    if answer is None or answer.uri not in ("", "done", challenger.id):
        within = ws.spec.release.confirm_within
        by, why = (
            (cycle_id, f"Nobody confirmed the release within {within} ([release] confirm_within).")
            if answer is None
            else (answer.by, f"{answer.by} did not confirm the release: {answer.uri}.")
        )
        ws.registry.point("challenger", None, by=by, reason=why)
        raise ReleaseError(
            why, where=cycle_id, hint="The champion stays. Mend the cause and run another cycle."
        )
    return _promote(ws, challenger, by=answer.by, reason=verdict.reason)


def promote(ws: Workspace, ref: str, *, by: str, reason: str) -> Release:
    """Make a version champion by hand, whatever the gates said; the reason is kept in the audit trail."""
    return _promote(ws, ws.registry.get(ref), by=by, reason=reason)


def rollback(ws: Workspace, *, by: str, reason: str) -> Release:
    """Bring back the champion before this one. What serves changes at once.

    Raises:
        StateError: There is no earlier champion.
    """
    champion, previous = ws.registry.champion(), ws.registry.previous()
    if champion is None or previous is None:
        raise StateError(
            "There is no earlier champion to go back to.",
            where=ws.name,
            hint="`whorl model list` shows what there is.",
        )
    ws.registry.point("champion", previous.id, by=by, reason=reason, expect=champion.id)
    if ws.spec.release.via == "external":
        _tell(ws, "release.rolled_back", previous, None, reason)
    ws.mirror_models()
    return Release(
        version=previous.id, previous=champion.id, via=ws.spec.release.via, state="released", message=reason
    )


def _check_champion(ws: Workspace, verdict: Verdict, cycle_id: str) -> None:
    """A verdict holds against the champion that it compared with; days of waiting may have brought another."""
    now = _champion_id(ws)
    if now not in (verdict.champion, verdict.challenger):
        raise ReleaseError(
            f"The champion is {now} by now; the verdict compared with {verdict.champion}.",
            where=cycle_id,
            hint="Run another cycle, or promote by hand: whorl model promote.",
        )


def _promote(ws: Workspace, version: ModelVersion, *, by: str, reason: str) -> Release:
    _keep_declared_champion(ws)
    before = ws.registry.point("champion", version.id, by=by, reason=reason)
    if before == version.id:
        # Moved already, by a step that was cut short.
        earlier = ws.registry.previous()
        before = earlier.id if earlier else None
    ws.registry.point("challenger", None, by=by, reason="promoted")
    ws.mirror_models()
    return Release(
        version=version.id, previous=before, via=ws.spec.release.via, state="released", message=reason
    )


def _keep_declared_champion(ws: Workspace) -> None:
    """The model that served before the first promotion becomes a version, so that a rollback can go back to it."""
    declared = ws.spec.champion
    if declared.version is None or ws.registry.champion() is not None:
        return
    through = declared.trained_through
    known = [v for v in ws.registry.versions() if (v.trainer, v.uri) == (ELSEWHERE, declared.version)]
    version = (
        known[0]
        if known
        else ws.registry.register(
            None,
            trainer=ELSEWHERE,
            uri=declared.version,
            trained_through=as_utc(datetime.fromisoformat(through)) if through else None,
            spec_hash=ws.spec_hash,
            notes=["It served before Whorl's first promotion ([champion])."],
        )
    )
    ws.registry.point("champion", version.id, by="whorl", reason="declared in [champion]")


def _champion_id(ws: Workspace) -> str | None:
    champion = ws.registry.champion()
    return champion.id if champion else ws.spec.champion.version


def _tell(ws: Workspace, event: str, version: ModelVersion, cycle_id: str | None, reason: str) -> None:
    body: dict[str, Any] = {
        "event": event,
        "flywheel": ws.name,
        "cycle": cycle_id,
        "model": {"id": version.id, "version": version.version, "digest": version.digest, "uri": version.uri},
        "replaces": _champion_id(ws),
        "reason": reason,
        "at": ws.clock.now().isoformat(),
    }
    outbox = Outbox(ws.ledger)
    with ws.ledger.write() as connection:
        if cycle_id is None or not outbox.has(connection, ws.name, event=event, cycle=cycle_id):
            outbox.put(connection, ws.name, ws.spec.release.webhook or "", body)
