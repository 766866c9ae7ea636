"""`whorl cycle`: turn the wheel, look at turns, answer those that wait."""

from pathlib import Path
from typing import Annotated

import typer

from whorl.cli.terminal import (
    DEFAULT_SPEC,
    AsJson,
    By,
    Reason,
    Root,
    SpecPath,
    opened,
    print_facts,
    print_json,
    print_lines,
    print_list,
)

app = typer.Typer(help="Turn the flywheel; approve or reject what waits.", no_args_is_help=True)
CycleId = Annotated[str | None, typer.Argument(help="Default: the unfinished one.")]


@app.command("run")
def run(spec: SpecPath = DEFAULT_SPEC, workspace: Root = None, as_json: AsJson = False) -> None:
    """Start a cycle, or go on with the unfinished one. Beside a running server it is left to the server."""
    from whorl.cli.cycle_story import notes_once, release_in_words
    from whorl.monitor.overview import unsent

    with opened(spec, workspace) as flywheel:
        report = flywheel.run_cycle()
        queued = unsent(flywheel.workspace.ledger, flywheel.workspace.name)
    for line in queued:
        typer.echo(line, err=True)
    if as_json:
        print_json(report)
        return
    print_facts(
        {
            "cycle": report.id,
            "state": report.state,
            "cases": f"{report.cases.cases:,} of {report.cases.candidates:,} candidates"
            if report.cases
            else None,
            "dataset": f"{report.dataset.id}, {report.dataset.rows:,} rows" if report.dataset else None,
            "challenger": report.challenger.id if report.challenger else None,
            "verdict": f"{report.verdict.decision}: {report.verdict.reason}" if report.verdict else None,
            "release": release_in_words(report.release) if report.release else None,
            "waits for": f"{report.waiting.what} ({report.waiting.where}): {report.waiting.hint}"
            if report.waiting
            else None,
        }
    )
    print_lines("finding", [finding.message for finding in report.findings])
    print_lines("note", notes_once(report.cases, report.dataset, report.challenger, report.verdict))


@app.command("list")
def list_(
    spec: SpecPath = DEFAULT_SPEC, workspace: Root = None, as_json: AsJson = False, limit: int = 20
) -> None:
    """The last cycles, newest first."""
    from whorl.storage import cycles

    with opened(spec, workspace) as flywheel:
        found = cycles.listed(flywheel.workspace.ledger, flywheel.workspace.name, limit=limit)
    print_list(
        found,
        {
            "cycle": lambda c: c.id,
            "state": lambda c: c.state,
            "trigger": lambda c: c.trigger,
            "as of": lambda c: c.as_of,
            "step": lambda c: c.step,
            "waits for": lambda c: c.waiting_for.what if c.waiting_for else None,
        },
        as_json=as_json,
        empty="No cycle yet: whorl cycle run",
    )


@app.command("show")
def show(
    cycle_id: CycleId = None, spec: SpecPath = DEFAULT_SPEC, workspace: Root = None, as_json: AsJson = False
) -> None:
    """One cycle: what each of its steps did, what was noted, and what the gates said, in figures."""
    from whorl.cli.cycle_story import print_cycle, with_all_fields
    from whorl.errors import NotFound
    from whorl.storage import cycles

    with opened(spec, workspace) as flywheel:
        ws = flywheel.workspace
        newest = cycles.listed(ws.ledger, ws.name, limit=1)
        if cycle_id is None and not newest:
            raise NotFound("No cycle has run yet.", where=ws.name, hint="whorl cycle run")
        found = cycles.get(ws.ledger, ws.name, cycle_id or newest[0].id)
        steps = ws.journal.done(found.id)
    if as_json:
        print_json({"cycle": found, "steps": with_all_fields(steps)})
        return
    print_cycle(found, steps)


@app.command("approve")
def approve(
    cycle_id: CycleId = None,
    spec: SpecPath = DEFAULT_SPEC,
    workspace: Root = None,
    by: By = None,
    reason: Reason = "",
) -> None:
    """Say yes to a waiting cycle. The server goes on with it; without one, `whorl cycle run` does."""
    with opened(spec, workspace) as flywheel:
        flywheel.approve(cycle_id, by=by, reason=reason)
    typer.echo("Approved. A running server goes on by itself; without one: whorl cycle run")


@app.command("reject")
def reject(
    cycle_id: CycleId = None,
    spec: SpecPath = DEFAULT_SPEC,
    workspace: Root = None,
    by: By = None,
    reason: Reason = "",
) -> None:
    """Say no to a waiting cycle: the champion stays."""
    with opened(spec, workspace) as flywheel:
        flywheel.reject(cycle_id, by=by, reason=reason)
    typer.echo(
        "Rejected. The champion stays. A running server closes the cycle; without one: whorl cycle run"
    )


@app.command("submit")
def submit(
    cycle_id: CycleId = None,
    model: Annotated[str | None, typer.Option(help="A model: LightGBM text, folder, or MLflow URI.")] = None,
    scores: Annotated[
        Path | None, typer.Option(help="Scores of the holdout rows: Parquet or CSV with id and score.")
    ] = None,
    confirm: Annotated[bool, typer.Option("--confirm", help="The release is done.")] = False,
    spec: SpecPath = DEFAULT_SPEC,
    workspace: Root = None,
    by: By = None,
) -> None:
    """Hand in what a cycle waits for: a model, scores, or the confirmation of a release."""
    from whorl.storage.cycles import Submitted

    offered: list[tuple[Submitted, str | None]] = [
        ("model", model),
        ("scores", str(scores) if scores else None),
        ("confirmation", "done" if confirm else None),
    ]
    chosen = [(kind, uri) for kind, uri in offered if uri is not None]
    if len(chosen) != 1:
        raise typer.BadParameter("Give one of --model, --scores, --confirm.")
    with opened(spec, workspace) as flywheel:
        kind, uri = chosen[0]
        flywheel.submit(kind, uri, cycle_id, by=by)
    typer.echo("Taken. A running server goes on by itself; without one: whorl cycle run")


@app.command("cancel")
def cancel(cycle_id: CycleId = None, spec: SpecPath = DEFAULT_SPEC, workspace: Root = None) -> None:
    """Give up an unfinished cycle; nothing is released."""
    with opened(spec, workspace) as flywheel:
        flywheel.cancel(cycle_id)
    typer.echo("Cancelled.")
