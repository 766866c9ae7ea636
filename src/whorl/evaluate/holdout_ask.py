"""Make a planned draw, or take one back: what people are asked for goes into the lake's `asked` table, once.

What is handed to them: `holdout_sheet.py`.
"""

import logging
from datetime import datetime

import msgspec
import pyarrow as pa

from whorl.errors import StateError, WorkspaceHeld
from whorl.evaluate.holdout_plan import HoldoutPlan, plan
from whorl.examples.asked import JUDGE, WITHDRAWN, judge_draws
from whorl.storage import audit
from whorl.storage.lock import hold
from whorl.storage.sql_types import text_literal
from whorl.storage.tables import lake_schemas
from whorl.workspace import Workspace

log = logging.getLogger("whorl.evaluate")


def record(ws: Workspace, planned: HoldoutPlan, *, by: str | None = None) -> None:
    """Keep which rows were asked for, with their chances.

    Args:
        by: Who asks, for the audit trail; None for a cycle, which has a journal.

    Raises:
        StateError: Another process has made this draw.
    """
    picked, schema = planned.picked, lake_schemas(ws.spec)["asked"]
    same = {
        "draw": planned.draw,
        "as_of": planned.until,
        "day": planned.until.date(),
        "purpose": JUDGE,
        "strategy": planned.strategy,
        "since": planned.since,
        "until": planned.until,
    }
    columns = [
        pa.array([same[field.name]] * picked.num_rows, field.type)
        if field.name in same
        else picked[field.name]
        for field in schema
    ]
    if not ws.lake.append("asked", pa.table(columns, schema=schema), app=f"asked/{planned.draw}", version=1):
        raise StateError(
            f"Draw {planned.draw} has been made already.",
            where=ws.name,
            hint="Look at the next one: whorl holdout plan.",
        )
    ws.lake.sync("asked")
    _write_down(ws, "holdout.ask", by, draw=planned.draw, labels=planned.labels)


def ask_in_cycle(ws: Workspace, cycle_id: str, as_of: datetime) -> int:
    """Ask for `[evaluate] ask` truths; how many were asked for. None while somebody else asks, or where no row could be."""
    if not ws.spec.evaluate.ask:
        return 0
    draw = f"judge-{cycle_id}"
    made = ws.engine.query(
        f"SELECT count(*) AS n FROM {ws.lake.relation('asked')} WHERE draw = {text_literal(draw)} AND purpose = '{JUDGE}'"
    )["n"][0].as_py()
    if made:
        return int(made)
    try:
        with hold(ws.root, ws.ledger, f"asking-{ws.name}"):
            planned = msgspec.structs.replace(plan(ws, as_of), draw=draw)
            record(ws, planned)
    except (StateError, WorkspaceHeld) as why:
        log.info("%s: no holdout labels were asked for: %s", ws.name, why)
        return 0
    return planned.labels


def withdraw(ws: Workspace, draw: str, *, by: str | None = None) -> int:
    """Take the last draw back, so that its rows can be drawn from again; how many rows it had asked for.

    It stands for nothing from now on, and is kept. Truths that came stay; being asked for, they tell nothing of delays.

    Args:
        by: Who withdraws it, for the audit trail.

    Raises:
        StateError: It is not the last draw, or there is none.
        WorkspaceHeld: Another process is asking.
    """
    now = ws.clock.now()
    with hold(ws.root, ws.ledger, f"asking-{ws.name}"):
        made = ws.engine.query(f"SELECT draw FROM ({judge_draws(ws.lake, now)}) ORDER BY until DESC LIMIT 1")
        last = made["draw"].to_pylist()
        if last != [draw]:
            raise StateError(
                f"Draw '{draw}' is not the last one"
                + (f", which is '{last[0]}'." if last else ": there is none."),
                where=ws.name,
                hint="Later draws chose among later rows: withdraw them first. All draws: whorl holdout list",
            )
        rows = ws.engine.query(
            f"SELECT * FROM {ws.lake.relation('asked')} WHERE draw = {text_literal(draw)} AND purpose = '{JUDGE}'"
        )
        again = {"as_of": now, "day": now.date(), "purpose": WITHDRAWN}
        columns = [
            pa.array([again[name]] * rows.num_rows, rows[name].type) if name in again else rows[name]
            for name in rows.column_names
        ]
        table = pa.table(columns, names=rows.column_names).cast(lake_schemas(ws.spec)["asked"])
        ws.lake.append("asked", table, app=f"withdrawn/{draw}", version=1)
        ws.lake.sync("asked")
        _write_down(ws, "holdout.withdraw", by, draw=draw, labels=int(rows.num_rows))
    return int(rows.num_rows)


def _write_down(ws: Workspace, action: str, by: str | None, **body: str | int) -> None:
    if by is not None:
        with ws.ledger.write() as conn:
            audit.append(conn, ws.name, at=ws.clock.now(), by=by, action=action, body=body)
