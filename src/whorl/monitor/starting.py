"""Should a cycle start by itself now, and why? One answer, for the server and for replay.

A finding starts one when its kind is named in `[monitor] start_on`, when it is about the champion of now, when it was raised
after the last cycle had begun, which knows nothing of what came since, and when findings have not started too many already; what must wait starts one later. Such cycles come beside the cadence and
put it off for none: one that began at the first signs of a change has seen little of it, and what it trained may be no better.
Who looks, and who starts, is in `serve/` and `replay/`.
"""

from datetime import datetime
from typing import Literal, NamedTuple

import sqlalchemy as sa
from sqlalchemy import Connection

from whorl.spec import Spec
from whorl.storage.ledger.tables import cycles, findings, pointers

Why = Literal["cadence", "finding"]


class Known(NamedTuple):
    """What the ledger says of a flywheel none of whose cycles is under way.

    Args:
        paced_from: When the last cycle that no finding started did so; before the first, when the flywheel was registered.
        begun_at: When the last cycle began; None before the first.
        found_at: Of the newest finding that may start one; None when there is none.
        by_findings: When cycles that findings started did so, within `[monitor] start_within`, newest first.
    """

    paced_from: datetime
    begun_at: datetime | None = None
    found_at: datetime | None = None
    by_findings: tuple[datetime, ...] = ()


def why_start(spec: Spec, now: datetime, known: Known) -> Why | None:
    """Why a cycle starts now; None when none does.

    >>> from datetime import UTC, timedelta
    >>> from whorl.spec import parse_spec
    >>> spec = parse_spec('name = "f"\\ntask = "binary"\\n[cadence]\\nevery = "7d"\\n[monitor]\\nstart_cycle = true')
    >>> noon, day = datetime(2026, 1, 1, 12, tzinfo=UTC), timedelta(days=1)
    >>> why_start(spec, noon + 7 * day, Known(noon))
    'cadence'
    >>> why_start(spec, noon + 2 * day, Known(noon, begun_at=noon, found_at=noon + day))
    'finding'
    """
    every, monitor = spec.cadence.every, spec.monitor
    if every is not None and now - known.paced_from >= every.span:
        return "cadence"
    if not monitor.start_cycle or known.found_at is None:
        return None
    if known.begun_at is not None and known.found_at <= known.begun_at:
        return None
    recent = [at for at in known.by_findings if now - at < monitor.start_within.span]
    resting = any(now - at < monitor.cooldown.span for at in recent)
    return None if resting or len(recent) >= monitor.start_at_most else "finding"


def paced_from(conn: Connection, spec: Spec) -> datetime | None:
    """When the last cycle that no finding started did so; None before the first."""
    paced = (cycles.c.flywheel == spec.name) & (cycles.c.trigger != "finding")
    return conn.execute(sa.select(sa.func.max(cycles.c.created_at)).where(paced)).scalar()


def found_at(conn: Connection, spec: Spec) -> datetime | None:
    """When the newest finding that may start a cycle was raised; None where findings start none.

    One about another champion than that of now, which has been replaced since, starts none.
    """
    if not spec.monitor.start_cycle:
        return None
    of_now = (pointers.c.flywheel == spec.name) & (pointers.c.alias == "champion")
    champion = sa.select(pointers.c.model_id).where(of_now).scalar_subquery()
    starting = (
        (findings.c.flywheel == spec.name)
        & findings.c.kind.in_(spec.monitor.start_on)
        & findings.c.body["facts", "champion"].as_string().is_not_distinct_from(champion)
    )
    return conn.execute(sa.select(sa.func.max(findings.c.at)).where(starting)).scalar()


def started_by_findings(conn: Connection, spec: Spec, now: datetime) -> tuple[datetime, ...]:
    """When cycles that findings started within `[monitor] start_within` did so, newest first."""
    if not spec.monitor.start_cycle:
        return ()
    recent = (
        (cycles.c.flywheel == spec.name)
        & (cycles.c.trigger == "finding")
        & (cycles.c.created_at > now - spec.monitor.start_within.span)
    )
    rows = conn.execute(sa.select(cycles.c.created_at).where(recent).order_by(cycles.c.created_at.desc()))
    return tuple(rows.scalars())
