"""Make a planned draw: what people are asked for goes into the lake's `asked` table, once, and into a file for them."""

import logging
from datetime import datetime
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from whorl.errors import SourceError, StateError, WorkspaceHeld
from whorl.evaluate.holdout_plan import HoldoutPlan, plan
from whorl.examples.asked import JUDGE
from whorl.storage.lock import hold
from whorl.storage.sql_types import instant_literal, text_literal
from whorl.storage.tables import lake_schemas
from whorl.workspace import Workspace

log = logging.getLogger("whorl.evaluate")
FORMATS = (".parquet", ".csv", ".ndjson", ".jsonl")


def record(ws: Workspace, planned: HoldoutPlan) -> None:
    """Keep which rows were asked for, with their chances.

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


def ask_in_cycle(ws: Workspace, cycle_id: str, as_of: datetime) -> int:
    """Ask for `[evaluate] ask` truths; how many were asked for. None while somebody else asks, or where no row could be."""
    if not ws.spec.evaluate.ask:
        return 0
    draw = f"judge-{cycle_id}"
    made = ws.engine.query(
        f"SELECT count(*) AS n FROM {ws.lake.relation('asked')} WHERE draw = {text_literal(draw)}"
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


def asked(ws: Workspace, as_of: datetime) -> pa.Table:
    """Every row that was asked for so that quality can be told, the last draw first; `label` is NULL while its truth waits.

    out: draw, id, time, probability, stratum, label, label_received_at
    """
    return ws.engine.query(
        "SELECT a.draw, a.id, a.time, a.probability, a.stratum, e.label, e.label_received_at\n"
        f"FROM {ws.lake.relation('asked')} a LEFT JOIN {ws.examples(as_of).name} e ON e.id = a.id\n"
        f"WHERE a.purpose = '{JUDGE}' AND a.as_of <= {instant_literal(as_of)} ORDER BY a.draw DESC, a.time, a.id"
    )


def check_writable(path: Path) -> None:
    """Whether `write` could write there.

    Raises:
        SourceError: No such format, or no such folder.
    """
    if path.suffix not in FORMATS:
        raise SourceError(
            f"No format is known for '{path.suffix}'.", where=str(path), hint="Use .parquet, .csv or .ndjson."
        )
    if not path.parent.is_dir():
        raise SourceError(
            "There is no such folder.", where=str(path.parent), hint="Make it, or name another file."
        )


def write(picked: pa.Table, path: Path) -> None:
    """Rows to ask for, in a file whose suffix names the format. It appears whole or not at all.

    Raises:
        SourceError: No such format, or no such folder.
    """
    check_writable(path)
    draft = path.with_name(path.name + ".draft")
    if path.suffix == ".parquet":
        pq.write_table(picked, draft)
    elif path.suffix == ".csv":
        plain = picked.drop_columns(["scores"]) if "scores" in picked.column_names else picked
        pa.csv.write_csv(plain, draft)
    else:
        draft.write_bytes(msgspec.json.Encoder().encode_lines(_plain(picked)))
    draft.replace(path)


def _plain(picked: pa.Table) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = picked.to_pylist()
    for row in rows:
        if "scores" in row:
            row["scores"] = dict(row["scores"])  # type: ignore[call-overload]
    return rows
