"""`whorl cases`: what was chosen to learn from, why, and why something was not."""

from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from whorl.cli.terminal import (
    DEFAULT_SPEC,
    AsJson,
    Root,
    SpecPath,
    opened,
    print_facts,
    print_json,
    print_list,
)

if TYPE_CHECKING:
    from whorl.flywheel import Flywheel

app = typer.Typer(help="Cases: what was chosen to learn from, and why.", no_args_is_help=True)
NONE_YET = "No case yet: whorl cycle run"
COLUMNS = (
    "id",
    "time",
    "cycle_id",
    "reason",
    "reasons",
    "severity",
    "probability",
    "score",
    "output",
    "label",
)


@app.command("list")
def list_(
    reason: Annotated[str | None, typer.Option(help="Only cases that have this reason.")] = None,
    cycle: Annotated[str | None, typer.Option(help="Only cases of this cycle.")] = None,
    limit: Annotated[
        int, typer.Option(help="At most so many; with --asked --json, all of them.", min=1)
    ] = 20,
    asked: Annotated[
        bool,
        typer.Option(
            "--asked", help="Rows that people are asked for instead, to be handed out; until the truth comes."
        ),
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Print the SQL of the next selection instead.")
    ] = False,
    spec: SpecPath = DEFAULT_SPEC,
    workspace: Root = None,
    as_json: AsJson = False,
) -> None:
    """The last cases, the most severe first within a cycle."""
    with opened(spec, workspace) as flywheel:
        if explain:
            typer.echo(_selection(flywheel))
            return
        if asked:
            _print_asked(flywheel, limit, as_json=as_json)
            return
        rows = _cases(flywheel, reason, cycle, limit)
        empty = "" if rows else _why_none(flywheel, reason)
    shown = ["id", "cycle_id", "reason", "severity", "probability", "score", "label"]
    if any(row["output"] for row in rows):
        shown.append("output")
    columns = {"cycle" if name == "cycle_id" else name: itemgetter(name) for name in shown}
    print_list(rows, columns, as_json=as_json, empty=empty)


@app.command("reasons")
def reasons(spec: SpecPath = DEFAULT_SPEC, workspace: Root = None, as_json: AsJson = False) -> None:
    """How many cases each cycle chose for which reason."""
    with opened(spec, workspace) as flywheel:
        ws = flywheel.workspace
        rows = ws.engine.query(
            f"SELECT cycle_id, reason, count(*) AS cases FROM {ws.lake.relation('cases')} "
            "GROUP BY ALL ORDER BY cycle_id DESC, cases DESC, reason"
        ).to_pylist()
    columns = {"cycle": itemgetter("cycle_id"), "reason": itemgetter("reason"), "cases": itemgetter("cases")}
    print_list(rows, columns, as_json=as_json, empty=NONE_YET)


@app.command("explain")
def explain(
    prediction_id: Annotated[str, typer.Argument(metavar="ID", help="Of the prediction.")],
    spec: SpecPath = DEFAULT_SPEC,
    workspace: Root = None,
    as_json: AsJson = False,
) -> None:
    """Why a prediction was chosen, or why it was not."""
    from whorl.curate.why import why

    with opened(spec, workspace) as flywheel:
        story = why(flywheel.workspace, prediction_id, flywheel.workspace.clock.now())
    if as_json:
        print_json(story)
        return
    print_facts(
        {
            "prediction": story.id,
            "made": story.time,
            "features": _pairs(story.features),
            "the model said": story.score if story.score is not None else story.output,
            "model": story.model_version,
            "split": story.split,
            "truth": story.status if story.label is None else f"{story.label} ({story.status})",
            "known since": story.label_time,
            "source": story.label_source,
        }
    )
    for picked in story.picked:
        typer.echo("")
        print_facts(
            {
                "chosen in": f"{picked.cycle_id}, as of {picked.as_of:%Y-%m-%d %H:%M} UTC",
                "because": f"{picked.reason}: {picked.why}",
                "also": [name for name in picked.reasons if name != picked.reason],
                "policy": picked.policy,
                "probability": picked.probability,
                "severity": picked.severity,
                "segment": picked.segment,
            }
        )
    typer.echo("")
    print_facts({"not chosen": story.why_not, "in datasets": story.datasets})


def _cases(flywheel: "Flywheel", reason: str | None, cycle: str | None, limit: int) -> list[dict[str, Any]]:
    from whorl.storage.sql_types import text_literal

    ws, wanted = flywheel.workspace, ["true"]
    if reason is not None:
        wanted.append(f"(reason = {text_literal(reason)} OR list_contains(reasons, {text_literal(reason)}))")
    if cycle is not None:
        wanted.append(f"cycle_id = {text_literal(cycle)}")
    found: list[dict[str, Any]] = ws.engine.query(
        f"SELECT {', '.join(COLUMNS)} FROM {ws.lake.relation('cases')} WHERE {' AND '.join(wanted)} "
        f"ORDER BY as_of DESC, severity DESC, id LIMIT {limit}"
    ).to_pylist()
    return found


def _print_asked(flywheel: "Flywheel", limit: int, *, as_json: bool) -> None:
    from whorl.curate.why import in_words

    waiting = flywheel.asked(
        purpose="train", waiting=True, with_prediction=True, limit=None if as_json else limit
    )
    rows = [row | {"why": in_words(row["strategy"])} for row in waiting]
    columns: dict[str, Callable[[dict[str, Any]], Any]] = {
        "id": itemgetter("id"),
        "inputs": lambda row: _pairs(row["inputs"]),
        "prediction": itemgetter("prediction"),
        "why": itemgetter("why"),
    }
    empty = "No row waits for an answer. [curate] ask says for how many rows each cycle asks."
    print_list(rows, columns, as_json=as_json, empty=empty)


def _why_none(flywheel: "Flywheel", reason: str | None) -> str:
    from whorl.errors import did_you_mean

    ws = flywheel.workspace
    known = ws.engine.query(
        f"SELECT DISTINCT unnest(list_append(reasons, reason)) AS reason FROM {ws.lake.relation('cases')} ORDER BY 1"
    )["reason"].to_pylist()
    if not known:
        return NONE_YET
    if reason is not None and reason not in known:
        return f"No case has the reason '{reason}'. {did_you_mean(reason, known)}"
    return "No case fits; how many there are in each cycle: whorl cases reasons"


def _selection(flywheel: "Flywheel") -> str:
    """The SQL by which the next cycle would find its candidates: the join as of now, and the rules."""
    from whorl.curate.curate import selection_steps, training_cycles
    from whorl.storage.steps import Steps

    ws, now = flywheel.workspace, flywheel.workspace.clock.now()
    chosen = selection_steps(ws, "examples", now, ws.arrivals(now, training_cycles(ws)).newly_taken())
    return Steps((*ws.examples(now).steps().steps, *chosen.steps)).explain()


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in values.items())
