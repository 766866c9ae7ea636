"""One step of the cycle: find what became worth learning from, choose under the budget, and keep why.

in: examples as of T, members of the training dataset; out: rows in the lake's `cases` table, and a CaseSet that counts them.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from whorl.curate.ask import ask, asked_chances
from whorl.curate.candidates import candidate_steps
from whorl.curate.choice import ASKED, Choice, choose_with_asked, primary
from whorl.curate.guard import guarded_share
from whorl.curate.pool import readable_model
from whorl.curate.reasons import Reason, asks_entropy, feature_columns, find_reasons, rule_columns, rule_notes
from whorl.examples.arrivals import Arrivals
from whorl.examples.taken import TRAINING
from whorl.records import CaseSet
from whorl.stats.arrays import Indices
from whorl.stats.sampling.hashed_uniform import hashed_uniform
from whorl.storage import dataset_versions
from whorl.storage.steps import Steps
from whorl.storage.tables import FEATURE, TIME, lake_schemas
from whorl.workspace import Workspace

INITIAL = "initial"
NOVELTY_SAMPLE = 20_000
# What reasons, draws and cases need of a candidate beside its features.
MINED = (
    "id", "time", "score", "output", "label", "status", "model_version", "p_true", "draw_key", "reopened", "contradictory",
)  # fmt: skip


def curate(ws: Workspace, cycle_id: str, as_of: datetime, earlier: Sequence[str]) -> CaseSet:
    """Choose this cycle's cases.

    Args:
        earlier: Cycles that made the training datasets before; none: this is the first, which takes every known row
            or `[curate] initial` of them at random.

    Raises:
        RuleError: A rule does not fit the schema.
    """
    arrivals = ws.arrivals(as_of, earlier)
    rows, first = _candidates(ws, arrivals, as_of), not earlier
    reasons = [] if first else _reasons(ws, rows, arrivals)
    guard = guarded_share(ws, as_of, earlier)
    asked = asked_chances(ws, rows, as_of)
    chosen = choose_with_asked(ws, rows, reasons, as_of, asked, first=first, random_share=guard.random_share)
    cases = _cases(ws, rows, chosen, reasons, cycle_id, as_of, first=first)
    _keep_considered(ws, rows, cycle_id, as_of)
    ws.lake.append("cases", cases, app=f"cases/{cycle_id}", version=1)
    by_reason = {row["values"]: row["counts"] for row in cases["reason"].value_counts().to_pylist()}
    return CaseSet(
        cycle_id=cycle_id,
        as_of=as_of,
        cases=cases.num_rows,
        candidates=rows.num_rows,
        by_reason=dict(sorted(by_reason.items())),
        asked=ask(ws, cycle_id, as_of, random_share=guard.random_share),
        random_share=guard.random_share,
        notes=[*_notes(arrivals, rows), *([] if first else rule_notes(rows, ws.spec)), *guard.notes],
    )


def _notes(arrivals: Arrivals, rows: pa.Table) -> list[str]:
    notes, parted = [], arrivals.parted()
    reopened, contradictory = (pc.sum(rows[name]).as_py() for name in ("reopened", "contradictory"))
    if parted:
        notes.append(
            f"{parted:,} labelled predictions are neither trained on nor judged: [curate] holdout_share was changed, and "
            "their groups have rows on both sides."
        )
    if reopened:
        notes.append(
            f"{reopened:,} of {rows.num_rows:,} candidates were considered before and not drawn; their label was corrected "
            "since, which gives them another chance."
        )
    if contradictory:
        few = ", ".join(rows.filter(rows["contradictory"])["id"][:3].to_pylist())
        notes.append(
            f"{contradictory:,} of {rows.num_rows:,} candidates have labels of the same moment that say different things, such as "
            f"{few}: which one counts is as good as drawn at random. Send the right label once more: the last received counts."
        )
    return notes


def training_cycles(ws: Workspace) -> list[str]:
    """Cycles that made a training dataset, oldest first: what they considered had its chance."""
    made = dataset_versions.versions(ws.ledger, ws.name)
    return [manifest.cycle_id for dataset, manifest in made if dataset.name == TRAINING and manifest.cycle_id]


def selection_steps(ws: Workspace, examples: str, as_of: datetime, taken: str) -> Steps:
    """The whole selection in SQL, ending in `candidates_with_rules`; arguments as `candidate_steps`."""
    # What a task has no use for is not sorted with the rest.
    also = [] if ws.spec.task == "binary" else ["scores"]
    if asks_entropy(ws.spec):
        also.append("entropy")
    columns = [*MINED, *also, *(f'"{FEATURE}{name}"' for name in ws.spec.features), *rule_columns(ws.spec)]
    return candidate_steps(examples, ws.spec, as_of, taken).add(
        "candidates_with_rules", f"SELECT {', '.join(columns)} FROM candidates ORDER BY draw_key, id"
    )


def _candidates(ws: Workspace, arrivals: Arrivals, as_of: datetime) -> pa.Table:
    steps = selection_steps(ws, arrivals.labelled, as_of, arrivals.taken)
    return ws.engine.query(steps.sql("candidates_with_rules"))


def _keep_considered(ws: Workspace, rows: pa.Table, cycle_id: str, as_of: datetime) -> None:
    n = rows.num_rows
    day = pa.repeat(pa.scalar(as_of.astimezone(UTC).date(), pa.date32()), n)
    columns = {
        "cycle_id": pa.repeat(pa.scalar(cycle_id, pa.string()), n),
        "as_of": pa.repeat(pa.scalar(as_of, TIME), n),
        "day": day,
        "id": rows["id"],
        "label": rows["label"],
    }
    considered = pa.table(columns).cast(lake_schemas(ws.spec)["considered"])
    ws.lake.append("considered", considered, app=f"considered/{cycle_id}", version=1)


def _reasons(ws: Workspace, rows: pa.Table, arrivals: Arrivals) -> list[Reason]:
    if rows.num_rows == 0 or ws.spec.curate.strategy == "random":
        return []
    counts = arrivals.labels_by_class()
    total = sum(counts.values())
    # DuckDB writes booleans as 'true', Python as 'True'; compare in Python's form.
    class_share = {
        {"true": "True", "false": "False"}.get(name, name): count / total for name, count in counts.items()
    }
    return find_reasons(
        rows,
        ws.spec,
        class_share=class_share,
        previous=readable_model(ws, ws.registry.previous()),
        ordinary=_ordinary(ws),
    )


def _ordinary(ws: Workspace) -> pa.Table | None:
    """Features of rows of the last training dataset, at random; None where there is none, or nothing to compare."""
    columns = feature_columns(ws.spec)
    made = [
        dataset for dataset, _ in dataset_versions.versions(ws.ledger, ws.name) if dataset.name == TRAINING
    ]
    if not columns or not ws.spec.curate.reasons.novel or not made or not Path(made[-1].path).exists():
        return None
    stored = pq.read_schema(made[-1].path).names
    bare = [name.removeprefix(FEATURE) for name in columns]
    rows = pq.read_table(made[-1].path, columns=[name for name in bare if name in stored])
    order = np.argsort(hashed_uniform(map(str, range(rows.num_rows)), "ordinary"))[:NOVELTY_SAMPLE]
    return rows.take(np.sort(order)).rename_columns([FEATURE + name for name in rows.column_names])


def _cases(
    ws: Workspace,
    rows: pa.Table,
    choice: Choice,
    reasons: list[Reason],
    cycle_id: str,
    as_of: datetime,
    *,
    first: bool,
) -> pa.Table:
    chosen = choice.drawn
    picked, n = rows.take(pa.array(chosen.rows)), len(chosen.rows)
    by = primary(reasons, rows.num_rows)[chosen.rows]
    ordinary = INITIAL if first else "random"
    segment = ws.spec.schema.segments[0] if ws.spec.schema.segments else None
    strategy = ws.spec.curate.strategy
    policy = np.where(chosen.wanted | choice.asked[chosen.rows], strategy, "random")
    held = [[r.name for r in reasons if r.rows[row]] for row in chosen.rows]
    severity = [
        float(reasons[p].severity[row]) if p >= 0 else 1.0 for p, row in zip(by, chosen.rows, strict=True)
    ]
    columns = {
        "cycle_id": pa.array([cycle_id] * n, pa.string()),
        "as_of": pa.array([as_of] * n),
        "day": pa.array([as_of.astimezone(UTC).date()] * n),
        "id": picked["id"],
        "time": picked["time"],
        "reason": pa.array(_first_reasons(choice, by, reasons, strategy, ordinary), pa.string()),
        "reasons": pa.array(held, pa.list_(pa.string())),
        "severity": pa.array(severity, pa.float64()),
        "segment": pc.cast(picked[FEATURE + segment], pa.string()) if segment else pa.nulls(n, pa.string()),
        "policy": pa.array(policy.tolist(), pa.string()),
        "probability": pa.array(chosen.probability),
        "blind_probability": pa.array(choice.blind[chosen.rows]),
        "status": picked["status"],
        "score": picked["score"],
        "output": picked["output"],
        "label": picked["label"],
        "model_version": picked["model_version"],
    }
    return pa.table(columns).cast(lake_schemas(ws.spec)["cases"])


def _first_reasons(
    choice: Choice, by: Indices, reasons: list[Reason], strategy: str, ordinary: str
) -> list[str]:
    """Of each chosen row: that it was asked for; else its first reason; else the strategy that picked it, or chance."""
    rows = choice.drawn.rows
    names = [strategy if picked else ordinary for picked in choice.by_strategy[rows] > 0]
    names = [reasons[p].name if p >= 0 else name for p, name in zip(by, names, strict=True)]
    return [ASKED if asked else name for asked, name in zip(choice.asked[rows], names, strict=True)]
