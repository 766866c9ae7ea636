"""One screen about a flywheel: what turns, what is stuck and why, who is needed. Reads the ledger, and who holds its lock."""

from datetime import datetime
from pathlib import Path

from sqlalchemy import func, select

from whorl.errors import masked
from whorl.monitor.starting import found_at, started_by_findings
from whorl.records import Record, Waiting
from whorl.storage import cycles, flywheels, verdicts
from whorl.storage.findings import Raised, listed
from whorl.storage.inbox import depth_of
from whorl.storage.ledger import tables
from whorl.storage.ledger.ledger import Ledger
from whorl.storage.lock import TURNING, holder
from whorl.storage.outbox import undelivered

START = "Start `whorl serve`, or run `whorl cycle run`."


class Overview(Record, frozen=True, kw_only=True):
    """`needs` says in words what somebody has to do; empty when nobody is needed.

    `champion`: the version that Whorl's pointer names; `declared`: what `[champion] version` says serves while it names none.
    `findings`: the last ones, newest first, without those about a champion that was replaced since.
    """

    flywheel: str
    champion: str | None
    declared: str | None
    champion_since: datetime | None
    versions: int
    datasets: int
    cycle: str | None
    cycle_state: str | None
    cycle_step: str | None
    cycle_as_of: datetime | None
    waiting: Waiting | None
    error: str | None
    inbox_rows: int
    inbox_oldest: datetime | None
    findings: list[Raised]
    needs: list[str]


def overview(root: Path, ledger: Ledger, name: str, *, findings: int = 5) -> Overview:
    """The state of one flywheel of the workspace in `root`. Raises NotFound when the ledger does not know it."""
    last = next(iter(cycles.listed(ledger, name, limit=1)), None)
    depth = depth_of(ledger, name)
    with ledger.read() as connection:
        pointer = connection.execute(
            select(tables.pointers).where(
                tables.pointers.c.flywheel == name, tables.pointers.c.alias == "champion"
            )
        ).one_or_none()
        counts = [
            connection.scalar(select(func.count()).select_from(table).where(table.c.flywheel == name)) or 0
            for table in (tables.model_versions, tables.dataset_versions)
        ]
    champion = pointer.model_id if pointer else None
    error = last.error["message"] if last and last.error else None
    needs = [*_needs(root, ledger, last, error), *_held_back(ledger, name, last), *unsent(ledger, name)]
    if last is not None and pointer is None:
        needs += _without_champion(ledger, last)
    return Overview(
        flywheel=name,
        champion=champion,
        declared=None if pointer else flywheels.spec_of(ledger, name).champion.version,
        champion_since=pointer.changed_at if pointer else None,
        versions=counts[0],
        datasets=counts[1],
        cycle=last.id if last else None,
        cycle_state=last.state if last else None,
        cycle_step=last.step if last else None,
        cycle_as_of=last.as_of if last else None,
        waiting=last.waiting_for if last else None,
        error=error,
        inbox_rows=depth.rows,
        inbox_oldest=depth.oldest,
        findings=_of_now(ledger, name, champion)[:findings],
        needs=needs,
    )


def _of_now(ledger: Ledger, name: str, champion: str | None) -> list[Raised]:
    """The last findings that are not about another champion."""
    return [
        raised
        for raised in listed(ledger, name)
        if raised.finding.facts.get("champion", champion) == champion
    ]


def unsent(ledger: Ledger, name: str) -> list[str]:
    """In a sentence, which messages have not reached their URL, and why the oldest has not; nothing when all have."""
    waiting = undelivered(ledger, name)
    if not waiting:
        return []
    first = waiting[0]
    why = f" ({first.error})" if first.error else ""
    return [
        f"{len(waiting)} message(s) queued for {masked(first.url)}{why}: `whorl serve` or the next `whorl cycle run` sends them."
    ]


def stopped(root: Path, ledger: Ledger, last: cycles.Cycle) -> str | None:
    """In a sentence, where a cycle is that was running when its process died; None while a process runs it, or it is not to run."""
    if last.state != "running" or holder(root, ledger, TURNING) is not None:
        return None
    return f"{last.id} stopped in its step {last.step or 'flush'}, and nothing runs it."


def _needs(root: Path, ledger: Ledger, last: cycles.Cycle | None, error: str | None) -> list[str]:
    if last is None:
        return ["No cycle has run yet: `whorl cycle run`, or `whorl serve` with a [cadence]."]
    if last.waiting_for is not None:
        what = last.waiting_for
        until = f" until {what.until:%Y-%m-%d %H:%M} UTC" if what.until else ""
        return [f"Cycle {last.id} waits for {what.what} ({what.where}){until}: {what.hint}"]
    if last.state == "failed":
        return [f"Cycle {last.id} failed: {error}"]
    where = stopped(root, ledger, last)
    return [] if where is None else [f"Cycle {where} {START} It goes on at that step."]


def _held_back(ledger: Ledger, name: str, last: cycles.Cycle | None) -> list[str]:
    """A finding asks for a cycle, and findings have started as many as they may."""
    spec, now = flywheels.spec_of(ledger, name), ledger.clock.now()
    with ledger.read() as connection:
        found, started = found_at(connection, spec), started_by_findings(connection, spec, now)
    most, span = spec.monitor.start_at_most, spec.monitor.start_within
    if found is None or len(started) < most or (last is not None and found <= last.created_at):
        return []
    when = f" before {started[most - 1] + span.span:%Y-%m-%d %H:%M} UTC" if most else ""
    return [
        f"A finding of {found:%Y-%m-%d %H:%M} UTC asks for a cycle, but findings have started {len(started)} within {span} "
        f"([monitor] start_at_most) and start no other{when}. To learn from it now: whorl cycle run."
    ]


def _without_champion(ledger: Ledger, last: cycles.Cycle) -> list[str]:
    """Nothing was ever promoted: what the gates compared with, and how a first champion comes about."""
    verdict = verdicts.of_cycle(ledger, last.flywheel, last.id)
    if verdict is None or verdict.decision == "promote" or verdict.champion is not None:
        return []
    number = verdict.challenger.rpartition("/")[2]
    compared = any("champion" in sides for sides in verdict.metrics.values())
    against = " against the scores in the records, whoever gave them" if compared else ""
    declare = (
        "If a model serves already, name it: [champion] version and trained_through in flywheel.toml. "
        if compared
        else ""
    )
    return [
        f"There is no champion yet. The gates said {verdict.decision} of {verdict.challenger}{against}: {verdict.reason}. "
        f"{declare}To let it serve all the same: whorl model promote {number}. Else the next cycle decides, with more rows."
    ]
