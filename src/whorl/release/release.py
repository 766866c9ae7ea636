"""Carry out a verdict, and take it back. Serving follows the registry's pointer; this is who moves it.

A release has one stage in this version: 'full'. Shadow, canary and split will be further stages of the same list, each
ending in the same move of the pointer; `[release] stages` keeps their place.
"""

from typing import Any

from whorl.errors import ReleaseError, StateError
from whorl.records import ModelVersion, Release, Verdict
from whorl.storage.cycles import Submission
from whorl.storage.outbox import Outbox
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
    ws.registry.point("challenger", challenger.id, by=cycle_id, reason=verdict.reason)
    if ws.spec.release.via == "external":
        _tell(ws, "release.requested", challenger, cycle_id, verdict.reason)
        return Release(
            version=challenger.id, previous=_champion_id(ws), via="external", state="waiting",
            message=f"Told {ws.spec.release.webhook}; confirm with `whorl cycle submit {cycle_id} --confirm`.",
        )  # fmt: skip
    return _promote(ws, challenger, by=cycle_id, reason=verdict.reason)


def confirm(ws: Workspace, verdict: Verdict, cycle_id: str, answer: Submission) -> Release:
    """The outside system says that it serves the challenger now: the pointer follows.

    Raises:
        ReleaseError: It says that it could not; the champion stays.
    """
    challenger = ws.registry.get(verdict.challenger)
    if answer.uri not in ("", "done", challenger.id):
        ws.registry.point("challenger", None, by=answer.by, reason=answer.uri)
        raise ReleaseError(
            f"{answer.by} did not confirm the release: {answer.uri}.",
            where=cycle_id,
            hint="The champion stays. Mend the cause and run another cycle.",
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


def _promote(ws: Workspace, version: ModelVersion, *, by: str, reason: str) -> Release:
    before = ws.registry.point("champion", version.id, by=by, reason=reason)
    ws.registry.point("challenger", None, by=by, reason="promoted")
    ws.mirror_models()
    return Release(
        version=version.id, previous=before, via=ws.spec.release.via, state="released", message=reason
    )


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
    with ws.ledger.write() as connection:
        Outbox(ws.ledger).put(connection, ws.name, ws.spec.release.webhook or "", body)
